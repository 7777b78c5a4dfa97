"""Free text of commands, from arguments and from standard input."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.commands.arguments import parse_composed, text_or_line
from tests.support.user_errors import failure

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])).filter(
    lambda text: text.strip() and text != "-"
)


@given(TEXT)
def test_any_text_is_an_argument_as_it_is(text):
    options = parse_composed("inspect", ["--pair", text, f"--english={text}"]).options
    assert options == {"pair": text, "english": text}
    assert text_or_line("--pair", text) == text.removeprefix("\ufeff")


def test_both_sentences_can_be_lines_of_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("\ufeffl'eau = ${x}, 고양이\r\nthe 'water' #1\n"))
    texts = [text_or_line(option, "-") for option in ("--pair", "--english")]
    assert texts == ["l'eau = ${x}, 고양이", "the 'water' #1"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "--pair: empty; give a text"),
        ("\n", "--pair: empty"),
        ("\udcff\n", "--pair: '\\udcff' is not valid in the"),
    ],
)
def test_a_line_that_is_no_text_is_refused(monkeypatch, line, message):
    monkeypatch.setattr("sys.stdin", io.StringIO(line))
    assert failure(lambda: text_or_line("--pair", "-")).startswith(message)
