"""Lines of a text file, however it is packed, with strict UTF-8."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.corpora.readers.opening import Damaged, open_bytes, unreadable
from optical_sweeps.errors import UserError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Fault:
    """Something in a file that cannot be used: a kind to count it by, and the one line for a person."""

    kind: str
    message: str


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without its end) of a file: plain, gzip, Zstandard or zip.

    Lines end at a line feed only, with an optional carriage return before it: other Unicode line separators
    do occur inside sentences, and splitting there would shift a bitext.

    Raises:
        UserError: the file cannot be opened, is empty, is damaged or is not UTF-8 (with the line).
    """
    for number, line in lines_or_faults(path):
        if isinstance(line, Fault):
            raise UserError(line.message)
        yield number, line


def lines_or_faults(path: Path) -> Iterator[tuple[int, str | Fault]]:
    """As `read_lines`, but a line that is not UTF-8 comes as a fault.

    Raises:
        UserError: the file cannot be opened, is empty or is damaged.
    """
    number = 0
    try:
        with open_bytes(path) as file:
            for number, line in enumerate(file, start=1):
                yield number, _decoded(path, number, line)
    except Damaged as error:
        raise UserError(f"{path}:{number + 1}: {error}; fetch the file again") from None
    except OSError as error:
        raise unreadable(path, error) from None
    if number == 0:
        raise UserError(f"{path}: the file is empty; give it at least one line")


def columns(path: Path, number: int, line: str, names: tuple[str, ...]) -> list[str]:
    """The tab-separated fields of a line, one for each name, none of them blank.

    Raises:
        UserError: another number of fields, or a blank one.
    """
    fields = columns_or_fault(path, number, line, names)
    if isinstance(fields, Fault):
        raise UserError(fields.message)
    return fields


def columns_or_fault(path: Path, number: int, line: str, names: tuple[str, ...]) -> list[str] | Fault:
    """As `columns`, but what is wrong with the line comes as a fault."""
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) != len(names):
        return Fault(
            "columns",
            f"{path}:{number}: {len(fields)} columns where {len(names)} are due ({', '.join(names)}); "
            "separate them by one tab each and take tabs out of the texts",
        )
    for name, field in zip(names, fields, strict=True):
        if not field:
            return Fault("blank", f"{path}:{number}: the column {name!r} is empty; fill it or delete the line")
    return fields


def _decoded(path: Path, number: int, line: bytes) -> str | Fault:
    if number == 1:
        line = line.removeprefix(BYTE_ORDER_MARK)
    try:
        return line.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        return Fault(
            "not_utf8",
            f"{path}:{number}: not UTF-8 (byte 0x{byte:02x} at position {error.start + 1}); "
            "convert the file, for example with iconv",
        )
