"""Curves of a measure against a swept variable, with bootstrap intervals over queries and seeds.

Queries and seeds are crossed (every run answers the same queries), so both are weighted anew in each
replicate. The same weights serve every objective, every x and every language that has the query: differences
are paired.

Weights are those of the Bayesian bootstrap (Rubin, 1981): Exp(1) per query and per seed, normalised over
those present. Unlike counts they leave no language without queries, and normalised over a subset they are
exactly the weights of that subset. Their variance is (n - 1) / (n + 1) of the unbiased one, so deviations
from uniform weights are stretched by sqrt((n + 1) / (n - 1)): next to nothing for queries, much for 2 or 3
seeds.

Shape legend: R replicates, X values of x, S seeds, Q queries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from optical_sweeps.curves.tables.result_tables import ZERO_SHOT, plain
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Curve:
    """A measure of one objective (or of a difference of two) on one slice, against x.

    A reference level, such as zero-shot, is a curve of one point whose x is NaN.

    Args:
        label: the objective, or for a difference `optical - contrastive`.
        slice: a language (`ar`) or a group (`group:low`: the mean over its languages).
        x: values of the swept variable, ascending.
        low, high: bounds of the interval.
        n_seeds: seeds at each x; with one, the interval holds the queries' part of the uncertainty alone.
        n_queries: queries, summed over the slice's languages.
        confidence: coverage that the interval aims at.
    """

    label: str
    slice: str
    x: Float[np.ndarray, "X"]
    mean: Float[np.ndarray, "X"]
    low: Float[np.ndarray, "X"]
    high: Float[np.ndarray, "X"]
    n_seeds: Int[np.ndarray, "X"]
    n_queries: int
    confidence: float

    @property
    def half_width(self) -> Float[np.ndarray, "X"]:
        return np.asarray((self.high - self.low) / 2)


@dataclass(frozen=True, eq=False)
class _Estimates:
    """Point estimates and their replicates for one objective on one slice."""

    x: Float[np.ndarray, "X"]
    mean: Float[np.ndarray, "X"]
    replicates: Float[np.ndarray, "R X"]
    n_seeds: Int[np.ndarray, "X"]
    n_queries: int


class Study:
    """All curves of one measure, and paired differences between them; `rows` are those it is of.

    `runs` has a row for each run, with its facts; `values` scores by (objective, language): runs by queries.

    >>> import pandas
    >>> rows = [(f"{r} {s}", "optical", r, s, "ar", q, r) for r in (0., 1.) for s in (0, 1) for q in "12"]
    >>> names = ["run", "objective", "ratio", "seed", "language", "query_id", "value"]
    >>> table = pandas.DataFrame(rows, columns=names).assign(split="test", measure="nDCG@10")
    >>> study = Study(table, groups={"low": ("ar",)})
    >>> study.curve("optical", "group:low").mean.tolist()
    [0.0, 1.0]

    Args:
        per_query: columns `run`, `objective`, `seed`, `language`, `query_id`, `split`, `measure`, `value` and
            the swept variable's; one budget and one protocol.
        groups: group -> languages; a group's value is the mean over its languages.
        measure, split: rows to take.
        x: column of the swept variable.
        replicates: of the bootstrap.
        confidence: coverage of the intervals.
        seed: of the bootstrap.

    Raises:
        UserError: no rows; two runs at one point; a run without some of the queries, or twice with one;
            objectives that answer different queries.
    """

    def __init__(
        self,
        per_query: "pandas.DataFrame",
        groups: Mapping[str, Sequence[str]],
        *,
        measure: str = "nDCG@10",
        split: str = "test",
        x: str = "ratio",
        replicates: int = 2000,
        confidence: float = 0.95,
        seed: int = 0,
    ) -> None:
        if not 0 < confidence < 1 or replicates < 1:
            raise ValueError(
                f"confidence {confidence} and {replicates} replicates: not in (0, 1), not positive"
            )
        rows = per_query[(per_query["measure"] == measure) & (per_query["split"] == split)]
        if rows.empty:
            raise UserError(f"no {measure} of split {split} in the logs; choose a measure and split they hold")
        self.measure, self.split, self.x = measure, split, x
        self.confidence = confidence
        self.rows = rows
        self.runs = rows.drop_duplicates("run")
        self.values: dict[tuple[str, str], pandas.DataFrame] = {}
        self.kept: dict[Any, Any] = {}  # what others worked out and may ask for again
        _refuse_odd_runs(rows, self.runs, x)
        weights = _Weights(rows, replicates, seed)
        self.languages = tuple(sorted(rows["language"].unique().tolist()))
        self.groups = {
            name: tuple(language for language in members if language in self.languages)
            for name, members in groups.items()
        }
        self._estimates: dict[tuple[str, str], _Estimates] = {}
        for (objective, language), part in rows.groupby(["objective", "language"], sort=True):
            values = _values_by_run(part)
            self.values[str(objective), str(language)] = values
            facts = self.runs.set_index("run").loc[values.index]
            self._estimates[str(objective), str(language)] = _estimate(values, facts, x, weights)
        _refuse_other_queries(self.values)
        for objective in rows["objective"].unique().tolist():
            self._add_groups(objective)

    @property
    def objectives(self) -> tuple[str, ...]:
        """Those that train."""
        return tuple(sorted({objective for objective, _ in self._estimates} - {ZERO_SHOT}))

    @property
    def slices(self) -> tuple[str, ...]:
        """Groups, then languages."""
        return (*(f"group:{name}" for name, members in self.groups.items() if members), *self.languages)

    def curve(self, objective: str, slice: str) -> Curve:
        """One objective's curve.

        Raises:
            KeyError: the study holds no such curve.
        """
        return self._curve(objective, slice, self._estimates[objective, slice])

    def reference(self, slice: str) -> Curve | None:
        """The zero-shot level, where the study has such a run."""
        return self.curve(ZERO_SHOT, slice) if (ZERO_SHOT, slice) in self._estimates else None

    def difference(self, first: str, second: str, slice: str) -> Curve:
        """`first` less `second` at every x both have, with paired intervals; `second` may be zero-shot.

        Raises:
            KeyError: the study holds no such curve.
        """
        one, other = self._estimates[first, slice], self._estimates[second, slice]
        if second == ZERO_SHOT:
            here = np.arange(len(one.x))
            there = np.zeros(len(one.x), dtype=int)
        else:
            _, here, there = np.intersect1d(one.x, other.x, return_indices=True)
        estimates = _Estimates(
            x=one.x[here],
            mean=one.mean[here] - other.mean[there],
            replicates=one.replicates[:, here] - other.replicates[:, there],
            n_seeds=np.minimum(one.n_seeds[here], other.n_seeds[there]),
            n_queries=one.n_queries,
        )
        return self._curve(f"{first} - {second}", slice, estimates)

    def _add_groups(self, objective: str) -> None:
        for name, members in self.groups.items():
            parts = [self._estimates.get((objective, language)) for language in members]
            known = [part for part in parts if part is not None]
            if known and len(known) == len(parts):
                self._estimates[objective, f"group:{name}"] = _macro(known)

    def _curve(self, label: str, slice: str, estimates: _Estimates) -> Curve:
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(estimates.replicates, [tail, 1 - tail], axis=0)
        return Curve(
            label,
            slice,
            estimates.x,
            estimates.mean,
            low,
            high,
            estimates.n_seeds,
            estimates.n_queries,
            self.confidence,
        )


class _Weights:
    """Exp(1) draws by query id and by seed, the same for whoever asks."""

    def __init__(self, rows: "pandas.DataFrame", replicates: int, seed: int) -> None:
        generator = np.random.default_rng(derive_seed("bootstrap", seed))
        self._queries = _Draws(rows["query_id"].unique().tolist(), replicates, generator)
        self._seeds = _Draws(rows["seed"].dropna().unique().tolist(), replicates, generator)

    def of_queries(self, ids: Sequence[Any]) -> Float[np.ndarray, "R Q"]:
        return self._queries.normalised(ids)

    def of_seeds(self, seeds: Sequence[Any]) -> Float[np.ndarray, "R S"]:
        return self._seeds.normalised(seeds)


class _Draws:
    def __init__(self, labels: Sequence[Any], replicates: int, generator: np.random.Generator) -> None:
        self._column = {label: column for column, label in enumerate(sorted(labels))}
        self._draws = generator.exponential(size=(replicates, len(labels)))

    def normalised(self, labels: Sequence[Any]) -> Float[np.ndarray, "R n"]:
        """Weights over `labels` (rows sum to 1); uniform for labels that are not known, such as no seed."""
        n = len(labels)
        if n == 1 or any(label not in self._column for label in labels):
            return np.full((len(self._draws), n), 1 / n)
        draws = self._draws[:, [self._column[label] for label in labels]]
        deviations = draws / draws.sum(1, keepdims=True) - 1 / n
        return np.asarray(1 / n + np.sqrt((n + 1) / (n - 1)) * deviations)


def _estimate(values: "pandas.DataFrame", facts: "pandas.DataFrame", x: str, weights: _Weights) -> _Estimates:
    """Estimates of one objective on one language."""
    x_of_run = facts[x].to_numpy(dtype=float, na_value=np.nan)
    seed_of_run = [plain(seed) for seed in facts["seed"]]
    by_run = weights.of_queries(values.columns.tolist()) @ values.to_numpy().T  # R x runs
    points = np.unique(x_of_run)
    means, replicates, counts = [], [], []
    for point in points:
        runs = np.flatnonzero(_same(x_of_run, point))
        by_seed = weights.of_seeds([seed_of_run[run] for run in runs])
        means.append(values.to_numpy()[runs].mean())
        replicates.append((by_seed * by_run[:, runs]).sum(1))
        counts.append(len(runs))
    return _Estimates(points, np.array(means), np.stack(replicates, 1), np.array(counts), values.shape[1])


def _macro(parts: Sequence[_Estimates]) -> _Estimates:
    """The mean over languages."""
    return _Estimates(
        x=parts[0].x,
        mean=np.mean([part.mean for part in parts], axis=0),
        replicates=np.mean([part.replicates for part in parts], axis=0),
        n_seeds=parts[0].n_seeds,
        n_queries=sum(part.n_queries for part in parts),
    )


def _values_by_run(rows: "pandas.DataFrame") -> "pandas.DataFrame":
    """Runs x queries, both in order."""
    language = rows["language"].iloc[0]
    twice = rows.duplicated(["run", "query_id"])
    if twice.any():
        run, query = rows.loc[twice, ["run", "query_id"]].iloc[0]
        raise UserError(f"run {run}: query {query} of {language} stands twice in its per-query table")
    values = rows.pivot(index="run", columns="query_id", values="value")
    incomplete = values.index[values.isna().any(axis=1)]
    if len(incomplete):
        raise UserError(
            f"run {incomplete[0]}: not all {values.shape[1]} queries of {language} that other runs answer; "
            "choose runs of one collection"
        )
    return values


def _refuse_odd_runs(rows: "pandas.DataFrame", runs: "pandas.DataFrame", x: str) -> None:
    """One run at each point, and every language in every run."""
    points: dict[tuple[Any, ...], str] = {}
    for run, *point in runs[["run", "objective", x, "seed"]].itertuples(index=False):
        known = tuple(plain(value) for value in point)
        if known in points:
            where = " ".join(
                f"{name}={value}" for name, value in zip(("objective", x, "seed"), known, strict=True)
            )
            raise UserError(
                f"runs {points[known]} and {run} are both at {where}; choose one budget and protocol"
            )
        points[known] = run
    languages = rows.groupby("run")["language"].nunique()
    if languages.min() < languages.max():
        raise UserError(
            f"run {languages.idxmin()}: {languages.min()} languages where others have {languages.max()}; "
            "choose runs of one study"
        )


def _refuse_other_queries(values: Mapping[tuple[str, str], "pandas.DataFrame"]) -> None:
    """Objectives are compared query by query, so all answer the same."""
    firsts: dict[str, str] = {}
    for (objective, language), table in values.items():
        first = firsts.setdefault(language, objective)
        if apart := set(values[first, language].columns) ^ set(table.columns):
            raise UserError(
                f"objectives {first} and {objective} answer different queries of {language} ({len(apart)} are "
                f"of one alone, such as {min(apart, key=str)}); run again what was measured on other data "
                "(`optical-sweeps verify` names those runs)"
            )


def _same(values: Float[np.ndarray, "n"], value: float) -> Bool[np.ndarray, "n"]:
    return np.asarray(np.isnan(values) if np.isnan(value) else values == value)
