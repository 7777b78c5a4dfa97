"""Bitext from gettext catalogues, as text (.po) or compiled (.mo): message -> translation.

The header and fuzzy, obsolete and untranslated messages give no pair. The singular is paired with the first
form and the plural with the last; other forms are skipped.
"""

import codecs
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from optical_sweeps.corpora.readers.bitext import Pair
from optical_sweeps.corpora.readers.lines import BYTE_ORDER_MARK, Fault
from optical_sweeps.corpora.readers.opening import open_bytes
from optical_sweeps.errors import UserError

MO_MAGIC = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}
KEYWORD = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr(?:\[(\d{1,3})\])?)\s*(".*)')
ESCAPE = re.compile(r'\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(["\\abfnrtv?\']))')
SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def gettext_pairs(path: Path) -> Iterator[Pair | Fault]:
    """Pairs from a catalogue; its first bytes tell whether it is compiled.

    Raises:
        UserError: the file cannot be read, or names an unknown character set.
    """
    with open_bytes(path) as file:
        data = file.read()  # catalogues are small
    messages = _mo_messages(path, data) if data[:4] in MO_MAGIC else _po_messages(path, data)
    for message in messages:
        yield from (message,) if isinstance(message, Fault) else message.pairs()


@dataclass
class _Message:
    """One entry of a catalogue, possibly incomplete."""

    singular: str | None = None
    plural: str | None = None
    forms: dict[int, str] = field(default_factory=dict)
    fuzzy: bool = False

    def pairs(self) -> Iterator[Pair]:
        if self.fuzzy or not self.singular or not self.forms:
            return
        last = max(self.forms)
        sides = [(self.singular, self.forms.get(0, ""))]
        if self.plural is not None and last > 0:
            sides.append((self.plural, self.forms[last]))
        for english, translation in sides:
            pair = " ".join(english.split()), " ".join(translation.split())
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
