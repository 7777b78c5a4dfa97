"""An index of centroids for pruned search, beside a token index.

Token vectors are assigned to centroids, and an inverted list names the documents of each centroid, shard by
shard, as in PLAID (Santhanam et al. 2022, arXiv 2205.09707). The vectors themselves stay in the token index.

<folder>/centroids/     see `centroids`
<folder>/shard-00000/   of a shard: offsets.npy and documents.npy, the inverted lists
<folder>/pruned.json    counts; written last
Each part is renamed into its place when it is complete, so an interrupted build continues where it stopped.
"""

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from jaxtyping import Float32, Int8, Int32, Int64, Shaped
from torch import Tensor

from optical_sweeps.array_files import load_array
from optical_sweeps.atomic_files import replacing
from optical_sweeps.encoders.token_embeddings import Progress
from optical_sweeps.errors import UserError, first_line
from optical_sweeps.limits import read_json
from optical_sweeps.retrieval.block_scoring import int8_product_is_exact
from optical_sweeps.retrieval.centroids import BLOCK, Centroids
from optical_sweeps.retrieval.pruning_kernels import add_nearest, inverted
from optical_sweeps.retrieval.search_settings import PrunedSearch
from optical_sweeps.retrieval.shards import LEVELS, Shard, quantise
from optical_sweeps.retrieval.token_index import TokenIndex, shard_name
from optical_sweeps.seeds import derive_seed

PRUNED_FORMAT = 2
"""Raised when the layout changes; part of a pruned index's key in the artifact store."""
SAMPLED = 32
"""Sampled token vectors for each centroid."""
LARGEST_SAMPLE = 2**20
NEAREST_BLOCK = 1_024
"""Centroids whose similarities with query tokens are computed at a time, so that these stay in the cache."""


@dataclass(frozen=True)
class CentroidLists:
    """The documents of a shard that have tokens of each centroid.

    Args:
        offsets: the list of centroid c has entries `offsets[c]` to `offsets[c + 1]`.
        documents: the documents of each list, ascending, numbered within the shard.
    """

    offsets: Int64[np.ndarray, " list_bounds"]
    documents: Int32[np.ndarray, " entries"]

    @classmethod
    def load(cls, folder: Path, documents: int, centroids: int) -> "CentroidLists":
        """The lists of a shard with so many documents.

        Every number is compared with its bounds: compiled loops use them as places in memory.

        Raises:
            OSError, ValueError: a file is missing or damaged, or belongs to another shard.
        """
        names = ("offsets", "documents")
        offsets, entries = (np.asarray(load_array(folder / f"{name}.npy", mapped=True)) for name in names)
        if not _are_below(entries, documents, "i4"):
            raise ValueError(f"documents.npy does not list documents of a shard with {documents}")
        bounds = f"offsets.npy does not divide {len(entries)} entries into {centroids} lists"
        if offsets.shape != (centroids + 1,) or not _are_below(offsets, len(entries) + 1, "i8"):
            raise ValueError(bounds)
        if offsets[0] != 0 or offsets[-1] != len(entries) or (np.diff(offsets) < 0).any():
            raise ValueError(bounds)
        return cls(offsets, entries)


@dataclass(frozen=True)
class PrunedIndex:
    """A token index, its centroids, and the lists of each of its shards."""

    index: TokenIndex
    centroids: Centroids
    lists: tuple[CentroidLists, ...]

    def nearest(
        self, tokens: Float32[np.ndarray, "w d"], count: int
    ) -> tuple[Int32[np.ndarray, "w p"], Float32[np.ndarray, "w p"]]:
        """The centroids most similar to each token, the least similar first, and their similarities.

        A CPU that multiplies whole numbers exactly does so; centroids and tokens are then rounded.
        """
        count = min(count, len(self.centroids))
        if self.centroids.vectors.device.type != "cpu":
            product = torch.from_numpy(tokens).to(self.centroids.vectors.device) @ self.centroids.vectors.T
            best, places = product.topk(count, dim=1)
            return places.flip(1).int().cpu().numpy(), best.flip(1).cpu().numpy()
        if self._codes is None:
            return _nearest(torch.from_numpy(tokens), self.centroids.vectors, count)
        codes, scales = quantise(tokens)
        numbers, values = _nearest(torch.from_numpy(codes), self._codes, count)
        return numbers, values.astype(np.float32) * (scales[:, None] * np.float32(self._step))

    @cached_property
    def _step(self) -> float:
        """The step size of `_codes`."""
        return float(self.centroids.vectors.abs().max()) / LEVELS or 1.0

    @cached_property
    def _codes(self) -> Int8[Tensor, "K d"] | None:
        """The centroids in whole numbers of one step size; None if they are not multiplied so."""
        if not int8_product_is_exact():
            return None
        return (self.centroids.vectors / self._step).round().to(torch.int8)

    @classmethod
    def load(cls, folder: Path, index: TokenIndex, device: str = "cpu") -> "PrunedIndex":
        """Open a pruned index; its lists are memory-mapped.

        Raises:
            UserError: it is not complete, or was built for another token index.
        """
        try:
            facts, centroids = read_json(folder / "pruned.json"), Centroids.load(folder / "centroids", device)
            if facts != (actual := _facts(index, centroids)):
                raise ValueError(f"it states {facts}, but the index has {actual}")
            names = [shard_name(number) for number in range(len(index.shards))]
            lists = tuple(
                CentroidLists.load(folder / name, len(shard), len(centroids))
                for name, shard in zip(names, index.shards, strict=True)
            )
        except (OSError, ValueError) as error:
            raise UserError(
                f"{folder}: not a complete pruned index ({first_line(error)}); build it again"
            ) from error
        return cls(index, centroids, lists)


