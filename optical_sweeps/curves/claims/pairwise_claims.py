"""What a study may claim: which objective is better where, which are equivalent, and which stay open.

All questions of one call are one family, corrected together (Holm 1979); equivalences are a family of their
own.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from optical_sweeps.curves.statistics.anova_intervals import MeanSquares
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.statistics.study_scores import Scores, members_of, scores
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.significance import DRAWS, Estimate, holm, randomisation_test

TESTS = ("randomisation", "t", "crossed")


class NothingToAsk(UserError):
    """What is asked is in order, but the study cannot answer it (yet)."""


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
    """Compare objectives at every x on every slice that `slices_asked` keeps.

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
        x: those of these values that a pair shares; by default every x that it does.
        test: `randomisation` or `t` over queries, seeds averaged, which holds for other queries and these
            runs; `crossed`, a t test over queries and seeds, which holds for other seeds too.
        margin: differences smaller than this are equivalent.
        draws: of the randomisation test.

    Raises:
        UserError: an unknown test; a study without the pair, the slice or the x; no slice with enough queries;
            nothing to compare.
    """
    if test not in TESTS:
        raise UserError(f"test: {test!r} is not one of {', '.join(TESTS)}")
    if not margin > 0 or not 0 < alpha < 1:
        raise UserError(f"margin {margin} must be positive and alpha {alpha} between 0 and 1")
    pairs = list(combinations(study.objectives, 2)) if pairs is None else list(pairs)
    if len({frozenset(pair) for pair in pairs}) < len(pairs):
        raise UserError("pairs: the same two objectives stand in two of them; name each pair once")
    asked = slices_asked(study, slices)
    if asked and all(asked.values()):
        raise NothingToAsk(
            f"{next(iter(asked))}: too few queries for a test; choose other slices, or a split of more queries"
        )
    questions = [
        question
        for first, second in pairs
        for slice, left_out in asked.items()
        if not left_out
        for question in _questions(study, first, second, slice, x)
    ]
    if pairs and x is not None:
        refuse_absent(x, {question.x for question in questions}, study.x)
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
            question.x,
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


def slices_asked(study: Study, slices: Sequence[str] | None = None) -> dict[str, str]:
    """The slices, by default those of `claims`, each with why it is left out; nothing where it is asked about.

    What is asked twice is corrected for twice, so of slices with the same languages the first stands for all.

    >>> import pandas
    >>> rows = [("run", "optical", 0.5, 1, "de", query, 0.4) for query in "12"]
    >>> names = ["run", "objective", "ratio", "seed", "language", "query_id", "value"]
    >>> table = pandas.DataFrame(rows, columns=names).assign(split="test", measure="nDCG@10")
    >>> slices_asked(Study(table, {"high": ("de",), "low": (), "all": ("de",)}, replicates=10))
    {'group:high': '', 'group:all': 'the languages of group:high'}
    """
    groups = [name for name in study.slices if name.startswith("group:")]
    firsts: dict[tuple[str, ...], str] = {}
    asked = {}
    for slice in slices if slices is not None else groups or study.languages:
        members = members_of(study, slice)
        first = firsts.setdefault(tuple(sorted(members)), slice)
        again, few = first != slice, _too_few(study, members)
        asked[slice] = f"the languages of {first}" if again else "too few queries" if few else ""
    return asked


def refuse_absent(x: Sequence[float], there: Collection[float], name: str) -> None:
    """Raise a NothingToAsk that names the first x which is not there."""
    if absent := [one for one in x if one not in there]:
        raise NothingToAsk(
            f"claims: no {name} {absent[0]:g} in common in any pair of objectives; see the study's table"
        )


def _too_few(study: Study, members: Sequence[str]) -> bool:
    """Whether no two queries are of the same languages: nothing tells, then, how far queries differ."""
    held = {
        language: set(table.columns) for (_, language), table in study.values.items() if language in members
    }
    kinds = set()
    for query in set[Any]().union(*held.values()):
        kind = tuple(query in queries for queries in held.values())
        if kind in kinds:
            return False
        kinds.add(kind)
    return bool(kinds)


@dataclass(frozen=True, eq=False)
class _Question:
    first: str
    second: str
    block: Scores
    place: int
    mean_first: float
    mean_second: float

    @property
    def x(self) -> float:
        return float(self.block.x[self.place])

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
