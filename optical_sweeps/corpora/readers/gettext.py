"""Bitext from gettext catalogues, as text (.po) or compiled (.mo): message -> translation.

The header and fuzzy, obsolete and untranslated messages give no pair. `Plural-Forms` of the header is
evaluated: the English singular is paired with the form for 1, the plural with the form of most numbers from 2
to 100; other forms are skipped.
"""

import codecs
import gettext
import re
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from optical_sweeps.corpora.readers.bitext import Pair
from optical_sweeps.corpora.readers.lines import BYTE_ORDER_MARK, Fault
from optical_sweeps.corpora.readers.opening import open_bytes
from optical_sweeps.corpora.well_formed import well_formed
from optical_sweeps.errors import UserError

MO_MAGIC = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}
KEYWORD = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr(?:\[(\d{1,3})\])?)\s*(".*)')
ESCAPE = re.compile(r'\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(["\\abfnrtv?\']))')
PLURAL_FORMS = re.compile(r"^Plural-Forms:.*?plural\s*=\s*([^;\n]*)", re.IGNORECASE | re.MULTILINE)
MANY = range(2, 101)
SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def gettext_pairs(path: Path) -> Iterator[Pair | Fault]:
    """Pairs from a catalogue; its first bytes tell whether it is compiled.

    Raises:
        UserError: the file cannot be read, or names an unknown character set.
    """
    with open_bytes(path) as file:
        data = file.read()  # catalogues are small
    messages = _mo_messages(path, data) if data[:4] in MO_MAGIC else _po_messages(path, data)
    yield from _with_pairs(path, messages)


@dataclass
class _Message:
    """One entry of a catalogue, possibly incomplete."""

    singular: str | None = None
    plural: str | None = None
    forms: dict[int, str] = field(default_factory=dict)
    fuzzy: bool = False

    def pairs(self, plural_forms: "_PluralForms") -> Iterator[Pair]:
        if self.fuzzy or not self.singular or not self.forms:
            return
        sides = [(self.singular, self.forms.get(0 if self.plural is None else plural_forms.of_one, ""))]
        if self.plural is not None:
            sides.append((self.plural, self.forms.get(plural_forms.of_many, "")))
        for english, translation in sides:
            pair = _one_line(english), _one_line(translation)
            if all(pair):
                yield pair

    def append(self, keyword: str, text: str) -> None:
        if keyword == "msgid":
            self.singular = (self.singular or "") + text
        elif keyword == "msgid_plural":
            self.plural = (self.plural or "") + text
        elif keyword.startswith("msgstr"):
            form = int(keyword[7:-1] or 0) if "[" in keyword else 0
            self.forms[form] = self.forms.get(form, "") + text


@dataclass(frozen=True)
class _PluralForms:
    """The numbers of the forms that translate an English singular and an English plural."""

    of_one: int
    of_many: int

    @classmethod
    def of_header(cls, header: str) -> "_PluralForms":
        """From the field `Plural-Forms`; gettext's own default, as in English, if there is none.

        Raises:
            ValueError: its expression cannot be evaluated.
        """
        match = PLURAL_FORMS.search(header)
        if match is None or match[1].strip() == "EXPRESSION":  # of an unfilled template
            return cls(0, 1)
        try:
            form_of = gettext.c2py(match[1])
            forms = Counter(int(form_of(number)) for number in MANY)
            return cls(int(form_of(1)), max(forms, key=lambda form: (forms[form], -form)))
        except (ValueError, ArithmeticError, RecursionError, SyntaxError) as error:
            raise ValueError(str(error) or type(error).__name__) from None


def _with_pairs(path: Path, messages: Iterable[_Message | Fault]) -> Iterator[Pair | Fault]:
    plural_forms: _PluralForms | None = _PluralForms.of_header("")
    for message in messages:
        if isinstance(message, Fault):
            yield message
        elif message.singular == "":  # the header, which is the first entry
            try:
                plural_forms = _PluralForms.of_header(message.forms.get(0, ""))
            except ValueError as error:
                plural_forms = None
                yield Fault(
                    "gettext", f"{path}: Plural-Forms cannot be evaluated ({error}); correct the header"
                )
        elif plural_forms is not None or message.plural is None:
            yield from message.pairs(plural_forms or _PluralForms(0, 0))


def _one_line(text: str) -> str:
    return " ".join(well_formed(text).split())


def _po_messages(path: Path, data: bytes) -> Iterator[_Message | Fault]:
    charset = _charset(path, data.decode("ascii", "replace"))
    message, fuzzy, keyword = _Message(), False, None
    for number, raw in enumerate(data.removeprefix(BYTE_ORDER_MARK).split(b"\n"), start=1):
        try:
            line = raw.decode(charset).strip()
        except UnicodeError:
            yield Fault("not_utf8", f"{path}:{number}: not {charset}; convert the file")
            message, keyword = _Message(), None
            continue
        if line.startswith("#") or not line:
            if line.startswith("#,"):
                fuzzy = fuzzy or "fuzzy" in line[2:].replace(",", " ").split()
            elif line.startswith("#~"):  # a line of an obsolete entry, whose mark it was
                fuzzy = False
            continue
        match = KEYWORD.fullmatch(line)
        if match and (match[1] in ("msgctxt", "msgid")) and keyword not in (None, "msgctxt"):
            yield message
            message, keyword = _Message(), None
        if match:
            keyword, line = match[1], match[3]
            message.fuzzy, fuzzy = message.fuzzy or fuzzy, False
        text = _unquoted(line)
        if text is None or keyword is None:
            yield Fault("gettext", f"{path}:{number}: not a line of a catalogue; correct or delete it")
            message, keyword = _Message(), None
            continue
        message.append(keyword, text)
    yield message


def _unquoted(line: str) -> str | None:
    """The text of a quoted string; None if a quote is not closed or not escaped."""
    if not re.fullmatch(r'"(?:[^"\\]|\\.)*"', line):
        return None
    return ESCAPE.sub(_unescaped, line[1:-1])


def _unescaped(match: re.Match[str]) -> str:
    if match[1] is not None:
        return chr(int(match[1], 8))
    if match[2] is not None:
        return chr(int(match[2], 16))
    return SIMPLE.get(match[3], match[3])


def _charset(path: Path, text: str) -> str:
    """The character set that the header names; UTF-8 if it names none (or a template's CHARSET)."""
    match = re.search(r"Content-Type:[^\n\"]*charset=([\w.:-]+)", text)
    name = match[1] if match and match[1] != "CHARSET" else "utf-8"
    try:
        b"".decode(name)  # refuses codecs that do not give text, such as base64; the look-up accepts them
        return codecs.lookup(name).name
    except (LookupError, UnicodeError):
        raise UserError(f"{path}: the character set {name!r} is unknown; convert the file to UTF-8") from None


def _mo_messages(path: Path, data: bytes) -> Iterator[_Message | Fault]:
    """Read two tables of (length, offset), one of messages and one of translations."""
    order = MO_MAGIC[data[:4]]
    try:
        count, originals, translations = struct.unpack_from(f"{order}3I", data, 8)
        if max(originals, translations) + 8 * count > len(data):
            raise struct.error("its tables extend beyond its end")
    except struct.error as error:
        yield Fault("gettext", f"{path}: damaged catalogue ({error}); fetch or compile it again")
        return
    charset = _charset(path, _mo_text(data, order, translations).decode("ascii", "replace"))
    for index in range(count):
        sides = (_mo_text(data, order, table + 8 * index) for table in (originals, translations))
        try:
            texts = [side.decode(charset) for side in sides]
        except UnicodeError:
            yield Fault("not_utf8", f"{path}: message {index + 1} is not {charset}; convert the catalogue")
            continue
        ids = texts[0].rpartition("\x04")[2].split("\0")
        yield _Message(ids[0], ids[1] if len(ids) > 1 else None, dict(enumerate(texts[1].split("\0"))))


def _mo_text(data: bytes, order: str, entry: int) -> bytes:
    if entry + 8 > len(data):
        return b""
    length, offset = struct.unpack_from(f"{order}2I", data, entry)
    return data[offset : offset + length]
