"""Words aligned by transport plans between the tokens of sentence pairs, counted over a bitext.

A plan P moves mass from the tokens of a sentence to those of its translation. Mass is handed from tokens to
the words that they are part of, A P B' with A and B the shares of each token in each word, and summed over all
pairs: the counts that a translation table is estimated from.

Shape legend: B pairs, n source tokens, m target tokens, d dimensions, O words of a text as they occur.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from scipy import sparse
from torch import Tensor

from optical_sweeps.checks import true_or_false, whole_number
from optical_sweeps.corpora.words import word_spans
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings, TokenEmbeddings
from optical_sweeps.encoders.token_encoder import Side, TokenEncoder, TokenizedTexts, normalize
from optical_sweeps.objectives.costs import cosine_cost
from optical_sweeps.retrieval.index import rank_ids
from optical_sweeps.retrieval.translation_table import WordCounts
from optical_sweeps.seeds import derive_seed
from optical_sweeps.training.padding import pad_embeddings
from optical_sweeps.transport import Exact, Solver, TransportProblem

_BATCH = 256  # pairs; a plan of 32 x 32 tokens each takes a megabyte in all
_LEAST = 1e-3  # of a token's mass: less is the smear of an entropic plan


@dataclass(frozen=True)
class AlignmentSettings:
    """How bitext is aligned.

    Args:
        pairs: at most so many of a language, drawn by `seed`; None for all.
        solver: from `optical_sweeps.transport`.
        centre: subtract from the vectors of each language their mean: it holds what its texts have in common.
        seed: of the draw.

    Raises:
        UserError: a setting is out of range.
    """

    pairs: int | None = 20_000
    solver: Solver = field(default_factory=Exact)
    centre: bool = True
    seed: int = 0
    __no_type_check__ = True

    def __post_init__(self) -> None:
        if self.pairs is not None:
            whole_number("alignment.pairs", self.pairs, least=1)
        true_or_false("alignment.centre", self.centre)
        whole_number("alignment.seed", self.seed, least=0)

    def facts(self) -> dict[str, Any]:
        """What of these settings can change a count, as JSON takes it."""
        solver = _solver_facts(self.solver)
        return {"pairs": self.pairs, "solver": solver, "centre": self.centre, "seed": self.seed}

    def drawn(self, size: int) -> Int64[np.ndarray, " k"]:
        """Numbers of the pairs that are aligned, in order; fewer pairs are a part of more."""
        order = np.random.default_rng(derive_seed("alignment", self.seed)).permutation(size)
        return np.sort(order[: self.pairs]).astype(np.int64)


def _solver_facts(solver: Solver) -> dict[str, Any]:
    """Its settings, and those of a solver within."""
    own = getattr(solver, "__dict__", {}).items()
    facts = {
        name: _solver_facts(value) if callable(value) else repr(value)
        for name, value in own
        if name != "threads"
    }
    return {**facts, "name": type(solver).__name__}


@dataclass(frozen=True)
class _Side:
    """Texts of one language as the encoder and as a dictionary see them.

    Args:
        vectors: of the tokens that take part.
        shares: words by tokens, a matrix for each text: which part of a token lies in a word.
        words: the words of each text as they occur.
        whole: texts that the encoder did not cut.
    """

    vectors: RaggedEmbeddings
    shares: tuple[np.ndarray, ...]
    words: tuple[tuple[str, ...], ...]
    whole: Bool[np.ndarray, " N"]


def align_words(
    encoder: TokenEncoder,
    source: Sequence[str],
    target: Sequence[str],
    settings: AlignmentSettings | None = None,
    target_vectors: RaggedEmbeddings | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> WordCounts:
    """Counts of aligned words of texts and their translations, pair by pair.

    A pair counts by its tokens, and a pair that the encoder would cut is left out: its ends may not meet.

    Args:
        encoder: of both languages; as for queries.
        target_vectors: of the target texts, where they are known.

    Raises:
        ValueError: the sides differ in number.
    """
    settings = settings or AlignmentSettings()
    if len(source) != len(target):
        raise ValueError(f"{len(source)} source texts but {len(target)} target texts")
    steps = 2 * len(source)
    left = _side(encoder, source, None, lambda done: progress(done, steps))
    right = _side(encoder, target, target_vectors, lambda done: None)
    kept = np.flatnonzero(left.whole & right.whole)
    kept = kept[
        np.argsort(np.diff(left.vectors.offsets)[kept], kind="stable")
    ]  # alike in length: little padding
    means = tuple(_mean(side.vectors) if settings.centre else None for side in (left, right))
    source_words, target_words = _Numbers(), _Numbers()
    parts = []
    for start in range(0, len(kept), _BATCH):
        rows = kept[start : start + _BATCH]
        plan = _plan(left.vectors, right.vectors, rows, means, settings.solver)
        parts.append(_counted(plan, left, right, rows, source_words, target_words))
        progress(len(source) + start + len(rows), steps)
    return _summed(parts, source_words, target_words)


def _side(
    encoder: TokenEncoder,
    texts: Sequence[str],
    vectors: RaggedEmbeddings | None,
    progress: Callable[[int], None],
) -> _Side:
    tokens = encoder.tokenize_texts(texts, "query")
    if vectors is None:
        vectors = encoder.encode(tokens, "query", progress=lambda done, total: progress(done))
    spans, whole = token_spans(encoder, texts, tokens)
    shares, words = [], []
    for text, own in zip(texts, spans, strict=True):
        found = word_spans(text)
        words.append(tuple(word for word, _, _ in found))
        shares.append(word_shares(np.array([(s, e) for _, s, e in found], np.int64).reshape(-1, 2), own))
    return _Side(vectors, tuple(shares), tuple(words), whole)


def token_spans(
    encoder: TokenEncoder, texts: Sequence[str], tokens: TokenizedTexts, side: Side = "query"
) -> tuple[list[Int64[np.ndarray, "n 2"]], Bool[np.ndarray, " N"]]:
    """Where in its text each token that takes part begins and ends, and which texts were not cut."""
    prefix = encoder.settings.prefix(side)
    marker = [(0, 0)] * (encoder.settings.marker(side) is not None)
    encodings = encoder.rust_tokenizer.encode_batch([prefix + text for text in texts])
    spans, whole = [], np.ones(len(texts), bool)
    for number, (encoding, (start, end)) in enumerate(zip(encodings, pairwise(tokens.offsets), strict=True)):
        whole[number] = len(encoding.ids) + len(marker) == end - start
        special = encoding.special_tokens_mask
        leading, trailing = (ends.index(0) if 0 in ends else 0 for ends in (special, special[::-1]))
        places = [*encoding.offsets[:leading], *marker, *encoding.offsets[leading:]][: end - start]
        if trailing and not whole[number]:  # a cut text ends with them all the same
            places[-trailing:] = [(0, 0)] * trailing
        offsets = np.array(places, np.int64).reshape(-1, 2)
        offsets -= len(prefix)  # a special token's (0, 0) is then before the text, as the prefix is
        own = tokens.mask[start:end]
        spans.append(offsets[own[: len(offsets)]])
    return spans, whole


def word_shares(words: Int64[np.ndarray, "O 2"], tokens: Int64[np.ndarray, "n 2"]) -> Float[np.ndarray, "O n"]:
    """Which part of each token's characters, of those in any word, lies in each word."""
    starts = np.maximum(words[:, None, 0], tokens[None, :, 0])
    ends = np.minimum(words[:, None, 1], tokens[None, :, 1])
    shared = np.maximum(ends - starts, 0).astype(float)
    return np.asarray(shared / np.maximum(shared.sum(0), 1.0))


