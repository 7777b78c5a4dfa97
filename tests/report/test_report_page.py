"""The page is complete, makes no requests, and contains data only as text."""

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.report import gather, render
from optical_sweeps.report.page import data_text
from optical_sweeps.sweeps.grid import Grid
from tests.support.finished_sweeps import write_sweep

HOSTILE = "</script><script>document.title='run'</script><!--"


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("sweeps") / HOSTILE.replace("/", "")
    folder.mkdir()
    write_sweep(folder, hostile=HOSTILE)
    return render(gather(Grid.load(folder), folder / "report.html"))


def test_data_adds_no_element(page, tmp_path):
    write_sweep(tmp_path)
    plain, hostile = Elements(), Elements()
    plain.feed(render(gather(Grid.load(tmp_path), tmp_path / "report.html")))
    hostile.feed(page)
    assert [tag for tag, _ in hostile.found] == [tag for tag, _ in plain.found]


def test_nothing_is_fetched(page):
    elements = Elements()
    elements.feed(page)
    for tag, attributes in elements.found:
        assert "src" not in attributes, tag
        assert attributes.get("href", "#").startswith(("#", "data:")), tag


def test_only_hashed_scripts_may_run(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert "default-src &#x27;none&#x27;" in policy
    scripts = re.search(r"script-src ([^;]*(?:;(?<=x27;)[^;]*)*)", policy)[1]
    assert "unsafe" not in scripts
    assert scripts.count("sha256-") == 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(JSON)
def test_data_is_restored_and_contains_no_tag(value):
    text = data_text(value)
    assert "<" not in text
    assert json.loads(text) == value
