"""Texts for messages: those of files and users, made harmless for a terminal, and numbers of things."""

import re

from optical_sweeps.redaction import redacted

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def plain_text(text: str) -> str:
    """The text with control characters written as in JSON; only tabs and line feeds stay.

    These characters move the cursor, set the clipboard or the title, or reverse the order of what is shown.
    JSON stays the same JSON.

    >>> plain_text("a" + chr(27) + "[2Jb")
    'a\\\\u001b[2Jb'
    """
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def message_text(text: str) -> str:
    """A message for a terminal or a log, without control characters and secrets.

    >>> message_text("cannot open https://me:word@host/" + chr(7))
    'cannot open https://[hidden]@host/\\\\u0007'
    """
    return plain_text(redacted(text))


def count_text(number: int, what: str) -> str:
    """A number of things, which form their plural with an s.

    >>> count_text(1, "run"), count_text(1_200, "grid point")
    ('1 run', '1,200 grid points')
    """
    return f"{number:,} {what}{'s' * (number != 1)}"
