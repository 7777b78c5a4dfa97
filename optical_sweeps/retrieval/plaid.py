"""Approximate late-interaction search by PLAID (Santhanam et al. 2022, arXiv 2205.09707), through fast-plaid.

Token vectors are kept as a centroid and a residual of a few bits a component, about 36 bytes for 128 components
at 2 bits: tens of millions of passages fit where even an int8 index does not. What it finds is scored again
exactly where a token index stands too (`rerank`). fast-plaid is compiled against one version of torch.
"""

import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from optical_sweeps.checks import whole_number
from optical_sweeps.corpora.packed import PackedStrings
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.index import TokenIndex
from optical_sweeps.retrieval.runs import RetrievalRun

STRETCH = 16_384  # documents handed over at a time


@dataclass(frozen=True)
class PlaidSettings:
    """How PLAID stores and searches.

    Args:
        bits: of a residual's component: 1, 2 or 4.
        sample: documents, at even distances, that centroids are learnt from; all of a smaller collection.
        probes: centroids looked at for each query token.
        candidates: documents decompressed and scored for each query.
        seed: of the centroids' starts.

    Raises:
        UserError: a number out of range.
    """

    bits: int = 4
    sample: int = 131_072
    probes: int = 8
    candidates: int = 8_192
    seed: int = 0
    __no_type_check__ = True

    def __post_init__(self) -> None:
        for name in ("sample", "probes", "candidates"):
            whole_number(f"plaid.{name}", getattr(self, name), least=1)
        if whole_number("plaid.bits", self.bits, least=1) not in (1, 2, 4):
            raise UserError(f"plaid.bits: {self.bits} is not 1, 2 or 4; change it")


def build_plaid(
    folder: Path,
    index: TokenIndex,
    settings: PlaidSettings,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write a PLAID index of all documents of a token index that have a token.

    Memory holds the sample, or a stretch.

    Raises:
        UserError: fast-plaid is not installed, or no document has a token.
    """
    full = np.flatnonzero(np.concatenate([np.diff(shard.offsets) > 0 for shard in index.shards]))
    if not len(full):
        raise UserError(f"{folder}: no document has a token; check the collection")
    chosen = np.unique(np.linspace(0, len(full) - 1, min(settings.sample, len(full))).astype(int))
    order = np.concatenate([full[chosen], np.delete(full, chosen)])
    torch.manual_seed(settings.seed)
    plaid = _fast_plaid(folder / "plaid")
    plaid.create(_vectors(index, order[: len(chosen)]), nbits=settings.bits)
    progress(len(chosen), len(order))
    for start in range(len(chosen), len(order), STRETCH):
        plaid.update(_vectors(index, order[start : start + STRETCH]))
        progress(min(start + STRETCH, len(order)), len(order))
    np.save(folder / "documents.npy", order)
    (folder / "plaid.json").write_text(json.dumps({"documents": len(order), "bits": settings.bits}) + "\n")


class PlaidIndex:
    """A PLAID index on disk.

    Args:
        ids: of the documents, in the order of the token index it was built from.

    Raises:
        UserError: fast-plaid is not installed, or the folder holds no complete index.
    """

    def __init__(self, folder: Path, ids: Sequence[str] | PackedStrings, settings: PlaidSettings) -> None:
        self.ids, self.settings = ids, settings
        try:
            json.loads((folder / "plaid.json").read_text())
            self.order: Int64[np.ndarray, " N"] = np.load(folder / "documents.npy", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UserError(f"{folder}: not a complete PLAID index ({error}); build it again") from error
        self._plaid = _fast_plaid(folder / "plaid")

    def search(self, query_ids: Sequence[str], queries: RaggedEmbeddings, k: int) -> RetrievalRun:
        """About the k documents of highest MaxSim for each query; ties in the order of ids."""
        documents: list[tuple[str, ...]] = []
        scores: list[np.ndarray] = []
        for query in range(len(queries)):
            found = self._found(queries[query], k)
            ranked = sorted(
                ((float(score), self.ids[int(self.order[place])]) for place, score in found),
                key=lambda pair: (-pair[0], pair[1]),
            )
            documents.append(tuple(name for _, name in ranked))
            scores.append(np.array([score for score, _ in ranked], np.float32))
        return RetrievalRun(tuple(query_ids), tuple(documents), tuple(scores))

    def _found(self, query: np.ndarray, k: int) -> list[tuple[int, float]]:
        if not len(query):
            return []
        found: list[tuple[int, float]] = self._plaid.search(
            torch.from_numpy(query.astype(np.float32))[None],
            top_k=min(k, len(self.order)),
            n_ivf_probe=self.settings.probes,
            n_full_scores=max(self.settings.candidates, k),
            show_progress=False,
        )[0]
        return found


def _vectors(index: TokenIndex, documents: Int64[np.ndarray, " n"]) -> list[torch.Tensor]:
    return [torch.from_numpy(np.array(index.vectors_of(int(document)))) for document in documents]


def _fast_plaid(folder: Path) -> Any:
    try:
        built_for = _torch_of(metadata.version("fast-plaid"))
    except metadata.PackageNotFoundError as error:
        raise UserError(
            "approximate search: fast-plaid is not installed; pip install optical-sweeps[plaid]"
        ) from error
    here = ".".join(torch.__version__.split(".")[:2])
    if built_for != here:  # it would crash the process
        theirs = f"torch {built_for}" if built_for else "an unknown version of torch"
        raise UserError(
            f"approximate search: fast-plaid {metadata.version('fast-plaid')} was built for {theirs}, here is "
            f"{here}; install that torch, or the fast-plaid whose version ends in {here.replace('.', '')}0"
        )
    search = importlib.import_module("fast_plaid.search")
    return search.FastPlaid(index=str(folder), device="cuda" if torch.cuda.is_available() else "cpu")


def _torch_of(version: str) -> str | None:
    """The version of torch that a fast-plaid is compiled against, from the end of its own.

    >>> _torch_of("1.7.0.2110"), _torch_of("1.4.6.290"), _torch_of("1.1.0")
    ('2.11', '2.9', None)
    """
    parts = version.split(".")
    digits = parts[3] if len(parts) > 3 else ""
    return f"{digits[0]}.{digits[1:-1]}" if len(digits) > 2 else None
