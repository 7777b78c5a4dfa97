"""Standard streams that never raise: a terminal need not be UTF-8, and shows what its encoding has."""

import codecs
import io
import sys

SIMPLER = {"…": "...", "■": "#", "▶": ">", "○": "o", "✗": "x", "▲": "^", "▼": "v", "±": "+-", "−": "-",
           "≈": "~", "·": ".", "—": "-", "–": "-", "“": '"', "”": '"', "‘": "'", "’": "'"}  # fmt: skip
"""What symbols look like where the terminal's encoding lacks them; other characters become escapes."""


def _simplify(error: UnicodeError) -> tuple[str, int]:
    """Replace what cannot be encoded; an error handler of codecs.

    >>> "1…2 猫".encode("ascii", "optical_sweeps.simplify")
    b'1...2 \\\\u732b'
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(
        SIMPLER.get(c) or c.encode("ascii", "backslashreplace").decode() for c in characters
    ), error.end


SIMPLIFY = "optical_sweeps.simplify"
codecs.register_error(SIMPLIFY, _simplify)


def tolerate_encodings() -> None:
    """Let standard output accept every character, and read redirected standard input as UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors != SIMPLIFY:
            stream.reconfigure(errors=SIMPLIFY)
    if isinstance(sys.stdin, io.TextIOWrapper) and not sys.stdin.isatty():
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
