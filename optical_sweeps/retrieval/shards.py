"""A shard: token vectors of consecutive documents, in files that are memory-mapped and never unpickled.

<shard>/vectors.npy   T x d, float32, float16 or int8
<shard>/scales.npy    int8 only: the step size of each token, float32
<shard>/offsets.npy   document i has rows offsets[i] to offsets[i + 1]
<shard>/shard.json    counts, sizes and checksums
A shard is written to a temporary folder that is then renamed, so it is either complete or absent.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypedDict, cast

import numpy as np
from jaxtyping import Float32, Int64, Shaped
from numpy.lib import format as npy

from optical_sweeps.array_files import load_array
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.limits import read_json
from optical_sweeps.retrieval.index_settings import STORED_TYPES, StoredType

LEVELS = 127
"""int8: a token's largest component, in steps."""
QUANTISATION_BLOCK = 8192
"""Tokens quantised at a time."""


class FileFacts(TypedDict):
    """Size and checksum of a file."""

    size: int
    blake2b: str


class ShardFacts(TypedDict):
    """The content of shard.json."""

    documents: int
    tokens: int
    dim: int
    dtype: str
    largest_norm: float
    files: dict[str, FileFacts]


@dataclass(frozen=True)
class Shard:
    """T token vectors of n documents, end to end; document i has rows `offsets[i]` to `offsets[i + 1]`.

    Args:
        vectors: finite; float32, float16, or int8 in steps of `scales`; usually memory-mapped.
        offsets: from 0 to T; a document may have no token.
        scales: step size of each int8 token; None for other types.
        largest_norm: upper bound of the norms of int8 vectors; 0 for other types.
    """

    vectors: Shaped[np.ndarray, "T d"]
    offsets: Int64[np.ndarray, " bounds"]
    scales: Float32[np.ndarray, " T"] | None = None
    largest_norm: float = 0.0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def tokens(self) -> int:
        return int(self.offsets[-1])

    def floats(self, rows: slice | Int64[np.ndarray, " R"]) -> Float32[np.ndarray, "R d"]:
        """Token vectors as float32; a copy, unless they are float32 already and `rows` is a slice."""
        vectors = np.asarray(self.vectors[rows]).astype(np.float32, copy=False)
        return vectors if self.scales is None else vectors * self.scales[rows, None]


def quantise(vectors: Float32[np.ndarray, "R d"]) -> tuple[np.ndarray, Float32[np.ndarray, " R"]]:
    """Whole numbers from -127 to 127 for each component, and the step size of each row; 0 for zeros.

    >>> codes, scales = quantise(np.array([[0.5, -1.0], [0.0, 0.0]], np.float32))
    >>> codes.tolist(), scales.round(4).tolist()
    ([[64, -127], [0, 0]], [0.007899999618530273, 0.0])
    """
    scales = np.abs(vectors).max(axis=1, initial=0) / np.float32(LEVELS)
    steps = np.where(scales > 0, scales, np.float32(1))
    return np.rint(vectors / steps[:, None]).astype(np.int8), scales.astype(np.float32)


