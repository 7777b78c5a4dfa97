"""Losses of a ColBERT teacher on queries, positives and negatives.

Khattab and Zaharia 2020, arXiv 2004.12832, section 3.3; in-batch negatives as in ColBERTv2, Santhanam et al.
2022, arXiv 2112.01488, section 3.2. Scores are means over a query's tokens, divided by a temperature.

Shape legend: B queries, p = 1 + k documents of each, D = B p documents: first the positives, then the negatives
of each query.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.contrastive import candidate_cross_entropy
from optical_sweeps.objectives.scores import mean_maxsim
from optical_sweeps.training.teacher_settings import TeacherLoss


def teacher_loss(
    kind: TeacherLoss,
    queries: TokenEmbeddings,
    documents: TokenEmbeddings,
    temperature: float,
    concepts: Int[Tensor, " B"],
    document_concepts: Int[Tensor, " D"],
) -> Float[Tensor, ""]:
    """The loss `in_batch`, `pairwise`, or `both`, which is their sum.

    in_batch: -log softmax of the positive among all documents of the batch; other documents of the query's
    concept are left out. pairwise: -log softmax of the positive among the query's own documents.
    """
    own = own_documents(len(queries.mask), len(documents.mask)).to(queries.mask.device)
    if kind == "pairwise":
        return _cross_entropy_with_first(paired_maxsim(queries, documents, own) / temperature)
    scores = mean_maxsim(queries, documents) / temperature
    loss = candidate_cross_entropy(scores, concepts, document_concepts, own[:, 0])
    return loss if kind == "in_batch" else loss + _cross_entropy_with_first(scores.gather(1, own))


def own_documents(queries: int, documents: int) -> Int[Tensor, "B p"]:
    """The rows of each query's positive and negatives among the documents.

    >>> own_documents(2, 6).tolist()
    [[0, 2, 3], [1, 4, 5]]
    """
    negatives = torch.arange(queries, documents).view(queries, documents // queries - 1)
    return torch.cat([torch.arange(queries)[:, None], negatives], 1)


def paired_maxsim(
    queries: TokenEmbeddings, documents: TokenEmbeddings, own: Int[Tensor, "B p"]
) -> Float[Tensor, "B p"]:
    """Mean MaxSim of every query with its own documents only."""
    pairs = [
        mean_maxsim(
            TokenEmbeddings(queries.vectors[row : row + 1], queries.mask[row : row + 1]),
            TokenEmbeddings(documents.vectors[places], documents.mask[places]),
        )
        for row, places in enumerate(own)
    ]
    return torch.cat(pairs)


def _cross_entropy_with_first(scores: Float[Tensor, "B p"]) -> Float[Tensor, ""]:
    """Cross entropy whose target is the first document of each query."""
    return cross_entropy(scores, torch.zeros(len(scores), dtype=torch.int64, device=scores.device))