def _mean(vectors: RaggedEmbeddings) -> Tensor:
    return torch.from_numpy(np.asarray(vectors.vectors).mean(0, dtype=np.float64).astype(np.float32))


def _plan(
    source: RaggedEmbeddings,
    target: RaggedEmbeddings,
    rows: Int64[np.ndarray, " B"],
    means: tuple[Tensor | None, ...],
    solver: Solver,
) -> Float[np.ndarray, "B n m"]:
    sides = [
        _centred(pad_embeddings(side, rows), mean) for side, mean in zip((source, target), means, strict=True)
    ]
    cost = cosine_cost(sides[0].vectors, sides[1].vectors)
    plan = solver(TransportProblem.uniform(cost, sides[0].mask, sides[1].mask))
    matrix: np.ndarray = plan.matrix.detach().numpy()
    return matrix


def _centred(tokens: TokenEmbeddings, mean: Tensor | None) -> TokenEmbeddings:
    if mean is None:
        return tokens
    return TokenEmbeddings(normalize(tokens.vectors - mean) * tokens.mask.unsqueeze(-1), tokens.mask)


class _Numbers(dict[str, int]):
    """Words by number, in the order in which they are first met."""

    def __missing__(self, word: str) -> int:
        self[word] = number = len(self)
        return number


