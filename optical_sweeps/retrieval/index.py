"""Token vectors of a document collection, memory-mapped: what late interaction searches."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int64
from numpy.lib import format as npy

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.errors import UserError

INDEX_FORMAT = 1


@dataclass(frozen=True)
class TokenIndex:
    """N documents as T token vectors end to end; document i has rows `offsets[i]` to `offsets[i + 1]`.

    Args:
        ids: of the documents, in index order, without duplicates.
        vectors: L2-normalised, finite; float32 or float16, usually memory-mapped.
        id_ranks: place of each document in the order of ids (by code point), which breaks ties of scores.
        offsets: from 0 to T; a document may have no token.
    """

    ids: tuple[str, ...]
    vectors: Float[np.ndarray, "T d"]
    id_ranks: Int64[np.ndarray, " N"]
    offsets: Int64[np.ndarray, " N+1"]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        return int(self.vectors.shape[1])

    @classmethod
    def build(
        cls,
        folder: Path,
        ids: Sequence[str],
        embeddings: Iterable[RaggedEmbeddings],
        dtype: Literal["float32", "float16"] = "float32",
    ) -> "TokenIndex":
        """Write an index, holding one batch of `embeddings` at a time, and load it.

        `index.json` is written last: a folder without it is not an index.

        Args:
            embeddings: of the documents, in the order of `ids`, in batches of any size.

        Raises:
            ValueError: duplicate ids, more or fewer documents than ids, or a vector that is not finite.
        """
        _refuse_duplicates(ids)
        folder.mkdir(parents=True, exist_ok=True)
        lengths, dim = _write_vectors(folder / "vectors.npy", ids, embeddings, dtype)
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
        np.save(folder / "offsets.npy", offsets)
        np.save(folder / "id_ranks.npy", rank_ids(ids))
        facts = {"format": INDEX_FORMAT, "documents": len(ids), "tokens": int(offsets[-1]), "dim": dim}
        (folder / "documents.json").write_text(json.dumps(list(ids), ensure_ascii=False), encoding="utf-8")
        (folder / "index.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path) -> "TokenIndex":
        """Open an index; vectors are mapped into memory, not read.

        Raises:
            UserError: not an index, or its parts disagree.
        """
        try:
            facts = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            ids = tuple(json.loads((folder / "documents.json").read_text(encoding="utf-8")))
            vectors = _open(folder / "vectors.npy")
            offsets = np.load(folder / "offsets.npy", allow_pickle=False)
            id_ranks = np.load(folder / "id_ranks.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{folder}: not a complete index ({reason}); build it again") from error
        if problem := _disagreement(facts, ids, vectors, offsets, id_ranks):
            raise UserError(f"{folder}: {problem}; build the index again")
        return cls(ids, vectors, id_ranks, offsets)


def rank_ids(ids: Sequence[str]) -> Int64[np.ndarray, " N"]:
    """The place of each id among all, by code point.

    >>> rank_ids(["d2", "d10", "d1"]).tolist()
    [2, 1, 0]
    """
    ranks = np.empty(len(ids), dtype=np.int64)
    ranks[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    return ranks


def _write_vectors(
    path: Path, ids: Sequence[str], embeddings: Iterable[RaggedEmbeddings], dtype: str
) -> tuple[Int64[np.ndarray, " N"], int]:
    """Stream the batches into one .npy file; returns tokens per document, and the dimension."""
    lengths: list[np.ndarray] = []
    dim = 0
    done = 0
    with path.open("wb") as file:
        for batch in embeddings:
            if not lengths:
                dim = batch.vectors.shape[1]
                _write_header(file, (0, dim), dtype)
            _refuse_bad_batch(batch, ids, done, dim)
            file.write(np.ascontiguousarray(batch.vectors, dtype=dtype).data)
            lengths.append(np.diff(batch.offsets))
            done += len(batch)
        if done != len(ids) or not lengths:
            raise ValueError(f"{len(ids)} document ids but the embeddings of {done} documents")
        all_lengths = np.concatenate(lengths)
        # The row count is known only now; numpy pads the header so that the first axis can grow in place.
        end = file.tell()
        file.seek(0)
        _write_header(file, (int(all_lengths.sum()), dim), dtype)
        assert file.tell() + int(all_lengths.sum()) * dim * np.dtype(dtype).itemsize == end
    return all_lengths, dim


def _write_header(file: Any, shape: tuple[int, int], dtype: str) -> None:
    header = {"descr": npy.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(file, header)


def _open(path: Path) -> np.ndarray:
    """Mapped into memory; an empty array cannot be mapped, and is read."""
    array: np.ndarray
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError:
        array = np.load(path, allow_pickle=False)
        if array.size:
            raise
    return array


def _refuse_duplicates(ids: Sequence[str]) -> None:
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        twice = next(id for id in ids if id in seen or seen.add(id))  # type: ignore[func-returns-value]
        raise ValueError(f"document id {twice!r} occurs twice")


def _refuse_bad_batch(batch: RaggedEmbeddings, ids: Sequence[str], done: int, dim: int) -> None:
    if batch.vectors.shape[1] != dim:
        raise ValueError(f"vectors of dimension {batch.vectors.shape[1]} after vectors of dimension {dim}")
    if batch.offsets[0] != 0 or batch.offsets[-1] != len(batch.vectors) or (np.diff(batch.offsets) < 0).any():
        raise ValueError(f"offsets do not cut {len(batch.vectors)} token vectors into documents")
    if not np.isfinite(batch.vectors).all():
        row = int(np.argmin(np.isfinite(batch.vectors).all(axis=1)))
        document = done + int(np.searchsorted(batch.offsets, row, side="right")) - 1
        name = ids[document] if document < len(ids) else str(document)
        raise ValueError(f"document {name!r}: a token vector is not finite")


def _disagreement(
    facts: Any, ids: tuple[str, ...], vectors: np.ndarray, offsets: np.ndarray, id_ranks: np.ndarray
) -> str | None:
    """What does not fit, in words; None where all does."""
    if not isinstance(facts, dict) or facts.get("format") != INDEX_FORMAT:
        return f"index.json is not of format {INDEX_FORMAT}, which this version reads"
    if vectors.ndim != 2 or vectors.shape != (facts.get("tokens"), facts.get("dim")):
        return f"vectors.npy has shape {vectors.shape}, not {(facts.get('tokens'), facts.get('dim'))}"
    if vectors.dtype not in (np.float32, np.float16):
        return f"vectors.npy holds {vectors.dtype}, not float32 or float16"
    if len(ids) != facts.get("documents"):
        return f"documents.json has {len(ids)} ids, not {facts.get('documents')}"
    if offsets.shape != (len(ids) + 1,) or offsets.dtype != np.int64:
        return f"offsets.npy has shape {offsets.shape}, not {(len(ids) + 1,)} of int64"
    if offsets[0] != 0 or offsets[-1] != len(vectors) or (np.diff(offsets) < 0).any():
        return f"offsets.npy does not cut {len(vectors)} token vectors into documents"
    if id_ranks.shape != (len(ids),) or id_ranks.dtype != np.int64:
        return f"id_ranks.npy has shape {id_ranks.shape}, not {(len(ids),)} of int64"
    return None
