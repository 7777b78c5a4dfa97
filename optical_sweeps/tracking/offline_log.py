"""Reader of W&B's transaction log `run-<id>.wandb`, which online and offline runs alike write.

The file is a LevelDB log with a header and a checksum of W&B's own:

    file   = header block...                         header = ":W&B", magic 0xBEE1 (u16), version (u8)
    block  = 32768 bytes of chunks (the first block counts from the start of the file, header included);
             fewer than 7 bytes left at its end are padding
    chunk  = checksum (u32) length (u16) kind (u8) payload, little-endian; it never crosses a block
    kind   = 1 whole record, 2 first, 3 middle, 4 last part of one
    checksum = CRC-32 (zlib's, not masked) of kind and payload
    record = `wandb.proto.wandb_internal_pb2.Record`
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.run_log import LogDamage

if TYPE_CHECKING:
    from wandb.proto.wandb_internal_pb2 import Record
else:
    Record = Any  # importing wandb takes half a second

HEADER = b":W&B\xe1\xbe\x00"
BLOCK = 32768
CHUNK_HEADER = struct.Struct("<IHB")

BROKEN, WHOLE, FIRST, MIDDLE, LAST = range(5)
_KINDS = re.compile(rb"[\x01-\x04]")
_SEED = {kind: zlib.crc32(bytes([kind])) for kind in (WHOLE, FIRST, MIDDLE, LAST)}


class NotAWandbLog(UserError):
    """The file does not begin as a W&B log does."""


class OfflineLog:
    """The records of one log file, in the order they were written; never raises for damage behind the header.

    `damage` counts what was passed over; it is final when the iteration has ended.

    Args:
        needless: payloads that say nothing new where the log is sound; none is asked for where it is not.

    Raises:
        NotAWandbLog: on iteration, where the header is another one. (A file cut off inside its header is an
            empty log: that is what a process killed at once leaves.)
    """

    def __init__(self, path: Path, needless: Callable[[bytes], Any] | None = None) -> None:
        self.path = path
        self.damage = LogDamage()
        self._needless = needless

    def __iter__(self) -> Iterator[Record]:
        payloads = Payloads(self.path.read_bytes(), str(self.path))
        found = [(payload, payloads.damage.places) for payload in payloads]
        self.damage = payloads.damage
        if self.damage.places:
            yield from self._decoded_with_care(found)
        else:
            needless = self._needless or (lambda payload: False)
            yield from self._decoded([payload for payload, _ in found if not needless(payload)])

    def _decoded(self, payloads: list[bytes]) -> Iterator[Record]:
        records = map(self._decoder(), payloads)
        return (record for record in records if record is not None)

    def _decoded_with_care(self, found: list[tuple[bytes, int]]) -> Iterator[Record]:
        """Records are numbered: behind a broken place, a gap tells how many went."""
        decode = self._decoder()
        number = places = 0
        for payload, broken in found:
            record = decode(payload)
            if record is None:
                number += 1
                continue
            if broken > places:
                self.damage += LogDamage(lost_records=max(record.num - number - 1, 0))
            number, places = record.num, broken
            yield record

    def _decoder(self) -> Callable[[bytes], "Record | None"]:
        from google.protobuf.message import DecodeError
        from wandb.proto.wandb_internal_pb2 import Record

        def decode(payload: bytes) -> "Record | None":
            try:
                return Record.FromString(payload)
            except DecodeError:  # intact bytes that are no record: of another version, say
                self.damage += LogDamage(places=1, lost_bytes=len(payload), lost_records=1)
                return None

        return decode


class Payloads:
    """The intact payloads of a log's bytes, in order, and the damage between them."""

    def __init__(self, data: bytes, name: str = "log") -> None:
        self.damage = LogDamage()
        self._data = data
        self._name = name

    def __iter__(self) -> Iterator[bytes]:
        parts: list[bytes] | None = None
        for kind, payload in self._chunks():
            if kind in (MIDDLE, LAST):
                if parts is None:  # its first part was lost
                    self.damage += LogDamage(places=1, lost_bytes=len(payload))
                    continue
                parts.append(payload)
                if kind == LAST:
                    yield b"".join(parts)
                    parts = None
                continue
            if parts is not None:  # its last part never came
                self.damage += LogDamage(places=1, lost_bytes=sum(map(len, parts)))
            parts = [payload] if kind == FIRST else None
            if kind == WHOLE:
                yield payload
        if parts is not None:
            self.damage += LogDamage(truncated=True, lost_bytes=sum(map(len, parts)))

    def _chunks(self) -> Iterator[tuple[int, bytes]]:
        """(kind, payload) of the intact chunks, and (BROKEN, nothing) for each place between them."""
        data, end = self._data, len(self._data)
        if data[: len(HEADER)] != HEADER[:end]:
            raise NotAWandbLog(f"{self._name}: not a W&B log (unknown header); remove it")
        position = min(len(HEADER), end)
        if end < len(HEADER):
            self.damage += LogDamage(truncated=True, lost_bytes=end)
        while position < end:
            block_end = position - position % BLOCK + BLOCK
            chunk = self._chunk(position, min(block_end, end))
            if chunk is not None:
                kind, start, position = chunk
                yield kind, data[start:position]
                continue
            if position + CHUNK_HEADER.size > block_end:  # padding
                position = block_end
                continue
            resumed = self._behind(position, min(block_end, end))
            torn = resumed == end < block_end  # nothing can be read behind it: a tail, not a hole
            self.damage += LogDamage(truncated=torn, places=not torn, lost_bytes=resumed - position)
            position = resumed
            if not torn:
                yield BROKEN, b""

    def _chunk(self, position: int, limit: int) -> tuple[int, int, int] | None:
        """(kind, start, end) of the intact chunk at `position`, if there is one before `limit`."""
        start = position + CHUNK_HEADER.size
        if start > limit:
            return None
        checksum, length, kind = CHUNK_HEADER.unpack_from(self._data, position)
        stop = start + length
        if stop > limit or kind not in _SEED:
            return None
        return (kind, start, stop) if zlib.crc32(self._data[start:stop], _SEED[kind]) == checksum else None

    def _behind(self, position: int, limit: int) -> int:
        """Where to read on behind a broken chunk: at the next intact one of its block, else at `limit`.

        LevelDB drops the rest of the block. A run of 100 steps is one or two blocks, so that would cost half
        of it; a search costs some milliseconds, and takes other bytes for a chunk once in 2^32 candidates.
        """
        start = position + CHUNK_HEADER.size
        if start > limit:
            return limit
        length: int = CHUNK_HEADER.unpack_from(self._data, position)[1]
        if self._chunk(start + length, limit):  # the length is sound: do not look into its payload
            return start + length
        kinds = _KINDS.finditer(self._data, start, limit)
        candidates = (kind.end() - CHUNK_HEADER.size for kind in kinds)
        return next((at for at in candidates if at > position and self._chunk(at, limit)), limit)
