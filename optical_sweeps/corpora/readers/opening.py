"""Opening a file however it is packed: plain, gzip, Zstandard, or in a zip archive."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

from optical_sweeps.errors import UserError

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZIP_MAGIC = b"PK\x03\x04"
PACKINGS = (".gz", ".zst", ".zip")
"""Endings of names; what counts is how a file begins."""
CHUNK = 1 << 18


class Damaged(Exception):
    """A packed file that ends early or fails its checksum; says which packing and why."""


def split_member(path: Path) -> tuple[Path, str | None]:
    """The file on disk, and what is named inside it: `a.zip/b.txt` is `b.txt` of `a.zip`."""
    if not path.exists():
        for parent in path.parents:
            if parent.is_file():
                return parent, path.relative_to(parent).as_posix()
    return path, None


@contextmanager
def open_bytes(path: Path) -> Iterator[io.BufferedIOBase]:
    """The unpacked bytes of a file; its first bytes, not its name, say how it is packed.

    A zip archive of several files needs the member's name: `de-en.txt.zip/Books.de-en.en`.

    Raises:
        UserError: the file cannot be opened, the archive's member is not named or not there, or the package
            for Zstandard is not installed.
        Damaged: while reading.
    """
    file_path, member = split_member(path)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(file_path.open("rb"))
            magic = file.read(4)
            file.seek(0)
        except OSError as error:
            raise unreadable(path, error) from None
        if member is not None and magic != ZIP_MAGIC:
            raise UserError(f"{path}: {file_path} is a file and no zip archive; check the path")
        with _damage_named(magic):
            if magic[:2] == GZIP_MAGIC:
                yield stack.enter_context(gzip.open(file, "rb"))
            elif magic == ZSTD_MAGIC:
                yield stack.enter_context(io.BufferedReader(_ZstdReader(path, file), CHUNK))
            elif magic == ZIP_MAGIC:
                yield stack.enter_context(
                    _open_member(stack.enter_context(zipfile.ZipFile(file)), path, member)
                )
            else:
                yield file


def unreadable(path: Path, error: OSError) -> UserError:
    """The one line for a file that the system does not let us read."""
    return UserError(f"{path}: cannot be read ({error.strerror or error}); check the path and its rights")


@contextmanager
def _damage_named(magic: bytes) -> Iterator[None]:
    packing = {GZIP_MAGIC: "gzip", ZSTD_MAGIC: "zstd", ZIP_MAGIC: "zip"}
    name = packing.get(magic) or packing.get(magic[:2])
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile, _ZstdDamage) as error:
        raise Damaged(f"damaged {name} ({error})") from None


def _open_member(archive: zipfile.ZipFile, path: Path, member: str | None) -> io.BufferedIOBase:
    files = [info.filename for info in archive.infolist() if not info.is_dir()]
    if member is None:
        if len(files) != 1:
            shown = ", ".join(sorted(files)[:5]) or "none"
            raise UserError(
                f"{path}: the archive holds {len(files)} files ({shown}); name one: {path.name}/..."
            )
        (member,) = files
    if member not in files:
        raise UserError(f"{path}: the archive has no such file; it holds {', '.join(sorted(files)[:5])}")
    try:
        return cast(io.BufferedIOBase, archive.open(member))
    except (RuntimeError, NotImplementedError) as error:  # a password, or a packing that zipfile does not know
        raise UserError(f"{path}: cannot be unpacked ({error}); unpack it yourself") from None


class _ZstdDamage(Exception):
    pass


class _ZstdReader(io.RawIOBase):
    """Frames end to end. zstandard's own stream reader takes a file cut inside a frame for its end."""

    def __init__(self, path: Path, file: io.BufferedIOBase) -> None:
        try:
            import zstandard
        except ImportError:
            raise UserError(
                f"{path}: Zstandard needs a package of its own; pip install zstandard, or unpack the file"
            ) from None
        self._error = zstandard.ZstdError
        self._new: Any = zstandard.ZstdDecompressor().decompressobj
        self._file, self._frame, self._ready = file, self._new(), b""
        self._packed = False  # whether the open frame has been given a byte

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            data = self._frame.unused_data if self._frame.eof else b""
            data = data or self._file.read(CHUNK)
            if self._frame.eof:
                self._frame, self._packed = self._new(), False
            if not data:
                if self._packed:
                    raise _ZstdDamage("ended inside a frame")
                return 0
            self._packed = True
            try:
                self._ready = self._frame.decompress(data)
            except self._error as error:
                raise _ZstdDamage(error) from None
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count
