"""Installed fonts that can show a text.

matplotlib takes each letter from the first font of a list that has it; this module reads from the font files
which fonts those are. Figures with only Latin, Greek or Cyrillic text are the same on every machine, because
their font comes with matplotlib.
"""

from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby

DEFAULT = "DejaVu Sans"
PREFERRED = ("Noto Sans", "Noto Naskh Arabic", "Liberation Sans", "Arial", "Hiragino Sans", "Microsoft YaHei")
"""Prefixes of the font families to try first, in this order; the others follow by name."""
_EXCLUDED = ("Last Resort", "Adobe Blank", "STIX", "cm")
"""Fonts that draw a box for every letter, and fonts for formulae."""
_REGULAR = 400


def families_for(texts: Iterable[str]) -> tuple[list[str], set[str]]:
    """Font families that together show the texts, the default first, and the letters that no font has."""
    needed = {ord(letter) for text in texts for letter in text if not letter.isspace()}
    files = _font_files()
    families, missing = [DEFAULT], needed - _code_points(files[DEFAULT])
    for family in files if missing else ():
        if shown := missing & _code_points(files[family]):
            families.append(family)
            missing -= shown
        if not missing:
            break
    return families, {chr(point) for point in missing}


def romanised(text: str, missing: set[str]) -> str:
    """The text with its missing letters in Latin script, or as code points without the package `anyascii`.

    >>> romanised("aก", {"ก"}) in ("ak", "a<0E01>")
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
def _font_files() -> dict[str, str]:
    """Family -> its upright file of regular weight, the preferred families first."""
    from matplotlib.font_manager import fontManager

    files: dict[str, str] = {}
    for entry in sorted(fontManager.ttflist, key=lambda entry: (entry.name, entry.fname)):
        upright = entry.style == "normal" and entry.stretch in ("normal", 0) and entry.weight == _REGULAR
        if upright and not entry.name.startswith(_EXCLUDED):
            files.setdefault(entry.name, entry.fname)

    def rank(name: str) -> tuple[int, str]:
        places = [place for place, prefix in enumerate(PREFERRED) if name.startswith(prefix)]
        return (places[0] if places else len(PREFERRED), name)

    return {name: files[name] for name in sorted(files, key=rank)}


@lru_cache(maxsize=512)
def _code_points(file: str) -> frozenset[int]:
    """The code points that a font has."""
    from matplotlib.font_manager import get_font

    return frozenset(get_font(file).get_charmap())
