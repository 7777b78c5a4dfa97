"""Bitext from TMX (Translation Memory eXchange 1.4), one translation unit at a time.

The parser fetches nothing and expands no entity. It refuses a file that declares one, so that a small file can
neither grow in memory (the billion laughs attack) nor read other files. A DOCTYPE that names the TMX DTD is
ignored.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

from optical_sweeps.corpora.language_tags import matches, same_tag
from optical_sweeps.corpora.languages import ENGLISH
from optical_sweeps.corpora.readers.bitext import Pair
from optical_sweeps.corpora.readers.lines import Fault
from optical_sweeps.corpora.readers.opening import CHUNK, open_bytes
from optical_sweeps.errors import UserError

NATIVE_CODE = frozenset({"bpt", "ept", "ph", "it", "ut"})
"""Elements inside a segment that contain mark-up of the original, not text."""


def tmx_pairs(path: Path, language: str) -> Iterator[Pair | Fault]:
    """Pairs from translation units that have English and `language`, by `xml:lang` (`en-US` is English).

    Languages are compared as BCP 47 tags (`pt_BR` matches `PT-br` and `por-BR`). Units that lack one of the two
    languages are skipped; several variants of a language are paired in order, after segments of its own tag.

    Raises:
        UserError: the file cannot be read, or declares an entity.
    """
    units = _Units(path, language)
    try:
        with open_bytes(path) as file:
            while chunk := file.read(CHUNK):
                units.parser.Parse(chunk, False)
                yield from units.take_pairs()
            units.parser.Parse(b"", True)
            yield from units.take_pairs()
        yield from units.missing_languages()
    except expat.ExpatError as error:
        yield from units.take_pairs()
        reason = expat.errors.messages.get(error.code, error.code)
        yield Fault("xml", f"{path}:{error.lineno}: not XML ({reason}); fetch the file again or correct it")


class _Units:
    """Collects the pairs of the units that are complete while the parser reads."""

    def __init__(self, path: Path, language: str) -> None:
        self.path, self.languages = path, (ENGLISH, language)
        self.codes: set[str] = set()
        self.seen: set[str] = set()
        self.pairs: list[Pair | Fault] = []
        self.segments: list[tuple[str, str]] = []
        self.code: str | None = None
        self.text: list[str] | None = None
        self.native_depth = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters
        self.parser.EntityDeclHandler = self.refuse_entity
        self.parser.SkippedEntityHandler = self.skip_entity

    def take_pairs(self) -> list[Pair | Fault]:
        pairs, self.pairs = self.pairs, []
        return pairs

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "tu":
            self.segments = []
        elif name == "tuv":
            self._start_variant(attributes.get("xml:lang") or attributes.get("lang") or "")
        elif name == "seg" and self.code is not None:
            self.text, self.native_depth = [], 0
        elif self.text is not None and name in NATIVE_CODE:
            self.native_depth += 1

    def end(self, name: str) -> None:
        if name == "tu":
            self._finish_unit()
        elif name == "tuv":
            self.code = None
        elif name == "seg" and self.text is not None and self.code is not None:
            self.segments.append((self.code, " ".join("".join(self.text).split())))
            self.text = None
        elif self.text is not None and name in NATIVE_CODE:
            self.native_depth -= 1

    def characters(self, data: str) -> None:
        if self.text is not None and not self.native_depth:
            self.text.append(data)

    def refuse_entity(self, name: str, *_: object) -> None:
        line = self.parser.CurrentLineNumber
        raise UserError(f"{self.path}:{line}: declares the entity {name!r}; remove the declarations")

    def skip_entity(self, name: str, is_parameter_entity: int) -> None:
        if not is_parameter_entity:
            self._fault("xml", f"the entity &{name}; is not declared; write the character")
            self.text = None  # the segment would lack a part

    def missing_languages(self) -> Iterator[Fault]:
        """A fault if the file has segments, but none in one of the two languages."""
        missing = [language for language in self.languages if language not in self.seen]
        if missing and self.codes:
            yield Fault(
                "language",
                f"{self.path}: no segment in {' or '.join(map(repr, missing))}; the file has "
                f"{', '.join(sorted(self.codes))}; name the language as one of these",
            )

    def _start_variant(self, code: str) -> None:
        known = [language for language in self.languages if matches(code, language)]
        self.codes.add(code)
        self.seen.update(known)
        self.code = code if known else None

    def _segments_of(self, language: str) -> list[str]:
        """The unit's segments of a language, those of its own tag first."""
        texts = [
            (not same_tag(code, language), text) for code, text in self.segments if matches(code, language)
        ]
        return [text for _, text in sorted(texts, key=lambda item: item[0])]

    def _finish_unit(self) -> None:
        english, translations = map(self._segments_of, self.languages)
        for pair in zip(english, translations, strict=False):
            if all(pair):
                self.pairs.append(pair)
            else:
                self._fault("blank", "a segment is empty; fill it or delete the unit")
        self.segments = []

    def _fault(self, kind: str, problem: str) -> None:
        self.pairs.append(Fault(kind, f"{self.path}:{self.parser.CurrentLineNumber}: {problem}"))
