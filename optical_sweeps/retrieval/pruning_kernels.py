"""Choosing promising documents by the centroids nearest to query tokens: compiled loops.

Shape legend: B centroids of a block, W query tokens of a tile, w those of one query, p probed lists of each, E
entries of all lists, D documents of a shard, T its tokens, n documents.
"""

import numpy as np
from jaxtyping import Float32, Int32, Int64, Shaped, UInt16

from optical_sweeps.compiled import compiled

LANES = 16
"""Centroids whose similarities with a query token are compared at a time, by one vector instruction."""
BUCKETS = 8_192
"""Steps in which promises are compared."""


@compiled()
def add_nearest(
    similarities: Shaped[np.ndarray, "W B"],
    first: int,
    values: Shaped[np.ndarray, "W p"],
    centroids: Int32[np.ndarray, "W p"],
) -> None:
    """Merge a block of centroids into the p most similar ones of each query token, the least similar first.

    Args:
        similarities: with the centroids from number `first`, float32 or int32; of equal ones, the first is
            kept.
        values: their similarities; the lowest number of the type at the start.
        centroids: their numbers; filled in.
    """
    count, size = values.shape[1], similarities.shape[1]
    whole = size // LANES
    tops = np.empty(whole + 1, similarities.dtype)
    for token in range(similarities.shape[0]):
        row = similarities[token]
        for group in range(whole):
            most = row[group * LANES]
            for lane in range(LANES):
                most = max(most, row[group * LANES + lane])
            tops[group] = most
        tops[whole] = row[whole * LANES :].max() if whole * LANES < size else values[token, 0]
        for group in range(whole + 1):
            if tops[group] <= values[token, 0]:
                continue
            for column in range(group * LANES, min(group * LANES + LANES, size)):
                value = row[column]
                if value > values[token, 0]:
                    place = 0
                    while place + 1 < count and value > values[token, place + 1]:
                        values[token, place] = values[token, place + 1]
                        centroids[token, place] = centroids[token, place + 1]
                        place += 1
                    values[token, place] = value
                    centroids[token, place] = first + column


@compiled()
def add_gains(
    centroids: Int32[np.ndarray, "w p"],
    gains: Float32[np.ndarray, "w p"],
    list_offsets: Int64[np.ndarray, " list_bounds"],
    list_documents: Int32[np.ndarray, " E"],
    seen: UInt16[np.ndarray, " D"],
    totals: Float32[np.ndarray, " D"],
    documents: Int32[np.ndarray, " D"],
) -> int:
    """Fill in the documents of the probed lists, each once, and the promise of each; returns their number.

    The promise is the sum of the gains of the query's tokens, where the gain of a token is that of its nearest
    list that contains the document. An entry takes about 2 ns.

    Args:
        centroids, gains: of the probed lists, the least similar first.
        seen: zeros, before and after.
        totals: filled in for the documents; other places are not changed.
    """
    count = 0
    for token in range(centroids.shape[0]):
        stamp = np.uint16(token + 1)
        for place in range(centroids.shape[1] - 1, -1, -1):
            gain = gains[token, place]
            number = centroids[token, place]
            for entry in range(list_offsets[number], list_offsets[number + 1]):
                document = list_documents[entry]
                last = seen[document]
                if last == stamp:
                    continue
                seen[document] = stamp
                if last == 0:
                    documents[count] = document
                    totals[document] = gain
                    count += 1
                else:
                    totals[document] += gain
    for place in range(count):
        seen[documents[place]] = 0
    return count


@compiled()
def most_promising(
    documents: Int32[np.ndarray, " n"],
    totals: Float32[np.ndarray, " D"],
    most: float,
    chosen: Int64[np.ndarray, " c"],
) -> int:
    """Fill in the documents of the greatest totals, ascending; returns their number, at most c.

    Totals are compared in steps. Of the documents in the lowest step that is reached, the first are chosen.

    Args:
        most: no total is greater; none is negative.
    """
    count, wanted = len(documents), len(chosen)
    if count <= wanted:
        chosen[:count] = documents
        chosen[:count].sort()
        return count
    scale = np.float32((BUCKETS - 1) / most) if most > 0 else np.float32(0)
    sizes = np.zeros(BUCKETS, np.int64)
    for document in documents:
        sizes[np.int64(totals[document] * scale)] += 1
    last, above = BUCKETS - 1, 0
    while above + sizes[last] < wanted:
        above += sizes[last]
        last -= 1
    filled, rest = 0, 0
    ties = np.empty(sizes[last], np.int64)
    for document in documents:
        bucket = np.int64(totals[document] * scale)
        if bucket > last:
            chosen[filled] = document
            filled += 1
        elif bucket == last:
            ties[rest] = document
            rest += 1
    ties.sort()
    chosen[filled:] = ties[: wanted - filled]
    chosen.sort()
    return wanted


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
