"""Exact MaxSim of the documents that another search found: the second stage."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.retrieval import _kernels
from optical_sweeps.retrieval.index import TokenIndex
from optical_sweeps.retrieval.keys import keys, unpack
from optical_sweeps.retrieval.runs import RetrievalRun

_SMALLEST = 16  # tokens of a product; see `maxsim`


@dataclass(frozen=True)
class _Scored:
    documents: tuple[str, ...]
    scores: Float32[np.ndarray, " k"]


def rerank(index: TokenIndex, queries: RaggedEmbeddings, run: RetrievalRun, k: int) -> RetrievalRun:
    """The k documents of highest MaxSim among those of `run`, for each query; ties in the order of ids.

    Args:
        queries: token vectors of the run's queries, in its order.

    Raises:
        ValueError: the run names a document that the index lacks, or has other queries.
    """
    if len(queries) != len(run):
        raise ValueError(f"the run has {len(run)} queries but there are embeddings of {len(queries)}")
    wanted = {document for documents in run.documents for document in documents}
    numbers = {name: number for number, name in enumerate(index.ids) if name in wanted}
    if unknown := wanted - numbers.keys():
        raise ValueError(f"document {min(unknown)!r} is not in the index")
    ranked = [
        _rank(index, queries[query], [numbers[name] for name in documents], k)
        for query, documents in enumerate(run.documents)
    ]
    return RetrievalRun(run.query_ids, tuple(r.documents for r in ranked), tuple(r.scores for r in ranked))


def _rank(index: TokenIndex, query: Float32[np.ndarray, "n d"], documents: list[int], k: int) -> _Scored:
    vectors = [index.vectors_of(document) for document in documents]
    present = [place for place, rows in enumerate(vectors) if len(rows)]
    if not present or not len(query):
        return _Scored((), np.empty(0, np.float32))
    offsets = np.cumsum([0, *(len(vectors[place]) for place in present)]).astype(np.int64)
    rows = _widened(np.concatenate([vectors[place] for place in present]))
    product = torch.from_numpy(rows) @ torch.from_numpy(_widened(query)).T
    scores = np.empty((1, len(present)), np.float32)
    _kernels.maxsim(product.numpy(), offsets, np.array([0, len(query)]), scores)
    ranks = index.id_ranks[[documents[place] for place in present]]
    found = keys(torch.from_numpy(scores), torch.from_numpy(ranks))[0].topk(min(k, len(present))).values
    order, best = unpack(found.numpy())
    return _Scored(tuple(index.ids[int(number)] for number in index.id_order[order]), best)


def _widened(vectors: Float32[np.ndarray, "w d"]) -> Float32[np.ndarray, "W d"]:
    spare = max(0, _SMALLEST - len(vectors))
    return np.concatenate([vectors, np.zeros((spare, vectors.shape[1]), np.float32)])
