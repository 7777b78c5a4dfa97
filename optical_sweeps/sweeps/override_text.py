"""Override values that Hydra's grammar refuses although a person means them as plain text.

The grammar's unquoted values are ASCII letters, digits and a few marks, so that `data.root=データ` and
`data.root={language}/x` end in an error of its lexer. Such a value is quoted before Hydra reads it.
"""

import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hydra.errors import HydraException

PLACEHOLDER = re.compile(r"(?<!\$)\{\w+\}")
ELEMENT = re.compile(r"""(?:(?<!\$)\{\w+\}|[^,\[\](){}:="'\s]|(?<=[^,\[\](\s])[ ]+(?=[^,\[\])\s]))+""")
"""An unquoted value, alone or between the marks of a list, a sweep or a function."""
BRACKETS = {"[": "]", "{": "}"}


def quoted_overrides(words: Sequence[str]) -> list[str]:
    """The command line's words, in which values that are plain text in any script are quoted.

    Only an override that Hydra cannot parse changes, and only if its value has a letter outside ASCII or a
    placeholder such as `{language}`.

    >>> quoted_overrides(["seed=1", "data.root=été", "languages.low=[한국어,ko]", "-cd", "été"])
    ['seed=1', 'data.root="été"', 'languages.low=["한국어",ko]', '-cd', 'été']
    >>> quoted_overrides(["data.root={language}/x"])
    ['data.root="{language}/x"']
    """
    return [word if word.startswith("-") or "=" not in word else _quoted(word) for word in words]


def _quoted(word: str) -> str:
    key, _, value = word.partition("=")
    if not _needs_quotes(value) or _parses(word):
        return word
    by_element = ELEMENT.sub(lambda match: _text(match[0]) if _needs_quotes(match[0]) else match[0], value)
    if _parses(f"{key}={by_element}"):
        return f"{key}={by_element}"
    is_container = BRACKETS.get(value[0]) == value[-1] and not PLACEHOLDER.fullmatch(value)
    whole = f"{key}={_text(value)}"
    return whole if not is_container and _reads_as(whole, value) else word


def _needs_quotes(value: str) -> bool:
    return not value.isascii() or PLACEHOLDER.search(value) is not None


def _text(value: str) -> str:
    """A quoted string of Hydra's grammar."""
    return '"' + value.replace('"', '\\"') + '"'


def _parses(word: str) -> bool:
    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        return False
    return True


def _reads_as(word: str, value: str) -> bool:
    """Whether the override is a quoted string with this text; a backslash before a quote changes it."""
    try:
        parsed = OverridesParser.create().parse_override(word)._value
    except HydraException:
        return False
    return isinstance(parsed, QuotedString) and parsed.text == value
