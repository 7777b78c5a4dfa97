"""Fonts that can show a text, of those that this machine has.

matplotlib takes a letter from the first font of a list that has it; which fonts have it is read from the fonts.
Figures with Latin, Greek or Cyrillic text alone are the same everywhere: matplotlib brings that font itself.
"""

from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby

OWN = "DejaVu Sans"
PREFERRED = ("Noto Sans", "Noto Naskh Arabic", "Liberation Sans", "Arial", "Hiragino Sans", "Microsoft YaHei")
"""Beginnings of names of families that are taken first, in this order; others go by name."""
_NEVER = ("Last Resort", "Adobe Blank", "STIX", "cm")
"""Fonts that draw a box for every letter, and fonts of formulae."""
_REGULAR = 400


def families_for(texts: Iterable[str]) -> tuple[list[str], set[str]]:
    """Font families that together show the texts, the usual one first, and the letters that none has."""
    wanted = {ord(letter) for text in texts for letter in text if not letter.isspace()}
    files = _files()
    families, missing = [OWN], wanted - _coverage(files[OWN])
    for family in files if missing else ():
        if shown := missing & _coverage(files[family]):
            families.append(family)
            missing -= shown
        if not missing:
            break
    return families, {chr(point) for point in missing}


def spelt(text: str, missing: set[str]) -> str:
    """The text with letters that no font has in Latin ones, or without `anyascii` by number.

    >>> spelt("aก", {"ก"}) in ("ak", "a<0E01>")
    True
    """
    parts = []
    for absent, run in groupby(text, key=lambda letter: letter in missing):
        letters = "".join(run)
        parts.append(_latin(letters) if absent else letters)
    return "".join(parts)


def _latin(letters: str) -> str:
    try:
        from anyascii import anyascii
    except ImportError:
        return "".join(f"<{ord(letter):04X}>" for letter in letters)
    return str(anyascii(letters)) or "·"


@lru_cache(maxsize=1)
def _files() -> dict[str, str]:
    """The upright file of regular weight of every family that has one, the preferred families first."""
    from matplotlib.font_manager import fontManager

    found: dict[str, str] = {}
    for entry in sorted(fontManager.ttflist, key=lambda entry: (entry.name, entry.fname)):
        upright = entry.style == "normal" and entry.stretch in ("normal", 0) and entry.weight == _REGULAR
        if upright and not entry.name.startswith(_NEVER):
            found.setdefault(entry.name, entry.fname)

    def rank(name: str) -> tuple[int, str]:
        places = [place for place, start in enumerate(PREFERRED) if name.startswith(start)]
        return (places[0] if places else len(PREFERRED), name)

    return {name: found[name] for name in sorted(found, key=rank)}


@lru_cache(maxsize=512)
def _coverage(file: str) -> frozenset[int]:
    """Code points that a font has."""
    from matplotlib.font_manager import get_font

    return frozenset(get_font(file).get_charmap())