def _counted(
    plan: Float[np.ndarray, "B n m"],
    left: _Side,
    right: _Side,
    rows: Int64[np.ndarray, " B"],
    source_words: _Numbers,
    target_words: _Numbers,
) -> sparse.coo_array:
    """A P B' of each pair, added up by words: one product of block-diagonal matrices."""
    from_words, row_words = _blocks([left.shares[row] for row in rows], [left.words[row] for row in rows])
    to_words, column_words = _blocks([right.shares[row] for row in rows], [right.words[row] for row in rows])
    first = np.concatenate([[0], np.cumsum([left.shares[row].shape[1] for row in rows])])
    second = np.concatenate([[0], np.cumsum([right.shares[row].shape[1] for row in rows])])
    enough = plan >= _LEAST * plan.sum(2, keepdims=True)
    pair, i, j = np.nonzero(enough & (plan > 0))
    # padding carries no mass; the [MASK] tokens that pad queries are part of no word
    inside = (i < np.diff(first)[pair]) & (j < np.diff(second)[pair])
    pair, i, j = pair[inside], i[inside], j[inside]
    tokens = np.diff(first)[pair]
    entries = (plan[pair, i, j].astype(float) * tokens, (first[pair] + i, second[pair] + j))
    moved = sparse.csr_array(entries, shape=(int(first[-1]), int(second[-1])))
    aligned = sparse.coo_array(from_words @ moved @ to_words.T)
    by_source = np.array([source_words[word] for word in row_words], np.int64)
    by_target = np.array([target_words[word] for word in column_words], np.int64)
    at = (by_source[aligned.row], by_target[aligned.col])
    summed = sparse.coo_array((aligned.data, at), shape=(len(source_words), len(target_words)))
    summed.sum_duplicates()
    return summed


def _blocks(
    shares: Sequence[np.ndarray], words: Sequence[tuple[str, ...]]
) -> tuple[sparse.csr_array, list[str]]:
    """The matrices side by side, each in rows and columns of its own, and the words of the rows."""
    at_rows, at_columns, values = [], [], []
    row = column = 0
    for matrix in shares:
        i, j = np.nonzero(matrix)
        at_rows.append(i + row)
        at_columns.append(j + column)
        values.append(matrix[i, j])
        row, column = row + matrix.shape[0], column + matrix.shape[1]
    entries = (np.concatenate(values), (np.concatenate(at_rows), np.concatenate(at_columns)))
    return sparse.csr_array(entries, shape=(row, column)), [word for text in words for word in text]


def _summed(parts: Sequence[sparse.coo_array], source: _Numbers, target: _Numbers) -> WordCounts:
    """One matrix of all batches, its words sorted."""
    rows, columns = rank_ids(list(source)), rank_ids(list(target))
    if not parts:
        return WordCounts((), (), sparse.csr_array((0, 0)))
    at = (
        rows[np.concatenate([part.row for part in parts])],
        columns[np.concatenate([part.col for part in parts])],
    )
    data = np.concatenate([part.data for part in parts])
    matrix = sparse.coo_array((data, at), shape=(len(source), len(target))).tocsr()
    return WordCounts(tuple(sorted(source)), tuple(sorted(target)), matrix)
