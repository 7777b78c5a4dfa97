"""The part of MaxSim after the matrix product, compiled: the best document token for each query token, summed.

Shape legend: R document tokens of a stretch, nd documents cut from them, W query tokens, nq queries cut from
those. Offsets run from 0 to R and from 0 to W.
"""

import numpy as np
from jaxtyping import Float32, Int8, Int32, Int64

from optical_sweeps.compiled import compiled


@compiled()
def maxsim(
    product: Float32[np.ndarray, "R W"],
    offsets: Int64[np.ndarray, " bounds"],
    query_offsets: Int64[np.ndarray, " query_bounds"],
    scores: Float32[np.ndarray, "nq nd"],
) -> None:
    """Fill in scores from similarities; -inf for a document without tokens.

    Maxima are exact, and a query's tokens are summed from the first to the last: no order of work shows.
    """
    width = product.shape[1]
    best = np.empty(width, np.float32)
    for document in range(len(offsets) - 1):
        best[:] = -np.inf
        for row in range(offsets[document], offsets[document + 1]):
            for token in range(width):
                value = product[row, token]
                best[token] = value if value > best[token] else best[token]
        for query in range(len(query_offsets) - 1):
            total = np.float32(0)
            for token in range(query_offsets[query], query_offsets[query + 1]):
                total += best[token]
            scores[query, document] = total


@compiled()
def scaled_maxsim(
    product: Int32[np.ndarray, "R W"],
    row_scales: Float32[np.ndarray, " R"],
    token_scales: Float32[np.ndarray, " W"],
    offsets: Int64[np.ndarray, " bounds"],
    query_offsets: Int64[np.ndarray, " query_bounds"],
    scores: Float32[np.ndarray, "nq nd"],
) -> None:
    """The same from products of whole numbers, whose row r and column w count steps of these sizes."""
    width = product.shape[1]
    best = np.empty(width, np.float32)
    for document in range(len(offsets) - 1):
        best[:] = -np.inf
        for row in range(offsets[document], offsets[document + 1]):
            scale = row_scales[row]
            for token in range(width):
                value = np.float32(product[row, token]) * scale
                best[token] = value if value > best[token] else best[token]
        for query in range(len(query_offsets) - 1):
            total = np.float32(0)
            for token in range(query_offsets[query], query_offsets[query + 1]):
                total += best[token] * token_scales[token]
            scores[query, document] = total


@compiled()
def widen(
    codes: Int8[np.ndarray, "T d"],
    scales: Float32[np.ndarray, " T"],
    offsets: Int64[np.ndarray, " bounds"],
    documents: Int64[np.ndarray, " n"],
    floats: Float32[np.ndarray, "R d"],
) -> None:
    """Fill in the token vectors of these documents, end to end; document i has rows `offsets[i]` and on."""
    at = 0
    for document in documents:
        for row in range(offsets[document], offsets[document + 1]):
            scale = scales[row]
            for place in range(codes.shape[1]):
                floats[at, place] = np.float32(codes[row, place]) * scale
            at += 1
