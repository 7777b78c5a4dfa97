"""Reader of W&B's transaction log `run-<id>.wandb`, which online and offline runs both write.

The file is a LevelDB log with W&B's own header and checksum:

    file     = header block...                       header = ":W&B", magic 0xBEE1 (u16), version (u8)
    block    = 32768 bytes of chunks (the first block counts from the start of the file, header included);
               fewer than 7 bytes left at its end are padding
    chunk    = checksum (u32) length (u16) kind (u8) payload, little-endian; it never crosses a block
    kind     = 1 whole record, 2 first, 3 middle, 4 last part of a record
    checksum = CRC-32 (zlib's, not masked) of kind and payload
    record   = `wandb.proto.wandb_internal_pb2.Record`
"""

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.run_log import LogDamage

if TYPE_CHECKING:  # importing wandb takes half a second
    from wandb.proto.wandb_internal_pb2 import Record

HEADER = b":W&B\xe1\xbe\x00"
BLOCK = 32768
CHUNK_HEADER = struct.Struct("<IHB")

BROKEN, WHOLE, FIRST, MIDDLE, LAST = range(5)
_KINDS = re.compile(rb"[\x01-\x04]")
_SEED = {kind: zlib.crc32(bytes([kind])) for kind in (WHOLE, FIRST, MIDDLE, LAST)}


class NotAWandbLog(UserError):
    """The file does not begin like a W&B log."""


class OfflineLog:
    """The records of one log file in the order in which they were written.

    Damage after the header never raises: `damage` counts what was skipped, and is final after the iteration.

    Raises:
        NotAWandbLog: on iteration, if the header is unknown. (A file cut off inside its header is an empty log:
        a
            process that is killed immediately leaves one.)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage = LogDamage()

    def __iter__(self) -> "Iterator[Record]":
        from google.protobuf.message import DecodeError
        from wandb.proto.wandb_internal_pb2 import Record

        payloads = Payloads(self.path.read_bytes(), str(self.path))
        undecoded = LogDamage()
        number = places = 0
        for payload in payloads:
            try:
                record = Record.FromString(payload)
            except DecodeError:  # intact bytes that are not a record, for example from another version
                undecoded += LogDamage(places=1, lost_bytes=len(payload), lost_records=1)
                number += 1
                continue
            if payloads.damage.places > places:  # records are numbered: a gap says how many were lost
                undecoded += LogDamage(lost_records=max(record.num - number - 1, 0))
            number, places = record.num, payloads.damage.places
            yield record
        self.damage = payloads.damage + undecoded


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
                if parts is None:  # the first part was lost
                    self.damage += LogDamage(places=1, lost_bytes=len(payload))
                    continue
                parts.append(payload)
                if kind == LAST:
                    yield b"".join(parts)
                    parts = None
                continue
            if parts is not None:  # the last part is missing
                self.damage += LogDamage(places=1, lost_bytes=sum(map(len, parts)))
            parts = [payload] if kind == FIRST else None
            if kind == WHOLE:
                yield payload
        if parts is not None:
            self.damage += LogDamage(truncated=True, lost_bytes=sum(map(len, parts)))

    def _chunks(self) -> Iterator[tuple[int, bytes]]:
        """(kind, payload) of each intact chunk, and (BROKEN, b"") for each damaged part between them."""
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
            resumed = self._after(position, min(block_end, end))
            torn = resumed == end < block_end  # nothing can be read after it: the end is missing
            self.damage += LogDamage(truncated=torn, places=not torn, lost_bytes=resumed - position)
            position = resumed
            if not torn:
                yield BROKEN, b""

    def _chunk(self, position: int, limit: int) -> tuple[int, int, int] | None:
        """(kind, start, end) of the chunk at `position`; None if it is damaged or passes `limit`."""
        start = position + CHUNK_HEADER.size
        if start > limit:
            return None
        checksum, length, kind = CHUNK_HEADER.unpack_from(self._data, position)
        stop = start + length
        if stop > limit or kind not in _SEED:
            return None
        return (kind, start, stop) if zlib.crc32(self._data[start:stop], _SEED[kind]) == checksum else None

    def _after(self, position: int, limit: int) -> int:
        """Position at which to continue after a broken chunk: the next intact chunk of the block, or `limit`.

        LevelDB drops the rest of the block. A run of 100 steps fills one or two blocks, so dropping one would
        lose half of the run. Searching takes a few milliseconds and mistakes other bytes for a chunk with
        probability 2^-32 per candidate.
        """
        start = position + CHUNK_HEADER.size
        if start > limit:
            return limit
        length: int = CHUNK_HEADER.unpack_from(self._data, position)[1]
        if self._chunk(start + length, limit):  # the length is intact: skip the payload
            return start + length
        kinds = _KINDS.finditer(self._data, start, limit)
        candidates = (kind.end() - CHUNK_HEADER.size for kind in kinds)
        return next((at for at in candidates if at > position and self._chunk(at, limit)), limit)
