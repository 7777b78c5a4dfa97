"""The part of MaxSim after the matrix product, compiled: the best document token for each query token, summed.

Shape legend: R document tokens of a chunk, nd its documents, W query tokens, nq their queries, d dimensions, T
tokens of a shard, n documents. Offsets of documents run from 0 to R, those of queries from 0 to W.
"""

import numpy as np
from jaxtyping import Float32, Int8, Int64, Shaped

from optical_sweeps.compiled import compiled


@compiled()
def maxsim(
    product: Shaped[np.ndarray, "R W"],
    row_scales: Float32[np.ndarray, " R"],
    token_scales: Float32[np.ndarray, " W"],
    offsets: Int64[np.ndarray, " bounds"],
    query_offsets: Int64[np.ndarray, " query_bounds"],
    scores: Float32[np.ndarray, "nq nd"],
) -> None:
    """Fill in scores from similarities; -inf for a document without tokens.

    The similarity of row r and column w is `product[r, w] * row_scales[r] * token_scales[w]`; all scales are 1
    for a product of float32. Maxima are exact, and a query's tokens are summed from the first to the last, so
    the result does not depend on how the work is divided.
    """
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
    """Fill in the token vectors of `documents`, end to end; offsets as in `shards`."""
    filled = 0
    for document in documents:
        for row in range(offsets[document], offsets[document + 1]):
            scale = scales[row]
            for column in range(codes.shape[1]):
                floats[filled, column] = np.float32(codes[row, column]) * scale
            filled += 1


@compiled()
def gather(
    codes: Int8[np.ndarray, "T d"],
    scales: Float32[np.ndarray, " T"],
    offsets: Int64[np.ndarray, " bounds"],
    documents: Int64[np.ndarray, " n"],
    rows: Int8[np.ndarray, "R d"],
    row_scales: Float32[np.ndarray, " R"],
) -> None:
    """Like `widen`, but in whole numbers and their step sizes."""
    width, filled = codes.shape[1], 0
    source, target = codes.reshape(-1), rows.reshape(-1)
    for document in documents:
        start, end = offsets[document], offsets[document + 1]
        for place in range((end - start) * width):
            target[filled * width + place] = source[start * width + place]
        for row in range(start, end):
            row_scales[filled] = scales[row]
            filled += 1
