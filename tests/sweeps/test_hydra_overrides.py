"""Overrides as people write them: values in any script, removed sections, names of sweeps, Hydra's flags."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.commands.arguments import parse, parser_of
from optical_sweeps.commands.registry import COMMANDS
from optical_sweeps.errors import UserError
from optical_sweeps.sweeps.expand import expand
from optical_sweeps.sweeps.grid_planning import plan_grid
from optical_sweeps.sweeps.hydra_app import hydra_app
from optical_sweeps.sweeps.override_text import quoted_overrides
from tests.support.command_line import invoke

SCRIPTS = (
    "données",
    "데이터",
    "بيانات",
    "データ/日本",
    "हिन्दी फ़ाइल",
    "x/été d'hier",
    'a"é"',
    "{language}/x",
    "é=1",
    "é #2",
)


def value_of(word: str) -> object:
    """The value that Hydra reads."""
    value = OverridesParser.create().parse_override(word)._value
    return value.text if isinstance(value, QuotedString) else value


@pytest.mark.parametrize("text", SCRIPTS)
def test_a_value_in_any_script_is_read_as_written(text):
    assert value_of(*quoted_overrides([f"data.root={text}"])) == text


@given(st.text(st.characters(min_codepoint=0xA0, categories=("L", "M", "N")), min_size=1))
def test_every_word_outside_ascii_is_read_as_written(text):
    assert value_of(*quoted_overrides([f"+a.b={text}"])) == text


@pytest.mark.parametrize(
    "word",
    [
        "seed=1", "a=[1,2]", "a={b:1}", "a=${b}", "a='été'", 'a="é,è"', "~a", "--cfg=é", "-cn", "é", "a=",
        "a=1,2", "a={é:1}",
    ],
)  # fmt: skip
def test_everything_else_is_left_to_hydra(word):
    assert quoted_overrides([word]) == [word]


def test_elements_of_lists_and_sweeps_are_quoted_one_by_one(app):
    assert quoted_overrides(["a=[한국어,ko]"]) == ['a=["한국어",ko]']
    points = expand({"a": "가,나"}, ["b=choice(é,x)"], app.loader)
    assert points == [('a="가"', 'b="é"'), ('a="가"', "b=x"), ('a="나"', 'b="é"'), ('a="나"', "b=x")]


@pytest.mark.parametrize("text", ["données", "데이터", "بيانات", "{language}"])
def test_a_composed_config_has_the_value_as_written(text):
    with hydra_app(overrides=[f"paths.artifacts={text}"]) as started:
        assert started.master.paths.artifacts == text


@pytest.mark.parametrize("word", ["données=1", "~été", "data={é: 1}", "+데이터.x=1"])
def test_a_key_outside_ascii_is_refused_in_plain_words(word):
    with pytest.raises(UserError, match="not key=value; keys, also those of a dict, are ASCII") as error:
        hydra_app(overrides=[word]).__enter__()
    assert str(error.value).startswith(word)


def refusal_of(*overrides: str) -> str:
    """The line with which a grid of one point is refused."""
    with pytest.raises(UserError) as error, hydra_app(overrides=overrides) as started:
        plan_grid(started.master, started.loader, started.overrides)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "key",
    [
        "logger", "objective", "sweep", "paths", "index", "data", "languages", "backbone", "encoder", "teacher",
        "student", "mixture", "training", "evaluation", "machine", "seed", "run_type", "sweep.name",
        "paths.sweeps", "paths.artifacts",
    ],
)  # fmt: skip
def test_a_removed_section_is_named(key):
    assert key.split(".")[0] in refusal_of(f"~{key}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "sweep.name: no value"),
        ("a" * 260, "sweep.name: aaaaaaaaaaaaaaaaaaaa... has 260 bytes"),
        ("한" * 90, "270 bytes"),
        ("..", "sweep.name: .. is no folder below paths.sweeps; choose another name"),
        (".", "sweep.name: . is no folder below"),
        ("a/../../b", "sweep.name: a/../../b is no folder below"),
        ("/tmp/runs", "sweep.name: /tmp/runs is no folder below"),
    ],
)
def test_a_sweeps_name_that_no_folder_can_have_is_refused(name, message):
    assert message in refusal_of(f"sweep.name={name}", "logger=disabled")


@pytest.mark.parametrize("words", [("-m", "--cfg", "job"), ("--cfg=job", "--multirun"), ("--info", "-m")])
def test_printing_and_sweeping_exclude_each_other(words, tmp_path):
    done = invoke(tmp_path, "train", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert "leave out -" in done.err


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.config is None])
def test_the_short_and_the_long_flag_of_the_config_folder_go_together(name):
    if "--config-dir" in (options := parser_of(name)._option_string_actions):
        assert options["-cd"] is options["--config-dir"]


def test_the_short_flag_is_understood():
    assert parse("sweep plan", ["-cd", "conf", "seed=1"])["config_dir"] == "conf"
