"""Bitext from gettext catalogues, as text (.po) or compiled (.mo): message -> translation.

The header, fuzzy, obsolete and untranslated messages give no pair. The singular pairs with the first form, the
plural with the last; further forms are left out.
"""

import codecs
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from optical_sweeps.corpora.readers.bitext import Pair
from optical_sweeps.corpora.readers.lines import BYTE_ORDER_MARK, Fault
from optical_sweeps.corpora.readers.opening import Damaged, open_bytes, unreadable
from optical_sweeps.errors import UserError

MO_MAGIC = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}
KEYWORD = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr(?:\[(\d{1,3})\])?)\s*(".*)')
ESCAPE = re.compile(r'\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(["\\abfnrtv?\']))')
SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def gettext_pairs(path: Path) -> Iterator[Pair | Fault]:
    """Pairs from a catalogue; its first bytes say whether it is compiled.

    Raises:
        UserError: the file cannot be read, or names an unknown character set.
    """
    try:
        with open_bytes(path) as file:
            data = file.read()  # catalogues are small
    except Damaged as error:
        raise UserError(f"{path}: {error}; fetch the file again") from None
    except OSError as error:
        raise unreadable(path, error) from None
    messages = _mo_messages(path, data) if data[:4] in MO_MAGIC else _po_messages(path, data)
    for message in messages:
        yield from (message,) if isinstance(message, Fault) else message.pairs()


@dataclass
class _Message:
    """One entry of a catalogue, under way or whole."""

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


def _po_messages(path: Path, data: bytes) -> Iterator[_Message | Fault]:
    charset = _charset(path, data.decode("ascii", "replace"))
    message, fuzzy, target = _Message(), False, None
    for number, raw in enumerate(data.removeprefix(BYTE_ORDER_MARK).split(b"\n"), start=1):
        try:
            line = raw.decode(charset).strip()
        except UnicodeError:
            yield Fault("not_utf8", f"{path}:{number}: not {charset}; convert the file")
            message, target = _Message(), None
            continue
        if line.startswith("#") or not line:
            if line.startswith("#,"):
                fuzzy = fuzzy or "fuzzy" in line[2:].replace(",", " ").split()
            continue
        found = KEYWORD.fullmatch(line)
        if found and (found[1] in ("msgctxt", "msgid")) and target not in (None, "msgctxt"):
            yield message
            message, target = _Message(), None
        if found:
            target, line = found[1], found[3]
            message.fuzzy, fuzzy = message.fuzzy or fuzzy, False
        text = _unquoted(line)
        if text is None or target is None:
            yield Fault("gettext", f"{path}:{number}: no line of a catalogue; mend or delete it")
            message, target = _Message(), None
            continue
        _add(message, target, text)
    yield message


def _add(message: _Message, target: str, text: str) -> None:
    if target == "msgid":
        message.singular = (message.singular or "") + text
    elif target == "msgid_plural":
        message.plural = (message.plural or "") + text
    elif target.startswith("msgstr"):
        form = int(target[7:-1] or 0) if "[" in target else 0
        message.forms[form] = message.forms.get(form, "") + text


def _unquoted(line: str) -> str | None:
    """The text of a quoted string; None where the quotes are not closed or stand inside unescaped."""
    if not re.fullmatch(r'"(?:[^"\\]|\\.)*"', line):
        return None
    return ESCAPE.sub(_escaped, line[1:-1])


def _escaped(found: re.Match[str]) -> str:
    if found[1] is not None:
        return chr(int(found[1], 8))
    if found[2] is not None:
        return chr(int(found[2], 16))
    return SIMPLE.get(found[3], found[3])


def _charset(path: Path, text: str) -> str:
    """The character set that the header names; UTF-8 where there is none (or a template's CHARSET)."""
    found = re.search(r"Content-Type:[^\n\"]*charset=([\w.:-]+)", text)
    name = found[1] if found and found[1] != "CHARSET" else "utf-8"
    try:
        b"".decode(name)  # refuses codecs that are not of text, which a look-up would find
        return codecs.lookup(name).name
    except (LookupError, UnicodeError):
        raise UserError(f"{path}: the character set {name!r} is unknown; convert the file to UTF-8") from None


def _mo_messages(path: Path, data: bytes) -> Iterator[_Message | Fault]:
    """Two tables of (length, offset), one of messages and one of translations."""
    order = MO_MAGIC[data[:4]]
    try:
        count, originals, translations = struct.unpack_from(f"{order}3I", data, 8)
        if max(originals, translations) + 8 * count > len(data):
            raise struct.error("its tables lie beyond its end")
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
