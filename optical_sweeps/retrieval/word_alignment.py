"""Words aligned by transport plans between the tokens of sentence pairs, counted over a bitext.

A plan P moves mass from the tokens of a sentence to those of its translation. The mass of tokens is
distributed to the words that contain them, A P B' with A and B the shares of each token in each word, and
summed over all pairs. Translation tables are estimated from these counts.

Shape legend: B pairs, n source tokens, m target tokens, N texts, O words of a text, k pairs drawn.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from scipy import sparse
from torch import Tensor

from optical_sweeps.checks import Count, NonNegativeInt
from optical_sweeps.corpora.words import word_spans
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.token_embeddings import Progress, RaggedEmbeddings, TokenEmbeddings, normalize
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.encoders.tokenized_texts import TokenizedTexts
from optical_sweeps.objectives.costs import cosine_cost
from optical_sweeps.retrieval.token_index import rank_ids
from optical_sweeps.retrieval.word_counts import WordCounts
from optical_sweeps.seeds import derive_seed
from optical_sweeps.settings import settings
from optical_sweeps.training.padding import pad_embeddings
from optical_sweeps.transport import Exact, Solver, TransportProblem

BATCH = 256  # pairs; their plans of 32 x 32 tokens take one megabyte
LEAST_SHARE = 1e-3  # of a token's mass: smaller entries are the blur of an entropic plan


@settings("alignment")
class AlignmentSettings:
    """How bitext is aligned.

    Args:
        pairs: maximum number of pairs per language, drawn by `seed`; None for all.
        solver: from `optical_sweeps.transport`.
        centre: subtract each language's mean vector, which represents what all its texts have in common.
        seed: of the draw.
    """

    pairs: Count | None = 20_000
    solver: Solver = field(default_factory=Exact)
    centre: bool = True
    seed: NonNegativeInt = 0

    def facts(self) -> dict[str, object]:
        """The settings that can change a count, in a form that JSON can represent."""
        solver = _solver_facts(self.solver)
        return {"pairs": self.pairs, "solver": solver, "centre": self.centre, "seed": self.seed}

    def drawn(self, size: int) -> Int64[np.ndarray, " k"]:
        """Numbers of the pairs to align, ascending; a smaller draw is a subset of a larger one."""
        order = np.random.default_rng(derive_seed("alignment", self.seed)).permutation(size)
        return np.sort(order[: self.pairs]).astype(np.int64)


def _solver_facts(solver: Solver) -> dict[str, object]:
    """The settings of a solver, and of a solver within it."""
    facts = {
        name: _solver_facts(value) if callable(value) else repr(value)
        for name, value in vars(solver).items()
        if name != "threads"
    }
    return {**facts, "name": type(solver).__name__}


@dataclass(frozen=True)
class _Side:
    """Texts of one language as tokens and as words.

    Args:
        vectors: of the tokens that take part.
        shares: for each text a matrix of words x tokens: which share of a token lies in a word.
        words: the words of each text in order.
        whole: texts that the encoder did not truncate.
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
    progress: Progress = lambda done, total: None,
) -> WordCounts:
    """Counts of aligned words of texts and their translations.

    The weight of a pair is its number of source tokens. A pair that the encoder truncates is skipped, because
    its ends may not correspond.

    Args:
        encoder: of both languages; it encodes all texts as queries.
        target_vectors: of the target texts, if they are known.

    Raises:
        ValueError: the numbers of texts differ.
    """
    settings = settings or AlignmentSettings()
    if len(source) != len(target):
        raise ValueError(f"{len(source)} source texts but {len(target)} target texts")
    steps = 2 * len(source)
    left = _side(encoder, source, None, lambda done: progress(done, steps))
    right = _side(encoder, target, target_vectors, lambda done: None)
    whole = np.flatnonzero(left.whole & right.whole)
    # Pairs of similar length in a batch need little padding.
    pairs = whole[np.argsort(np.diff(left.vectors.offsets)[whole], kind="stable")]
    means = tuple(_mean(side.vectors) if settings.centre else None for side in (left, right))
    source_words, target_words = _numbering(), _numbering()
    parts = []
    for start in range(0, len(pairs), BATCH):
        rows = pairs[start : start + BATCH]
        plan = _plan(left.vectors, right.vectors, rows, means, settings.solver)
        parts.append(_batch_counts(plan, left, right, rows, source_words, target_words))
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
    for text, text_spans in zip(texts, spans, strict=True):
        text_words = word_spans(text)
        words.append(tuple(word for word, _, _ in text_words))
        bounds = np.array([(start, end) for _, start, end in text_words], np.int64).reshape(-1, 2)
        shares.append(word_shares(bounds, text_spans))
    return _Side(vectors, tuple(shares), tuple(words), whole)


