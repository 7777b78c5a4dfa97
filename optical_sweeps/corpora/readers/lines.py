"""Lines of a text file, plain or gzipped, with strict UTF-8."""

import gzip
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from optical_sweeps.errors import UserError

GZIP_MAGIC = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without its end) of a file; it is gzip if it begins as gzip does.

    Lines end at a line feed only, with an optional carriage return before it: other Unicode line separators
    do occur inside sentences, and splitting there would shift a bitext.

    Raises:
        UserError: the file cannot be opened, is empty, is damaged gzip or is not UTF-8 (with the line).
    """
    number = 0
    try:
        with _open(path) as file:
            for number, line in enumerate(file, start=1):
                yield number, _decoded(path, number, line)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}:{number + 1}: damaged gzip ({error}); fetch the file again") from None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path}: cannot be read ({reason}); check the path and its rights") from None
    if number == 0:
        raise UserError(f"{path}: the file is empty; give it at least one line")


def columns(path: Path, number: int, line: str, names: tuple[str, ...]) -> list[str]:
    """The tab-separated fields of a line, one for each name, none of them blank.

    Raises:
        UserError: another number of fields, or a blank one.
    """
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) != len(names):
        raise UserError(
            f"{path}:{number}: {len(fields)} columns where {len(names)} are due ({', '.join(names)}); "
            "separate them by one tab each and take tabs out of the texts"
        )
    for name, field in zip(names, fields, strict=True):
        if not field:
            raise UserError(f"{path}:{number}: the column {name!r} is empty; fill it or delete the line")
    return fields


def _open(path: Path) -> BufferedReader | gzip.GzipFile:
    with path.open("rb") as file:
        is_gzip = file.read(2) == GZIP_MAGIC
    return gzip.open(path, "rb") if is_gzip else path.open("rb")


def _decoded(path: Path, number: int, line: bytes) -> str:
    if number == 1:
        line = line.removeprefix(BYTE_ORDER_MARK)
    try:
        return line.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise UserError(
            f"{path}:{number}: not UTF-8 (byte 0x{byte:02x} at position {error.start + 1}); "
            "convert the file, for example with iconv"
        ) from None
