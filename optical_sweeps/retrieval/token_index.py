"""Token vectors of a document collection on disk, in shards; the index that late interaction searches.

<index>/index.json            counts, dimension, precision; written last
<index>/ids.bin ids.offsets   document ids in index order, as `corpora.packed` reads them
<index>/id_ranks.npy          rank of each document in the order of ids
<index>/shard-00000/          see `shards`
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from optical_sweeps.array_files import load_array
from optical_sweeps.atomic_files import replacing
from optical_sweeps.corpora.packed import PackedStrings
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.errors import UserError, first_line
from optical_sweeps.limits import read_json
from optical_sweeps.retrieval.index_settings import StoredType
from optical_sweeps.retrieval.shards import Shard, load_shard, write_shard

INDEX_FORMAT = 2
"""Raised when the layout changes; part of an index's key in the artifact store."""


@dataclass(frozen=True)
class TokenIndex:
    """N documents, their token vectors in S shards of consecutive documents.

    Args:
        ids: of the documents, in index order, without duplicates; may be on disk.
        id_ranks: rank of each document in the order of ids (by code point), which breaks ties of scores.
        shards: of the same precision and dimension; at least one.
    """

    ids: Sequence[str]
    id_ranks: Int64[np.ndarray, " N"]
    shards: tuple[Shard, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        return int(self.shards[0].vectors.shape[1])

    @property
    def dtype(self) -> str:
        return str(self.shards[0].vectors.dtype)

    @property
    def tokens(self) -> int:
        return sum(shard.tokens for shard in self.shards)

    @property
    def longest(self) -> int:
        """Tokens of the longest document."""
        return max(int(np.diff(shard.offsets).max(initial=0)) for shard in self.shards)

    @cached_property
    def firsts(self) -> Int64[np.ndarray, " S"]:
        """The number of each shard's first document."""
        counts = [len(shard) for shard in self.shards[:-1]]
        return np.cumsum([0, *counts], dtype=np.int64)

    @cached_property
    def id_order(self) -> Int64[np.ndarray, " N"]:
        """Document numbers in the order of their ids."""
        return np.argsort(self.id_ranks)

    def vectors_of(self, document: int) -> Float32[np.ndarray, "n d"]:
        """A document's token vectors."""
        number = int(np.searchsorted(self.firsts, document, side="right")) - 1
        shard, place = self.shards[number], document - int(self.firsts[number])
        return shard.floats(slice(int(shard.offsets[place]), int(shard.offsets[place + 1])))

    @classmethod
    def build(
        cls,
        folder: Path,
        ids: Sequence[str],
        embeddings: Iterable[RaggedEmbeddings],
        dtype: StoredType = "float32",
    ) -> "TokenIndex":
        """Write an index of one shard from a stream of batches, with one batch in memory, and load it.

        `build_index.build_index` writes large indexes: in many shards, by many processes, resumable.

        Raises:
            ValueError: duplicate ids, more or fewer documents than ids, or a vector that is not finite.
        """
        refuse_duplicates(ids)
        write_shard(folder / shard_name(0), ids, embeddings, dtype)
        return complete_index(folder, ids, 1)

    @classmethod
    def load(cls, folder: Path) -> "TokenIndex":
        """Open an index; its vectors are memory-mapped.

        Raises:
            UserError: it is not an index, or its parts disagree.
        """
        part = "index.json"
        try:
            facts = read_json(folder / part)
            if not isinstance(facts, dict) or facts.get("format") != INDEX_FORMAT:
                raise ValueError(f"not of format {INDEX_FORMAT}, which this version reads")
            shards = []
            for number in range(facts["shards"]):
                part = shard_name(number)
                shards.append(load_shard(folder / part))
            part = "ids.offsets"
            ids = PackedStrings(folder / "ids")
            if not len(ids.offsets) or (folder / "ids.bin").stat().st_size != ids.offsets[-1]:
                raise ValueError("it does not match the size of ids.bin")
            part = "id_ranks.npy"
            id_ranks = load_array(folder / part)
            if id_ranks.shape != (len(ids),) or id_ranks.dtype != np.int64:
                raise ValueError(f"it has shape {id_ranks.shape}, not {(len(ids),)} of int64")
            part = "index.json"
            if facts != (actual := _facts(len(ids), shards)):
                raise ValueError(f"it states {facts}, but the index has {actual}")
        except (OSError, ValueError, EOFError, KeyError, TypeError, IndexError) as error:
            raise UserError(f"{folder}: {part}: {first_line(error)}; build the index again") from error
        return cls(ids, id_ranks, tuple(shards))


def complete_index(folder: Path, ids: Sequence[str], shards: int) -> TokenIndex:
    """Write the index's other files beside its finished shards, `index.json` last, and load it."""
    facts = _facts(len(ids), [load_shard(folder / shard_name(number)) for number in range(shards)])
    _write_ids(folder / "ids", ids)
    np.save(folder / "id_ranks.npy", rank_ids(ids))
    with replacing(folder / "index.json") as temporary:
        temporary.write_text(json.dumps(facts) + "\n", encoding="utf-8")
    return TokenIndex.load(folder)


def shard_name(number: int) -> str:
    return f"shard-{number:05d}"


def rank_ids(ids: Sequence[str]) -> Int64[np.ndarray, " N"]:
    """The rank of each id, by code point.

    >>> rank_ids(["d2", "d10", "d1"]).tolist()
    [2, 1, 0]
    """
    ranks = np.empty(len(ids), dtype=np.int64)
    names = list(ids)  # read once: they may be on disk
    ranks[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return ranks


def refuse_duplicates(ids: Sequence[str]) -> None:
    """Raises ValueError for an id that occurs twice; packed ids were checked when they were written."""
    seen: set[str] = set()
    for id in () if isinstance(ids, PackedStrings) else ids:
        if id in seen:
            raise ValueError(f"document id {id!r} occurs twice")
        seen.add(id)


def _facts(documents: int, shards: Sequence[Shard]) -> dict[str, object]:
    """The content of index.json; raises ValueError if the shards do not fit the ids or each other."""
    layouts = {(int(shard.vectors.shape[1]), str(shard.vectors.dtype)) for shard in shards}
    if len(layouts) != 1 or sum(map(len, shards)) != documents:
        raise ValueError(
            f"{documents} ids, but shards of {sum(map(len, shards))} documents in {sorted(layouts)}"
        )
    ((dim, dtype),) = layouts
    return {
        "format": INDEX_FORMAT,
        "documents": documents,
        "tokens": sum(shard.tokens for shard in shards),
        "dim": dim,
        "dtype": dtype,
        "shards": len(shards),
    }


def _write_ids(stem: Path, ids: Sequence[str]) -> None:
    ends = np.zeros(len(ids) + 1, "<i8")
    with Path(f"{stem}.bin").open("wb") as file:
        for number, name in enumerate(ids, start=1):
            ends[number] = ends[number - 1] + file.write(name.encode())
    ends.tofile(f"{stem}.offsets")
