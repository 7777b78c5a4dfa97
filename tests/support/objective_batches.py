"""Batches of token vectors, and parts of slow reference implementations."""

import torch
from torch.nn.functional import normalize, pad

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings


def embeddings(lengths, dim=8, seed=0, width=None, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    width = width or max(lengths)
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    vectors = normalize(torch.randn(len(lengths), width, dim, generator=generator, dtype=torch.float64), dim=-1)
    return TokenEmbeddings((vectors * mask[..., None]).to(dtype), mask)


def ids(size):
    return torch.arange(size)


def rows(tokens, order):
    return TokenEmbeddings(tokens.vectors[order], tokens.mask[order])


def wider(tokens, more):
    return TokenEmbeddings(pad(tokens.vectors, (0, 0, 0, more)), pad(tokens.mask, (0, more)))


def texts(tokens):
    """The vectors of each text without padding, in float64, as lists."""
    return [v[m].double().tolist() for v, m in zip(tokens.vectors, tokens.mask, strict=True)]


def dot(x, y):
    return sum(a * b for a, b in zip(x, y, strict=True))


def slow_maxsim(query, document):
    return sum(max(dot(token, other) for other in document) for token in query) / len(query)


def slow_pooled(text):
    return [sum(values) / len(text) for values in zip(*text, strict=True)]


def slow_cosine(query, document):
    x, y = slow_pooled(query), slow_pooled(document)
    return dot(x, y) / (dot(x, x) * dot(y, y)) ** 0.5


SLOW_SCORES = {"maxsim": slow_maxsim, "pooled": slow_cosine}