def build_pruned(
    folder: Path,
    index: TokenIndex,
    settings: PrunedSearch,
    progress: Progress = lambda done, total: None,
    device: str = "cpu",
) -> PrunedIndex:
    """Write the centroids and lists that are missing, and load the index; several processes may build together.

    Memory contains the sample of token vectors, or one block of them and the lists of one shard.

    Args:
        progress: called with the number of assigned token vectors, and of all.

    Raises:
        UserError: no document has a token.
    """
    if not index.tokens:
        raise UserError(f"{folder}: no document has a token; check the collection")
    count = settings.centroids or default_centroids(index.tokens)
    with _missing_part(folder / "centroids") as part:
        if part is not None:
            sample = _sample(index, SAMPLED * count, settings.seed).to(device)
            Centroids.learn(sample, count, settings.seed).save(part)
    centroids = Centroids.load(folder / "centroids", device)
    assigned = 0
    for number, shard in enumerate(index.shards):
        with _missing_part(folder / shard_name(number)) as part:
            if part is not None:
                codes = np.empty(shard.tokens, np.int64)
                for start in range(0, shard.tokens, BLOCK):
                    end = min(start + BLOCK, shard.tokens)
                    codes[start:end] = centroids.assign(torch.tensor(shard.floats(slice(start, end))))
                    progress(assigned + end, index.tokens)
                _write_lists(part, shard, codes, len(centroids))
        assigned += shard.tokens
        progress(assigned, index.tokens)
    with replacing(folder / "pruned.json") as temporary:
        temporary.write_text(json.dumps(_facts(index, centroids)) + "\n", encoding="utf-8")
    return PrunedIndex.load(folder, index, device)


def _nearest(
    tokens: Shaped[Tensor, "w d"], centroids: Shaped[Tensor, "K d"], count: int
) -> tuple[Int32[np.ndarray, "w p"], Shaped[np.ndarray, "w p"]]:
    """The centroids most similar to each token, the least similar first, and their similarities, on the CPU.

    Args:
        tokens, centroids: both float32, or both whole numbers, whose similarities are int32.
    """
    whole = tokens.dtype == torch.int8
    lowest, kind = (np.iinfo(np.int32).min, "int32") if whole else (-np.inf, "float32")
    values: np.ndarray = np.full((len(tokens), count), lowest, kind)
    numbers = np.zeros((len(tokens), count), np.int32)
    with torch.inference_mode():
        for first in range(0, len(centroids), NEAREST_BLOCK):
            columns = centroids[first : first + NEAREST_BLOCK].T
            product = torch._int_mm(tokens, columns) if whole else tokens @ columns
            add_nearest(product.numpy(), first, values, numbers)
    return numbers, values


def default_centroids(tokens: int) -> int:
    """The number of centroids for an index: a power of two, about 16 to 32 times the square root of its tokens.

    >>> default_centroids(2_000_000), default_centroids(50_000_000)
    (32768, 131072)
    """
    return int(2 ** np.ceil(np.log2(16 * max(tokens, 1) ** 0.5)))


def _sample(index: TokenIndex, count: int, seed: int) -> Float32[Tensor, "n d"]:
    """Token vectors drawn from the whole index, at most `LARGEST_SAMPLE`."""
    generator = np.random.default_rng(derive_seed("sample of token vectors", seed))
    count = min(count, LARGEST_SAMPLE, index.tokens)
    rows = np.sort(generator.choice(index.tokens, count, replace=False))
    parts, first = [], 0
    for shard in index.shards:
        start, end = np.searchsorted(rows, [first, first + shard.tokens])
        parts.append(shard.floats(rows[start:end] - first))
        first += shard.tokens
    return torch.from_numpy(np.concatenate(parts))


def _write_lists(folder: Path, shard: Shard, codes: Int64[np.ndarray, " T"], count: int) -> None:
    offsets, documents = np.zeros(count + 1, np.int64), np.empty(shard.tokens, np.int32)
    entries = inverted(codes, shard.offsets, offsets, documents)
    np.save(folder / "offsets.npy", offsets)
    np.save(folder / "documents.npy", documents[:entries])


@contextmanager
def _missing_part(folder: Path) -> Iterator[Path | None]:
    """A folder to fill, which becomes `folder` at the end; None if it exists. Other processes wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if folder.is_dir():
            yield None
            return
        for remains in folder.parent.glob(f"{folder.name}.tmp-*"):  # of killed processes: this one has the lock
            shutil.rmtree(remains, ignore_errors=True)
        part = folder.with_name(f"{folder.name}.tmp-{uuid.uuid4().hex[:8]}")
        part.mkdir()
        try:
            yield part
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _are_below(numbers: np.ndarray, end: int, dtype: str) -> bool:
    """Whether an array is flat, of this type, and all its numbers are from 0 to `end` - 1."""
    if numbers.ndim != 1 or numbers.dtype != np.dtype(dtype):
        return False
    return not len(numbers) or bool(numbers.min() >= 0 and numbers.max() < end)


def _facts(index: TokenIndex, centroids: Centroids) -> dict[str, object]:
    """The content of pruned.json."""
    return {
        "format": PRUNED_FORMAT,
        "documents": len(index),
        "tokens": index.tokens,
        "shards": len(index.shards),
        "centroids": len(centroids),
    }