def write_shard(
    folder: Path, ids: Sequence[str], batches: Iterable[RaggedEmbeddings], dtype: StoredType
) -> None:
    """Write the shard of these documents, with one batch in memory; `folder` appears when it is complete.

    Args:
        ids: of the documents, for messages.
        batches: their token vectors, in the order of `ids`, in batches of any size.

    Raises:
        ValueError: more or fewer documents than ids, or a vector that is not finite.
    """
    temporary = folder.with_name(f"{folder.name}.tmp-{uuid.uuid4().hex[:8]}")
    temporary.mkdir(parents=True)
    try:
        facts = _write_arrays(temporary, ids, batches, dtype)
        with (temporary / "shard.json").open("w", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")
            file.flush()
            os.fsync(file.fileno())
        shutil.rmtree(folder, ignore_errors=True)  # an existing folder is damaged
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load_shard(folder: Path) -> Shard:
    """Open a shard; its vectors are memory-mapped.

    Raises:
        ValueError, OSError: the shard is incomplete, or its parts disagree.
    """
    facts = _read_facts(folder)
    vectors, offsets = load_array(folder / "vectors.npy", mapped=True), load_array(folder / "offsets.npy")
    scales = load_array(folder / "scales.npy", mapped=True) if facts["dtype"] == "int8" else None
    if problem := _disagreement(facts, vectors, offsets, scales):
        raise ValueError(problem)
    return Shard(vectors, offsets, scales, float(facts["largest_norm"]))


def is_sound(folder: Path, documents: int, dtype: StoredType, thorough: bool = True) -> bool:
    """Whether the shard is complete, by the sizes of its files and, if `thorough`, by their checksums."""
    try:
        facts = _read_facts(folder)
        if facts["documents"] != documents or facts["dtype"] != dtype:
            return False
        files = facts["files"].items()
        sizes_fit = all((folder / name).stat().st_size == fact["size"] for name, fact in files)
        return sizes_fit and (not thorough or all(_file_facts(folder / name) == fact for name, fact in files))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write_arrays(
    folder: Path, ids: Sequence[str], batches: Iterable[RaggedEmbeddings], dtype: StoredType
) -> ShardFacts:
    """Stream the vectors into one .npy file and write the other arrays."""
    lengths: list[np.ndarray] = [np.empty(0, np.int64)]
    scales: list[np.ndarray] = [np.empty(0, np.float32)]
    dim, done, norm = 0, 0, 0.0
    with (folder / "vectors.npy").open("wb") as file:
        for batch in batches:
            if len(lengths) == 1:
                dim = batch.vectors.shape[1]
                _write_header(file, (0, dim), dtype)
            _refuse_bad_batch(batch, ids, done, dim)
            for start in range(0, len(batch.vectors), QUANTISATION_BLOCK):
                block = batch.vectors[start : start + QUANTISATION_BLOCK]
                if dtype == "int8":
                    codes, steps = quantise(block.astype(np.float32, copy=False))
                    file.write(codes.data)
                    scales.append(steps)
                    norm = max(norm, _largest_norm(codes, steps))
                else:
                    file.write(np.ascontiguousarray(block, dtype=dtype).data)
            lengths.append(np.diff(batch.offsets))
            done += len(batch)
        if done != len(ids) or not dim:
            raise ValueError(f"{len(ids)} document ids but the embeddings of {done} documents")
        offsets = np.cumsum(np.concatenate([[0], *lengths]), dtype=np.int64)
        # The number of rows is known only now; numpy pads the header so that the first axis can grow in place.
        file.seek(0)
        _write_header(file, (int(offsets[-1]), dim), dtype)
    np.save(folder / "offsets.npy", offsets)
    if dtype == "int8":
        np.save(folder / "scales.npy", np.concatenate(scales))
    return {
        "documents": done,
        "tokens": int(offsets[-1]),
        "dim": dim,
        "dtype": dtype,
        "largest_norm": norm,
        "files": {path.name: _file_facts(path) for path in sorted(folder.glob("*.npy"))},
    }


def _largest_norm(codes: np.ndarray, steps: Float32[np.ndarray, " R"]) -> float:
    """Rounded up, so that it is an upper bound."""
    squares = np.einsum("rd,rd->r", codes, codes, dtype=np.int64)
    return float((np.sqrt(squares) * steps).max(initial=0) * (1 + 2**-20))


def _write_header(file: BinaryIO, shape: tuple[int, int], dtype: str) -> None:
    header = {"descr": npy.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(file, header)


def _file_facts(path: Path) -> FileFacts:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        return {"size": os.fstat(file.fileno()).st_size, "blake2b": digest}


def _read_facts(folder: Path) -> ShardFacts:
    facts = read_json(folder / "shard.json")
    if not isinstance(facts, dict) or not ShardFacts.__required_keys__ <= facts.keys():
        raise ValueError("shard.json does not describe a shard")
    return cast(ShardFacts, facts)


def _refuse_bad_batch(batch: RaggedEmbeddings, ids: Sequence[str], done: int, dim: int) -> None:
    if batch.vectors.shape[1] != dim:
        raise ValueError(f"vectors of dimension {batch.vectors.shape[1]} after vectors of dimension {dim}")
    if batch.offsets[0] != 0 or batch.offsets[-1] != len(batch.vectors) or (np.diff(batch.offsets) < 0).any():
        raise ValueError(f"offsets do not divide {len(batch.vectors)} token vectors into documents")
    if not np.isfinite(batch.vectors).all():
        row = int(np.argmin(np.isfinite(batch.vectors).all(axis=1)))
        document = done + int(np.searchsorted(batch.offsets, row, side="right")) - 1
        name = ids[document] if document < len(ids) else str(document)
        raise ValueError(f"document {name!r}: a token vector is not finite")


def _disagreement(
    facts: ShardFacts, vectors: np.ndarray, offsets: np.ndarray, scales: np.ndarray | None
) -> str | None:
    """How the parts of a shard disagree; None if they fit."""
    shape = (facts["tokens"], facts["dim"])
    if vectors.shape != shape:
        return f"vectors.npy has shape {vectors.shape}, not {shape}"
    if facts["dtype"] not in STORED_TYPES or vectors.dtype != facts["dtype"]:
        return f"vectors.npy has type {vectors.dtype}, not {facts['dtype']}"
    if offsets.shape != (facts["documents"] + 1,) or offsets.dtype != np.int64:
        return f"offsets.npy has shape {offsets.shape}, not {(facts['documents'] + 1,)} of int64"
    if offsets[0] != 0 or offsets[-1] != len(vectors) or (np.diff(offsets) < 0).any():
        return f"offsets.npy does not divide {len(vectors)} token vectors into documents"
    if scales is not None and (scales.shape != (len(vectors),) or scales.dtype != np.float32):
        return f"scales.npy has shape {scales.shape}, not {(len(vectors),)} of float32"
    return None
