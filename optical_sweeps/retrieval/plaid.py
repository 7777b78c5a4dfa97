"""Approximate late-interaction search by PLAID (Santhanam et al. 2022, arXiv 2205.09707), through fast-plaid.

Token vectors are stored as a centroid and a residual of a few bits per component, about 36 bytes for 128
components
at 2 bits: tens of millions of passages fit where even an int8 index does not. If there is a token index as
well, `rerank` scores the documents exactly. fast-plaid is compiled for one version of torch.
"""

import importlib
import json
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from optical_sweeps.checks import Count
from optical_sweeps.encoders.token_embeddings import Progress, RaggedEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.limits import read_json
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.retrieval.trec_runs import RetrievalRun
from optical_sweeps.settings import settings

UPDATE_DOCUMENTS = 16_384
"""Documents that are added at a time."""


@settings("plaid")
class PlaidSettings:
    """How PLAID stores and searches.

    Args:
        bits: per component of a residual.
        sample: number of documents, at even distances, from which centroids are learned; all of a smaller
            collection.
        probes: centroids that are inspected for each query token.
        candidates: documents that are decompressed and scored for each query.
        seed: of the initial centroids.
    """

    bits: Literal[1, 2, 4] = 4
    sample: Count = 131_072
    probes: Count = 8
    candidates: Count = 8_192
    seed: int = 0


def build_plaid(
    folder: Path,
    index: TokenIndex,
    settings: PlaidSettings,
    progress: Progress = lambda done, total: None,
) -> None:
    """Write a PLAID index of all documents of a token index that have a token.

    Memory contains the sample, or `UPDATE_DOCUMENTS` documents.

    Raises:
        UserError: fast-plaid is not installed, or no document has a token.
    """
    nonempty = np.flatnonzero(np.concatenate([np.diff(shard.offsets) > 0 for shard in index.shards]))
    if not len(nonempty):
        raise UserError(f"{folder}: no document has a token; check the collection")
    chosen = np.unique(np.linspace(0, len(nonempty) - 1, min(settings.sample, len(nonempty))).astype(int))
    order = np.concatenate([nonempty[chosen], np.delete(nonempty, chosen)])
    torch.manual_seed(settings.seed)
    plaid = _fast_plaid(folder / "plaid")
    plaid.create(_vectors(index, order[: len(chosen)]), nbits=settings.bits)
    progress(len(chosen), len(order))
    for start in range(len(chosen), len(order), UPDATE_DOCUMENTS):
        plaid.update(_vectors(index, order[start : start + UPDATE_DOCUMENTS]))
        progress(min(start + UPDATE_DOCUMENTS, len(order)), len(order))
    np.save(folder / "documents.npy", order)
    (folder / "plaid.json").write_text(
        json.dumps({"documents": len(order), "bits": settings.bits}) + "\n", encoding="utf-8"
    )


class PlaidIndex:
    """A PLAID index on disk.

    Args:
        ids: of the documents, in the order of the token index from which it was built.

    Raises:
        UserError: fast-plaid is not installed, or the folder has no complete index.
    """

    def __init__(self, folder: Path, ids: Sequence[str], settings: PlaidSettings) -> None:
        self.ids, self.settings = ids, settings
        try:
            read_json(folder / "plaid.json")
            self.order: Int64[np.ndarray, " N"] = np.load(folder / "documents.npy", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UserError(f"{folder}: not a complete PLAID index ({error}); build it again") from error
        self._plaid = _fast_plaid(folder / "plaid")

    def search(self, query_ids: Sequence[str], queries: RaggedEmbeddings, k: int) -> RetrievalRun:
        """Approximately the k documents of highest MaxSim for each query; ties in the order of ids."""
        documents: list[tuple[str, ...]] = []
        scores: list[np.ndarray] = []
        for query in range(len(queries)):
            ranked = sorted(
                ((score, self.ids[int(self.order[place])]) for place, score in self._hits(queries[query], k)),
                key=lambda pair: (-pair[0], pair[1]),
            )
            documents.append(tuple(name for _, name in ranked))
            scores.append(np.array([score for score, _ in ranked], np.float32))
        return RetrievalRun(tuple(query_ids), tuple(documents), tuple(scores))

    def _hits(self, query: Float32[np.ndarray, "n d"], k: int) -> list[tuple[int, float]]:
        """Places in `order`, and scores."""
        if not len(query):
            return []
        hits: list[tuple[int, float]] = self._plaid.search(
            torch.from_numpy(query.astype(np.float32))[None],
            top_k=min(k, len(self.order)),
            n_ivf_probe=self.settings.probes,
            n_full_scores=max(self.settings.candidates, k),
            show_progress=False,
        )[0]
        return hits


def _vectors(index: TokenIndex, documents: Int64[np.ndarray, " n"]) -> list[Tensor]:
    return [torch.from_numpy(np.array(index.vectors_of(int(document)))) for document in documents]


def _fast_plaid(folder: Path) -> Any:
    try:
        version = metadata.version("fast-plaid")
    except metadata.PackageNotFoundError as error:
        raise UserError(
            "approximate search: fast-plaid is not installed; pip install optical-sweeps[plaid]"
        ) from error
    compiled_for, installed = _torch_of(version), ".".join(torch.__version__.split(".")[:2])
    if compiled_for != installed:  # it would crash the process
        theirs = f"torch {compiled_for}" if compiled_for else "an unknown version of torch"
        raise UserError(
            f"approximate search: fast-plaid {version} was built for {theirs}, but {installed} is installed; "
            f"install that torch, or the fast-plaid whose version ends in {installed.replace('.', '')}0"
        )
    search = importlib.import_module("fast_plaid.search")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return search.FastPlaid(index=str(folder), device=device)


def _torch_of(version: str) -> str | None:
    """The version of torch for which a fast-plaid is compiled, from the end of its version.

    >>> _torch_of("1.7.0.2110"), _torch_of("1.4.6.290"), _torch_of("1.1.0")
    ('2.11', '2.9', None)
    """
    parts = version.split(".")
    digits = parts[3] if len(parts) > 3 else ""
    return f"{digits[0]}.{digits[1:-1]}" if len(digits) > 2 else None
