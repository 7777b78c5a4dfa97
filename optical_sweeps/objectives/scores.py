"""Scores of two texts from their token vectors; a score is at most 1.

Shape legend: Q and D texts, n and m tokens, d dimensions.
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings

ScoreName = Literal["maxsim", "pooled"]
Score = Callable[[TokenEmbeddings, TokenEmbeddings], Float[Tensor, "Q D"]]


def mean_maxsim(queries: TokenEmbeddings, documents: TokenEmbeddings) -> Float[Tensor, "Q D"]:
    """MaxSim of every query with every document, averaged over the query's tokens.

    Khattab and Zaharia 2020, arXiv 2004.12832, equation 3, divided by the query's length, so that a temperature
    means the same for short and long texts.
    """
    with torch.autocast(queries.vectors.device.type, enabled=False):
        cosines = torch.einsum("qnd,pmd->qpnm", at_least_float32(queries), at_least_float32(documents))
    # -inf, since a 0 would exceed the cosines of real tokens if all of those are negative
    best = cosines.masked_fill(~documents.mask[None, :, None, :], -torch.inf).amax(-1)
    mask = queries.mask[:, None, :]
    return torch.where(mask, best, 0.0).sum(-1) / mask.sum(-1).clamp(min=1)


def pooled_cosine(queries: TokenEmbeddings, documents: TokenEmbeddings) -> Float[Tensor, "Q D"]:
    """Cosine of the means of the texts' token vectors."""
    with torch.autocast(queries.vectors.device.type, enabled=False):
        return _unit(pooled(queries)) @ _unit(pooled(documents)).mT


SCORES: dict[ScoreName, Score] = {"maxsim": mean_maxsim, "pooled": pooled_cosine}


def pooled(tokens: TokenEmbeddings) -> Float[Tensor, "B d"]:
    """The mean of each text's token vectors.

    >>> tokens = TokenEmbeddings(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), torch.tensor([[True, True]]))
    >>> pooled(tokens)
    tensor([[0.5000, 0.5000]])
    """
    total = torch.where(tokens.mask.unsqueeze(-1), at_least_float32(tokens), 0.0).sum(1)
    return total / tokens.mask.sum(1, keepdim=True).clamp(min=1)


def at_least_float32(tokens: TokenEmbeddings) -> Float[Tensor, "B n d"]:
    """The vectors in float32, or in float64 if they have that precision."""
    return tokens.vectors.to(torch.promote_types(tokens.vectors.dtype, torch.float32))


def _unit(vectors: Float[Tensor, "B d"]) -> Float[Tensor, "B d"]:
    return torch.nn.functional.normalize(vectors, dim=-1)
