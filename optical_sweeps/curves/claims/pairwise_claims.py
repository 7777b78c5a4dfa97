"""What a study may claim: which objective is better where, which are equivalent, and what remains open.

All comparisons of one call are one family, corrected together (Holm 1979); their tests of equivalence are a
second family.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from optical_sweeps.curves.statistics.anova_intervals import MeanSquares
from optical_sweeps.curves.statistics.score_block import Scores
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.statistics.study_scores import scores
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.significance import DRAWS, Estimate, holm, randomisation_test

TESTS = ("randomisation", "t", "crossed")


class NothingToCompare(UserError):
    """The request is valid, but the study cannot answer it (yet)."""


@dataclass(frozen=True)
class Claim:
    """One comparison and its result.

    Args:
        difference: of means over queries and seeds, first minus second; `low` and `high` bound its interval.
        p, p_holm: of the test of no difference; the second is corrected for the family.
        p_equivalence, p_equivalence_holm: of the test of a difference as large as `margin`.
        alpha: level of the family.
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
        """Closer than the margin. A claim can be `different` too: a real difference too small to matter."""
        return self.p_equivalence_holm < self.alpha

    @property
    def verdict(self) -> str:
        """`higher`, `lower`, `equivalent`, `higher, equivalent`, `lower, equivalent` or `open`."""
        words = [("higher" if self.difference > 0 else "lower")] if self.different else []
        words += ["equivalent"] if self.equivalent else []
        return ", ".join(words) or "open"


def claims_of_study(
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
    """Compare objectives at every x on every slice that `slices_to_compare` keeps.

    Args:
        pairs: (first, second) objectives; by default every pair that trains. The second may be zero-shot.
        slices: by default all groups, or all languages if there is no group.
        x: values of x; each pair is compared at those that both objectives have. By default, at all of them.
        test: `randomisation` or `t` over queries, with seeds averaged, holds for other queries and these runs;
            `crossed`, a t test over queries and seeds, holds for other seeds too.
        margin: smaller differences are equivalent.
        draws: of the randomisation test.

    Raises:
        NothingToCompare: no slice with enough queries, or no pair that shares an x.
        UserError: an unknown test, a bad margin or alpha, a pair that the study lacks, or no comparison.
    """
    if test not in TESTS:
        raise UserError(f"test: {test!r} is not one of {', '.join(TESTS)}")
    if not margin > 0 or not 0 < alpha < 1:
        raise UserError(f"margin {margin} must be positive and alpha {alpha} between 0 and 1")
    comparisons = _comparisons(study, pairs, slices, x)
    estimates = [comparison.estimate(test) for comparison in comparisons]
    p = _p_values(comparisons, estimates, test, draws, seed)
    p_equivalence = np.array([estimate.p_equivalence(margin) for estimate in estimates])
    corrected = np.stack([p, holm(p), p_equivalence, holm(p_equivalence)], axis=1).tolist()
    return tuple(
        Claim(
            one.first,
            one.second,
            one.block.slice,
            one.x,
            one.mean_first,
            one.mean_second,
            estimate.mean,
            *estimate.interval(study.confidence),
            *(p, p_holm, p_equal, p_equal_holm),
            margin=margin,
            alpha=alpha,
            n_seeds=len(one.block.seeds),
            n_queries=len(one.block.query_ids),
        )
        for one, estimate, (p, p_holm, p_equal, p_equal_holm) in zip(
            comparisons, estimates, corrected, strict=True
        )
    )


def slices_to_compare(study: Study, slices: Sequence[str] | None = None) -> dict[str, str]:
    """Slice -> why it is left out, or an empty string; by default the slices of `claims`.

    A repeated comparison would be corrected for twice, so of slices with the same languages only the first is
    compared.
    """
    groups = [name for name in study.slices if name.startswith("group:")]
    firsts: dict[tuple[str, ...], str] = {}
    reasons = {}
    for slice in slices if slices is not None else groups or study.languages:
        members = study.members(slice)
        first = firsts.setdefault(tuple(sorted(members)), slice)
        reason = "too few queries" if _too_few_queries(study, members) else ""
        reasons[slice] = f"the languages of {first}" if first != slice else reason
    return reasons


def check_shared_x(x: Sequence[float], shared: Collection[float], name: str) -> None:
    """Raise NothingToCompare for the first x that no pair shares."""
    if absent := [value for value in x if value not in shared]:
        raise NothingToCompare(
            f"claims: no pair of objectives has {name} {absent[0]:g} in common; see the study's table"
        )


def _too_few_queries(study: Study, members: Sequence[str]) -> bool:
    """Whether no two queries belong to the same languages, so that the spread over queries is unknown."""
    by_language = {
        language: set(table.columns) for (_, language), table in study.values.items() if language in members
    }
    patterns = set()
    for query in set().union(*by_language.values()):
        pattern = tuple(query in queries for queries in by_language.values())
        if pattern in patterns:
            return False
        patterns.add(pattern)
    return bool(patterns)


@dataclass(frozen=True, eq=False)
class _Comparison:
    """Two objectives on one slice at one x: row `place` of the difference `block`."""

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


def _comparisons(
    study: Study,
    pairs: Sequence[tuple[str, str]] | None,
    slices: Sequence[str] | None,
    x: Sequence[float] | None,
) -> list[_Comparison]:
    pairs = list(combinations(study.objectives, 2)) if pairs is None else list(pairs)
    if len({frozenset(pair) for pair in pairs}) < len(pairs):
        raise UserError("pairs: two of them have the same objectives; name each pair once")
    reasons = slices_to_compare(study, slices)
    if reasons and all(reasons.values()):
        first = next(iter(reasons))
        raise NothingToCompare(
            f"{first}: too few queries for a test; choose other slices, or a split with more queries"
        )
    every = [
        comparison
        for first, second in pairs
        for slice, reason in reasons.items()
        if not reason
        for comparison in _along_x(study, first, second, slice)
    ]
    wanted = [comparison for comparison in every if x is None or comparison.x in x]
    if pairs and x is not None:
        check_shared_x(x, {comparison.x for comparison in wanted}, study.x)
    if not wanted:
        raise UserError("claims: nothing to compare; name two objectives of the study")
    return wanted


def _along_x(study: Study, first: str, second: str, slice: str) -> list[_Comparison]:
    one, other = scores(study, first, slice), scores(study, second, slice)
    block = one.less(other)
    return [
        _Comparison(first, second, block, place, _mean_at(one, block, x), _mean_at(other, block, x))
        for place, x in enumerate(block.x.tolist())
    ]


def _mean_at(one: Scores, block: Scores, x: float) -> float:
    """The mean over the seeds of the difference; zero-shot has neither x nor seed."""
    place = 0 if np.isnan(one.x).all() else int(np.flatnonzero(one.x == x)[0])
    seeds = [number for number, seed in enumerate(one.seeds) if seed in block.seeds] or slice(None)
    return float(one.values[place][seeds].mean())


def _p_values(
    comparisons: Sequence[_Comparison], estimates: Sequence[Estimate], test: str, draws: int, seed: int
) -> np.ndarray:
    if test != "randomisation":
        return np.array([estimate.p_value() for estimate in estimates])
    p = np.empty(len(comparisons))
    differences = [comparison.block.values[comparison.place].mean(0) for comparison in comparisons]
    for n_queries in {len(difference) for difference in differences}:
        rows = [row for row, difference in enumerate(differences) if len(difference) == n_queries]
        p[rows] = randomisation_test(np.stack([differences[row] for row in rows]), draws=draws, seed=seed)
    return p
