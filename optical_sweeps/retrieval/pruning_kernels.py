"""Choosing promising documents by the centroids of their tokens: compiled loops.

Shape legend: K centroids, w query tokens in g groups of 16, p probed lists of each, E entries of all lists, D
documents of a shard, T its tokens, n documents.
"""

import numpy as np
from jaxtyping import Float32, Int32, Int64, Shaped, UInt8

from optical_sweeps.compiled import compiled

LANES = 16
"""Query tokens of a group: one vector instruction reads their similarities with a centroid."""


@compiled()
def nearest_lists(similarities: Float32[np.ndarray, "g K 16"], probes: Int64[np.ndarray, "w p"]) -> None:
    """Fill in the p most similar centroids of w query tokens, the most similar last; of equal ones, the first.

    Args:
        similarities: of groups of 16 query tokens; those behind the last token are -inf.
    """
    count = probes.shape[1]
    best = np.full((count, LANES), -np.inf, np.float32)
    for group in range(similarities.shape[0]):
        best[:] = -np.inf
        first = group * LANES
        for centroid in range(similarities.shape[1]):
            better = False
            for lane in range(LANES):
                better |= similarities[group, centroid, lane] > best[0, lane]
            if not better:
                continue
            for lane in range(min(LANES, probes.shape[0] - first)):
                value = similarities[group, centroid, lane]
                if value > best[0, lane]:
                    place = 0
                    while place + 1 < count and value > best[place + 1, lane]:
                        best[place, lane] = best[place + 1, lane]
                        probes[first + lane, place] = probes[first + lane, place + 1]
                        place += 1
                    best[place, lane] = value
                    probes[first + lane, place] = centroid


@compiled()
def listed(
    probes: Int64[np.ndarray, "w p"],
    list_offsets: Int64[np.ndarray, " list_bounds"],
    list_documents: Int32[np.ndarray, " E"],
    seen: UInt8[np.ndarray, " D"],
    documents: Int32[np.ndarray, " D"],
) -> int:
    """Fill in the documents of the probed lists, each once, ascending; returns their number.

    Args:
        seen: zeros, before and after.
    """
    for token in range(probes.shape[0]):
        for number in probes[token]:
            for place in range(list_offsets[number], list_offsets[number + 1]):
                seen[list_documents[place]] = 1
    count = 0
    for document in range(len(seen)):
        if seen[document]:
            seen[document] = 0
            documents[count] = document
            count += 1
    return count


@compiled()
def add_promises(
    similarities: Float32[np.ndarray, " K16"],
    tokens: int,
    codes: Shaped[np.ndarray, " T"],
    offsets: Int64[np.ndarray, " bounds"],
    documents: Int32[np.ndarray, " n"],
    promises: Float32[np.ndarray, " n"],
) -> None:
    """Add the MaxSim of a group of query tokens with documents, with centroids in place of document tokens.

    One row of similarities per document token is read in the cache, and the documents are in the order in which
    they lie in memory: 6 ns a token; with whole numbers, or in another order, 10 to 25.

    Args:
        similarities: of K centroids with 16 query tokens, row by row.
        tokens: of the group that count.
        codes: the centroid of each token; document i has tokens `offsets[i]` to `offsets[i + 1]`, at least one.
    """
    best = np.empty(LANES, np.float32)
    for place in range(len(documents)):
        start, end = offsets[documents[place]], offsets[documents[place] + 1]
        best[:] = -np.inf
        for row in range(start, end):
            first = np.int64(codes[row]) * LANES
            for lane in range(LANES):
                best[lane] = max(similarities[first + lane], best[lane])
        total = np.float32(0)
        for lane in range(tokens):
            total += best[lane]
        promises[place] += total


@compiled()
def inverted(
    codes: Shaped[np.ndarray, " T"],
    offsets: Int64[np.ndarray, " bounds"],
    list_offsets: Int64[np.ndarray, " list_bounds"],
    documents: Int32[np.ndarray, " T"],
) -> int:
    """Fill in inverted lists from the centroid of each token; a document is in a list once.

    Args:
        codes: the centroid of each token; document i has tokens `offsets[i]` to `offsets[i + 1]`.
        list_offsets: K + 1 zeros; filled in.
        documents: filled in with the documents of each list, ascending.

    Returns:
        The number of entries.
    """
    lists = len(list_offsets) - 1
    last = np.full(lists, -1, np.int32)
    for document in range(len(offsets) - 1):
        for token in range(offsets[document], offsets[document + 1]):
            if last[codes[token]] != document:
                last[codes[token]] = document
                list_offsets[codes[token] + 1] += 1
    for number in range(lists):
        list_offsets[number + 1] += list_offsets[number]
    filled = list_offsets[:-1].copy()
    last[:] = -1
    for document in range(len(offsets) - 1):
        for token in range(offsets[document], offsets[document + 1]):
            code = codes[token]
            if last[code] != document:
                last[code] = document
                documents[filled[code]] = document
                filled[code] += 1
    return int(list_offsets[lists])
