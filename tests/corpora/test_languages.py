"""The languages and path patterns of settings: a bad value gives one line that names the key."""

from typing import Annotated

import pytest

from optical_sweeps.checks import Strings
from optical_sweeps.corpora.languages import (
    TargetLanguages,
    chosen_language,
    known_languages,
    requested_language,
)
from optical_sweeps.corpora.path_patterns import check_pattern, placeholders
from optical_sweeps.errors import UserError
from optical_sweeps.settings import settings
from tests.support.user_errors import failure


@settings("data")
class Example:
    targets: TargetLanguages = ("de",)
    known: Annotated[Strings, known_languages(("fr", "de", "en"), "the source")] = ("fr",)
    pattern: Annotated[str, placeholders("language")] = "{language}.tsv"


def test_good_values_are_kept():
    example = Example(targets=["de", "fr"], known=["en"], pattern="{language}/a.tsv")
    assert (example.targets, example.known, example.pattern) == (("de", "fr"), ("en",), "{language}/a.tsv")
    requested_language("de", ("de", "fr"))
    check_pattern("k", "{language}/{split}", {"language", "split"}, needs={"split"})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"targets": []}, "data.targets: the list is empty"),
        ({"targets": ["en"]}, "data.targets: 'en' is the teacher's language"),
        ({"targets": "de"}, "data.targets: 'de' is not a list"),
        ({"targets": ["de", False]}, "data.targets: False is not a string; put it in quotes"),
        ({"known": []}, "data.known: the list is empty"),
        ({"known": ["xx"]}, "data.known: unknown language 'xx'; the source has de, en, fr"),
        (
            {"pattern": "{split}"},
            "data.pattern: '{split}' has the unknown placeholder {split}; known: {language}",
        ),
        ({"pattern": "a{"}, "data.pattern: 'a{' is not a pattern"),
        ({"pattern": ""}, "data.pattern: '' is not a path"),
    ],
)
def test_bad_values_name_their_key(values, message):
    with pytest.raises(UserError) as error:
        Example(**values)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_language_that_is_not_configured_is_named():
    with pytest.raises(UserError, match=r"^data\.languages: 'fr' is requested but not listed \(de\); add it"):
        requested_language("fr", ("de",))


@pytest.mark.parametrize("code", ["deu", "ger", "DE"])
@pytest.mark.parametrize(
    "refuse",
    [
        lambda code: requested_language(code, ("fr", "de")),
        lambda code: chosen_language("language", code, ("fr", "de")),
        lambda code: Example(known=[code]),
    ],
)
def test_another_spelling_of_a_language_names_the_right_one(code, refuse):
    assert failure(lambda: refuse(code)).endswith("; did you mean de?")


def test_a_pattern_must_have_the_placeholders_that_it_needs():
    with pytest.raises(UserError, match=r"^k: 'a' has no \{split\}, so every split would read one file"):
        check_pattern("k", "a", {"split"}, needs={"split"})
