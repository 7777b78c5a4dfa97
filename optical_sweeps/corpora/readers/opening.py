"""Open a plain, gzip or Zstandard file, or a member of a zip archive."""

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

from typing_extensions import Buffer

from optical_sweeps.errors import UserError
from optical_sweeps.limits import limit, remedy

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZIP_MAGIC = b"PK\x03\x04"
COMPRESSED_SUFFIXES = (".gz", ".zst", ".zip")
"""Suffixes to skip when a name tells the format; the compression is read from the file's first bytes."""
CHUNK = 1 << 18
ZSTD_MAX_WINDOW = 1 << 31
"""The largest window that libraries read, as of `zstd --long=31`; a reader allocates what a frame asks for."""


class DamagedFileError(UserError):
    """A compressed file that ends early or fails its checksum."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}; fetch the file again")
        self.reason = reason


def split_member(path: Path) -> tuple[Path, str | None]:
    """The file on disk and the member inside it: `a.zip/b.txt` is the member `b.txt` of `a.zip`."""
    if not path.exists():
        for parent in path.parents:
            if parent.is_file():
                return parent, path.relative_to(parent).as_posix()
    return path, None


@contextmanager
def open_bytes(path: Path) -> Iterator[io.BufferedIOBase]:
    """The decompressed bytes of a file; its first bytes, not its name, determine the compression.

    A zip archive of several files needs the member's name: `de-en.txt.zip/Books.de-en.en`.

    Raises:
        UserError: the file cannot be opened or read, the archive's member is not named or does not exist, or
            the package for Zstandard is not installed.
        DamagedFileError: while reading.
    """
    file_path, member = split_member(path)
    magic = b""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(file_path.open("rb"))
            magic = file.read(4)
            file.seek(0)
            if member is not None and magic != ZIP_MAGIC:
                raise UserError(f"{path}: {file_path} is not a zip archive; check the path")
            if magic[:2] == GZIP_MAGIC:
                yield _limited(path, stack.enter_context(gzip.open(file, "rb")))
            elif magic == ZSTD_MAGIC:
                yield _limited(path, io.BufferedReader(_ZstdReader(path, file), CHUNK))
            elif magic == ZIP_MAGIC:
                archive = stack.enter_context(_archive(file))
                yield _limited(path, stack.enter_context(_open_member(archive, path, member)))
            else:
                yield file
        except (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile, _ZstdDamageError) as error:
            names = {GZIP_MAGIC: "gzip", ZSTD_MAGIC[:2]: "zstd", ZIP_MAGIC[:2]: "zip"}
            raise DamagedFileError(path, f"damaged {names.get(magic[:2])} ({error})") from None
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"{path}: cannot be read ({reason}); check the path and its permissions") from None


class _LimitedReader(io.RawIOBase):
    """The bytes of an unpacked file, up to the limit `UNPACKED_BYTES`."""

    def __init__(self, path: Path, file: io.BufferedIOBase) -> None:
        self._path, self._file, self._count, self._most = path, file, 0, limit("UNPACKED_BYTES")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        count = self._file.readinto(buffer)
        self._count += count
        if self._count > self._most:
            raise UserError(
                f"{self._path}: more than {self._most} bytes once unpacked; {remedy('UNPACKED_BYTES')}"
            )
        return count


def _limited(path: Path, file: io.BufferedIOBase) -> io.BufferedIOBase:
    return io.BufferedReader(_LimitedReader(path, file), CHUNK)


def _archive(file: io.BufferedReader) -> zipfile.ZipFile:
    """The zip archive in a file.

    Raises:
        BadZipFile: it is damaged; zipfile raises other exceptions too, depending on the byte that is wrong.
    """
    try:
        return zipfile.ZipFile(file)
    except (NotImplementedError, ValueError, OverflowError, IndexError, struct.error) as error:
        raise zipfile.BadZipFile(str(error)) from None


def _open_member(archive: zipfile.ZipFile, path: Path, member: str | None) -> io.BufferedIOBase:
    files = [info.filename for info in archive.infolist() if not info.is_dir()]
    shown = " ".join(", ".join(sorted(files)[:5]).split()) or "none"
    if member is None:
        if len(files) != 1:
            raise UserError(
                f"{path}: the archive contains {len(files)} files ({shown}); name one: {path.name}/..."
            )
        (member,) = files
    if member not in files:
        raise UserError(f"{path}: the archive has no such file; it contains {shown}")
    try:
        return cast(io.BufferedIOBase, archive.open(member))
    except (
        RuntimeError,
        NotImplementedError,
    ) as error:  # a password, or an unsupported method
        raise UserError(f"{path}: cannot be decompressed ({error}); decompress it yourself") from None


class _ZstdDamageError(Exception):
    pass


class _ZstdReader(io.RawIOBase):
    """Concatenated frames. zstandard's own stream reader accepts a file that is cut inside a frame."""

    def __init__(self, path: Path, file: io.BufferedIOBase) -> None:
        try:
            import zstandard
        except ImportError:
            raise UserError(
                f"{path}: Zstandard needs an extra package; pip install zstandard, or decompress the file"
            ) from None
        self._error = zstandard.ZstdError
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_MAX_WINDOW)
        self._path, self._file = path, file
        self._frame, self._decompressed = self._decompressor.decompressobj(), b""
        self._inside_frame = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        target = memoryview(buffer)
        while not self._decompressed:
            data = self._frame.unused_data if self._frame.eof else b""
            data = data or self._file.read(CHUNK)
            if self._frame.eof:
                self._frame, self._inside_frame = self._decompressor.decompressobj(), False
            if not data:
                if self._inside_frame:
                    raise _ZstdDamageError("ended inside a frame")
                return 0
            self._inside_frame = True
            try:
                self._decompressed = self._frame.decompress(data)
            except self._error as error:
                if any(words in str(error) for words in ("not enough memory", "requires too much memory")):
                    raise UserError(
                        f"{self._path}: its Zstandard window needs more memory than there is, or than 2 GiB; "
                        "decompress the file on another machine, and compress it without --long"
                    ) from None
                raise _ZstdDamageError(error) from None
        count = min(len(target), len(self._decompressed))
        target[:count], self._decompressed = self._decompressed[:count], self._decompressed[count:]
        return count