def token_spans(
    encoder: TokenEncoder, texts: Sequence[str], tokens: TokenizedTexts, side: Side = "query"
) -> tuple[list[Int64[np.ndarray, "n 2"]], Bool[np.ndarray, " N"]]:
    """Where in its text each token that takes part begins and ends, and which texts were not truncated."""
    prefix = encoder.settings.prefix(side)
    marker = [(0, 0)] * (encoder.settings.marker(side) is not None)
    encodings = encoder.text_tokenizer.rust_tokenizer.encode_batch([prefix + text for text in texts])
    spans, whole = [], np.ones(len(texts), bool)
    for number, (encoding, (start, end)) in enumerate(zip(encodings, pairwise(tokens.offsets), strict=True)):
        whole[number] = len(encoding.ids) + len(marker) == end - start
        special = encoding.special_tokens_mask
        leading, trailing = (ends.index(0) if 0 in ends else 0 for ends in (special, special[::-1]))
        places = [*encoding.offsets[:leading], *marker, *encoding.offsets[leading:]][: end - start]
        if trailing and not whole[number]:  # a truncated text ends with special tokens too
            places[-trailing:] = [(0, 0)] * trailing
        offsets = np.array(places, np.int64).reshape(-1, 2)
        offsets -= len(prefix)  # a special token's (0, 0) is then before the text, as the prefix is
        spans.append(offsets[tokens.mask[start:end][: len(offsets)]])
    return spans, whole


def word_shares(words: Int64[np.ndarray, "O 2"], tokens: Int64[np.ndarray, "n 2"]) -> Float[np.ndarray, "O n"]:
    """Of each token's characters that belong to any word, the share that lies in each word."""
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
    left, right = (
        _centred(pad_embeddings(side, rows), mean) for side, mean in zip((source, target), means, strict=True)
    )
    cost = cosine_cost(left.vectors, right.vectors)
    matrix: np.ndarray = solver(TransportProblem.uniform(cost, left.mask, right.mask)).matrix.detach().numpy()
    return matrix


def _centred(tokens: TokenEmbeddings, mean: Tensor | None) -> TokenEmbeddings:
    if mean is None:
        return tokens
    return TokenEmbeddings(normalize(tokens.vectors - mean) * tokens.mask.unsqueeze(-1), tokens.mask)


def _numbering() -> dict[str, int]:
    """Numbers words from 0 as they are looked up for the first time."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    return numbers


def _batch_counts(
    plan: Float[np.ndarray, "B n m"],
    left: _Side,
    right: _Side,
    rows: Int64[np.ndarray, " B"],
    source_words: dict[str, int],
    target_words: dict[str, int],
) -> sparse.coo_array:
    """A P B' of all pairs, summed by words: one product of block-diagonal matrices."""
    source_shares, source_ids = _block_diagonal(left, rows, source_words)
    target_shares, target_ids = _block_diagonal(right, rows, target_words)
    first = np.concatenate([[0], np.cumsum([left.shares[row].shape[1] for row in rows])])
    second = np.concatenate([[0], np.cumsum([right.shares[row].shape[1] for row in rows])])
    large = plan >= LEAST_SHARE * plan.sum(2, keepdims=True)
    pair, i, j = np.nonzero(large & (plan > 0))
    # padding carries no mass; the [MASK] tokens that pad queries belong to no word
    inside = (i < np.diff(first)[pair]) & (j < np.diff(second)[pair])
    pair, i, j = pair[inside], i[inside], j[inside]
    tokens = np.diff(first)[pair]
    entries = (plan[pair, i, j].astype(float) * tokens, (first[pair] + i, second[pair] + j))
    moved = sparse.csr_array(entries, shape=(int(first[-1]), int(second[-1])))
    aligned = sparse.coo_array(source_shares @ moved @ target_shares.T)
    positions = (source_ids[aligned.row], target_ids[aligned.col])
    counts = sparse.coo_array((aligned.data, positions), shape=(len(source_words), len(target_words)))
    counts.sum_duplicates()
    return counts


def _block_diagonal(
    side: _Side, rows: Int64[np.ndarray, " B"], numbers: dict[str, int]
) -> tuple[sparse.csr_array, Int64[np.ndarray, " O"]]:
    """The shares of these texts as one matrix, and the number of each row's word."""
    shares = sparse.block_diag([sparse.coo_array(side.shares[row]) for row in rows], format="csr")
    return sparse.csr_array(shares), np.array(
        [numbers[word] for row in rows for word in side.words[row]], np.int64
    )


def _summed(parts: Sequence[sparse.coo_array], source: dict[str, int], target: dict[str, int]) -> WordCounts:
    """The counts of all batches in one matrix, with sorted words."""
    if not parts:
        return WordCounts((), (), sparse.csr_array((0, 0)))
    rows, columns = rank_ids(list(source)), rank_ids(list(target))
    positions = (
        rows[np.concatenate([part.row for part in parts])],
        columns[np.concatenate([part.col for part in parts])],
    )
    data = np.concatenate([part.data for part in parts])
    matrix = sparse.coo_array((data, positions), shape=(len(source), len(target))).tocsr()
    return WordCounts(tuple(sorted(source)), tuple(sorted(target)), matrix)
