"""Lines of a plain or compressed text file, in strict UTF-8."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from optical_sweeps.corpora.readers.opening import DamagedFileError, open_bytes
from optical_sweeps.errors import UserError
from optical_sweeps.limits import limit, remedy
from optical_sweeps.terminal_text import count_text

T = TypeVar("T")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Fault:
    """A part of a file that cannot be used: a kind to count it by, and a message with place and remedy."""

    kind: str
    message: str


def usable(value: T | Fault) -> T:
    """`value`, unless it is a fault.

    Raises:
        UserError: it is a fault.
    """
    if isinstance(value, Fault):
        raise UserError(value.message)
    return value


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without its end) of a plain or compressed file.

    Only a line feed ends a line, after an optional carriage return. Other Unicode line separators occur inside
    sentences, and splitting there would misalign a bitext.

    Raises:
        UserError: the file cannot be opened, is empty, is damaged or is not UTF-8 (with the line).
    """
    return ((number, usable(line)) for number, line in lines_or_faults(path))


def lines_or_faults(path: Path) -> Iterator[tuple[int, str | Fault]]:
    """Like `read_lines`, but yields a fault for a line that is not UTF-8.

    Raises:
        UserError: the file cannot be opened, is empty or is damaged.
    """
    return ((number, decoded(path, number, line)) for number, line in enumerate(raw_lines(path), start=1))


def raw_lines(path: Path, may_be_empty: bool = False) -> Iterator[bytes]:
    """The lines of a file as bytes, with their ends; raises as `lines_or_faults` does."""
    number = 0
    try:
        with open_bytes(path) as file:
            longest = limit("LINE_BYTES")
            while line := file.readline(longest + 1):
                number += 1
                if len(line) > longest:
                    raise UserError(f"{path}:{number}: longer than {longest} bytes; {remedy('LINE_BYTES')}")
                yield line
    except DamagedFileError as error:
        raise UserError(f"{path}:{number + 1}: {error.reason}; fetch the file again") from None
    if number == 0 and not may_be_empty:
        raise UserError(f"{path}: the file is empty; give it at least one line")


def columns(path: Path, number: int, line: str, names: tuple[str, ...]) -> list[str] | Fault:
    """The tab-separated fields of a line, one for each name and none of them blank, or a fault."""
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) != len(names):
        expected = f"{len(names)} are expected ({', '.join(names)})"
        return wrong_columns(f"{path}:{number}", line, len(fields), expected)
    for name, field in zip(names, fields, strict=True):
        if not field:
            return Fault("blank", f"{path}:{number}: the column {name!r} is empty; fill it or delete the line")
    return fields


def wrong_columns(place: str, line: str, count: int, expected: str) -> Fault:
    """The fault of a line with a wrong number of tab-separated columns.

    >>> wrong_columns("a.tsv:1", " ", 1, "2 are expected").message
    'a.tsv:1: the line is empty; delete it'
    """
    if not line.strip():
        return Fault("blank", f"{place}: the line is empty; delete it")
    no_tab = ": the line has no tab" if count == 1 else ""
    return Fault(
        "columns",
        f"{place}: {count_text(count, 'column')} where {expected}{no_tab}; separate them by one tab each "
        "and remove tabs from the texts",
    )


def decoded(path: Path, number: int, line: bytes) -> str | Fault:
    """A line without its end, or a fault if it is not UTF-8."""
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
