"""What a study may claim: which objective is better where, which are equivalent, and which stay open.

All questions of one call are one family, corrected together (Holm 1979); equivalences are a family of their
own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from optical_sweeps.curves.bootstrap import Study
from optical_sweeps.curves.intervals import MeanSquares
from optical_sweeps.curves.scores import Scores, scores
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.significance import DRAWS, Estimate, holm, randomisation_test

TESTS = ("randomisation", "t", "crossed")


@dataclass(frozen=True)
class Claim:
    """One question and its answer.

    Args:
        slice, x: where it was asked.
        difference: of means over queries and seeds, first less second; low and high are its interval.
        p, p_holm: of no difference; the second corrected for the family.
        p_equivalence, p_equivalence_holm: of a difference as large as `margin`.
        alpha: the family's level.
    """

    first: str
    second: str
    slice: str
    x: float
    mean_first: float
    mean_second: float
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    p_equivalence: float
    p_equivalence_holm: float
    margin: float
    alpha: float
    n_seeds: int
    n_queries: int

    @property
    def different(self) -> bool:
        return self.p_holm < self.alpha

    @property
    def equivalent(self) -> bool:
        """Closer than the margin; may hold beside `different`: a real difference too small to matter."""
        return self.p_equivalence_holm < self.alpha

    @property
    def verdict(self) -> str:
        """`higher`, `lower`, `equivalent`, `higher, equivalent`, `lower, equivalent` or `open`."""
        words = [("higher" if self.difference > 0 else "lower")] if self.different else []
        words += ["equivalent"] if self.equivalent else []
        return ", ".join(words) or "open"


def claims(
    study: Study,
    pairs: Sequence[tuple[str, str]] | None = None,
    slices: Sequence[str] | None = None,
    *,
    x: Sequence[float] | None = None,
    test: str = "randomisation",
    margin: float = 0.01,
    alpha: float = 0.05,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[Claim, ...]:
    """Compare objectives at every x on every slice.

    >>> import pandas
    >>> rows = [
    ...     (f"{name} {s}", name, 0.5, s, "ar", q, 0.4 + q / 50 + (name == "optical") / 20 + (q * s % 3) / 99)
    ...     for name in ("optical", "contrastive") for s in (0, 1) for q in range(12)
    ... ]
    >>> columns = ["run", "objective", "ratio", "seed", "language", "query_id", "value"]
    >>> table = pandas.DataFrame(rows, columns=columns).assign(split="test", measure="nDCG@10")
    >>> (claim,) = claims(Study(table, {}), [("optical", "contrastive")], ["ar"])
    >>> claim.verdict, round(claim.difference, 3)
    ('higher', 0.05)

    Args:
        pairs: (first, second) objectives; by default every two that train. The second may be zero-shot.
        slices: by default all groups, or all languages where there is no group.
        x: by default every x that a pair shares.
        test: `randomisation` or `t` over queries, seeds averaged, which holds for other queries and these
            runs; `crossed`, a t test over queries and seeds, which holds for other seeds too.
        margin: differences smaller than this are equivalent.
        draws: of the randomisation test.

    Raises:
        UserError: an unknown test; a study without the pair, the slice or the x; nothing to compare.
    """
    if test not in TESTS:
        raise UserError(f"test: {test!r} is not one of {', '.join(TESTS)}")
    if not margin > 0 or not 0 < alpha < 1:
        raise UserError(f"margin {margin} must be positive and alpha {alpha} between 0 and 1")
    pairs = list(combinations(study.objectives, 2)) if pairs is None else list(pairs)
    groups = [name for name in study.slices if name.startswith("group:")]
    questions = [
        question
        for first, second in pairs
        for slice in (slices if slices is not None else groups or study.languages)
        for question in _questions(study, first, second, slice, x)
    ]
    if not questions:
        raise UserError("claims: nothing to compare; name two objectives of the study")
    estimates = [question.estimate(test) for question in questions]
    p = _p_values(questions, estimates, test, draws, seed)
    p_equivalence = np.array([estimate.p_equivalence(margin) for estimate in estimates])
    corrected = np.stack([p, holm(p), p_equivalence, holm(p_equivalence)], axis=1).tolist()
    return tuple(
        Claim(
            question.first,
            question.second,
            question.block.slice,
            float(question.block.x[question.place]),
            question.mean_first,
            question.mean_second,
            estimate.mean,
            *estimate.interval(study.confidence),
            *(p, p_holm, p_same, p_same_holm),
            margin=margin,
            alpha=alpha,
            n_seeds=len(question.block.seeds),
            n_queries=len(question.block.query_ids),
        )
        for question, estimate, (p, p_holm, p_same, p_same_holm) in zip(
            questions, estimates, corrected, strict=True
        )
    )


@dataclass(frozen=True, eq=False)
class _Question:
    first: str
    second: str
    block: Scores
    place: int
    mean_first: float
    mean_second: float

    def estimate(self, test: str) -> Estimate:
        values = self.block.centred()[[self.place]]
        if test != "crossed":
            return Estimate.of(values[0].mean(0))
        squares = MeanSquares.of(values)
        return Estimate(float(squares.mean[0]), *squares.error(np.ones(1)))


def _questions(
    study: Study, first: str, second: str, slice: str, wanted: Sequence[float] | None
) -> list[_Question]:
    one, other = scores(study, first, slice), scores(study, second, slice)
    block = one.less(other)
    if wanted is not None and (missing := [x for x in wanted if x not in block.x]):
        raise UserError(
            f"{first} and {second} on {slice}: no {study.x} {missing[0]:g} in common; see the study's table"
        )
    return [
        _Question(first, second, block, place, _mean_at(one, block, x), _mean_at(other, block, x))
        for place, x in enumerate(block.x.tolist())
        if wanted is None or x in wanted
    ]


def _mean_at(one: Scores, block: Scores, x: float) -> float:
    """Over the seeds that the comparison is of; zero-shot has neither x nor seed."""
    place = 0 if np.isnan(one.x).all() else int(np.flatnonzero(one.x == x)[0])
    seeds = [number for number, seed in enumerate(one.seeds) if seed in block.seeds] or slice(None)
    return float(one.values[place][seeds].mean())


def _p_values(
    questions: Sequence[_Question], estimates: Sequence[Estimate], test: str, draws: int, seed: int
) -> np.ndarray:
    if test != "randomisation":
        return np.array([estimate.p_value() for estimate in estimates])
    p = np.empty(len(questions))
    differences = [question.block.values[question.place].mean(0) for question in questions]
    for width in {len(one) for one in differences}:
        here = [number for number, one in enumerate(differences) if len(one) == width]
        p[here] = randomisation_test(np.stack([differences[number] for number in here]), draws=draws, seed=seed)
    return p
