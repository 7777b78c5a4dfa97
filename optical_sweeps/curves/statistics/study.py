"""Curves of a measure against a swept variable, with bootstrap intervals over queries and seeds.

Queries and seeds are crossed (every run answers the same queries), so each replicate draws new weights for
both. The same weights serve every objective, every x and every language that has the query, so that
differences are paired.

The weights are those of the Bayesian bootstrap (Rubin, 1981): Exp(1) per query and per seed, normalised over
those present. Unlike counts, they leave no language without queries, and normalised over a subset they are
exactly the weights of that subset. Their variance is (n - 1) / (n + 1) times the unbiased one, so deviations
from uniform weights are scaled by sqrt((n + 1) / (n - 1)): almost 1 for queries, but large for 2 or 3 seeds.

Shape legend: R replicates, X values of x, S seeds, Q queries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from optical_sweeps.curves.statistics.score_block import Scores
from optical_sweeps.curves.tables.result_tables import ZERO_SHOT, plain
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Curve:
    """A measure of one objective (or a difference of two) on one slice, against x.

    A reference level, such as zero-shot, is a curve with one point, whose x is NaN.

    Args:
        label: the objective, or a difference such as `optical - contrastive`.
        slice: a language (`ar`) or a group (`group:low`: the mean over its languages).
        x: values of the swept variable, ascending.
        low, high: bounds of the interval.
        n_seeds: seeds at each x; with one, the interval covers only the uncertainty over queries.
        n_queries: queries, summed over the slice's languages.
        confidence: nominal coverage of the interval.
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
    """All curves of one measure, and paired differences between them.

    `rows` are the rows of the table that belong to the study; `runs` has one row for each run, with its facts;
    `values` has the scores by (objective, language): runs x queries.

    >>> import pandas
    >>> rows = [(f"{r} {s}", "optical", r, s, "ar", q, r) for r in (0., 1.) for s in (0, 1) for q in "12"]
    >>> names = ["run", "objective", "ratio", "seed", "language", "query_id", "value"]
    >>> table = pandas.DataFrame(rows, columns=names).assign(split="test", measure="nDCG@10")
    >>> study = Study(table, groups={"low": ("ar",)})
    >>> study.curve("optical", "group:low").mean.tolist()
    [0.0, 1.0]

    Args:
        per_query: columns `run`, `objective`, `seed`, `language`, `query_id`, `split`, `measure`, `value` and
            the swept variable; one budget and one protocol.
        groups: group -> languages; the value of a group is the mean over its languages.
        measure, split: the rows to take.
        x: column of the swept variable.
        replicates, seed: of the bootstrap.
        confidence: nominal coverage of the intervals.

    Raises:
        UserError: no rows; two runs at one point; a run that lacks queries or has one twice; objectives that
            were evaluated on different queries.
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
                f"confidence {confidence} is not in (0, 1), or {replicates} replicates are below 1"
            )
        rows = per_query[(per_query["measure"] == measure) & (per_query["split"] == split)]
        if per_query.empty:
            raise UserError(f"no finished run has logged {measure} of split {split}; choose what the runs have")
        if rows.empty:
            raise UserError(f"no {measure} of split {split} in the logs; choose a measure and split they have")
        self.measure, self.split, self.x = measure, split, x
        self.confidence = confidence
        self.rows = rows
        self.runs = rows.drop_duplicates("run")
        self.values: dict[tuple[str, str], pandas.DataFrame] = {}
        self.score_blocks: dict[tuple[str, str], Scores] = {}  # cache of `study_scores.scores`
        _check_runs(rows, self.runs, x)
        generator = np.random.default_rng(derive_seed("bootstrap", seed))
        query_weights = _Weights(rows["query_id"].unique().tolist(), replicates, generator)
        seed_weights = _Weights(rows["seed"].dropna().unique().tolist(), replicates, generator)
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
            estimates = _estimate(values, facts, x, query_weights, seed_weights)
            self._estimates[str(objective), str(language)] = estimates
        _check_queries(self.values)
        for objective in rows["objective"].unique().tolist():
            self._add_groups(objective)

    @property
    def objectives(self) -> tuple[str, ...]:
        """The objectives that train."""
        return tuple(sorted({objective for objective, _ in self._estimates} - {ZERO_SHOT}))

    @property
    def slices(self) -> tuple[str, ...]:
        """Groups, then languages."""
        return (*(f"group:{name}" for name, members in self.groups.items() if members), *self.languages)

    def members(self, slice: str) -> tuple[str, ...]:
        """The languages of a slice; none for an unknown group."""
        return self.groups.get(slice.removeprefix("group:"), ()) if slice.startswith("group:") else (slice,)

    def curve(self, objective: str, slice: str) -> Curve:
        """The curve of one objective.

        Raises:
            KeyError: the study has no such curve.
        """
        return self._curve(objective, slice, self._estimates[objective, slice])

    def reference(self, slice: str) -> Curve | None:
        """The zero-shot level, if the study has a zero-shot run."""
        return self.curve(ZERO_SHOT, slice) if (ZERO_SHOT, slice) in self._estimates else None

    def difference(self, first: str, second: str, slice: str) -> Curve:
        """`first` minus `second` at every shared x, with paired intervals; `second` may be zero-shot.

        Raises:
            KeyError: the study has no such curve.
        """
        one, other = self._estimates[first, slice], self._estimates[second, slice]
        if second == ZERO_SHOT:
            columns, other_columns = np.arange(len(one.x)), np.zeros(len(one.x), dtype=int)
        else:
            _, columns, other_columns = np.intersect1d(one.x, other.x, return_indices=True)
        estimates = _Estimates(
            x=one.x[columns],
            mean=one.mean[columns] - other.mean[other_columns],
            replicates=one.replicates[:, columns] - other.replicates[:, other_columns],
            n_seeds=np.minimum(one.n_seeds[columns], other.n_seeds[other_columns]),
            n_queries=one.n_queries,
        )
        return self._curve(f"{first} - {second}", slice, estimates)

    def _add_groups(self, objective: str) -> None:
        for name, members in self.groups.items():
            parts = [self._estimates.get((objective, language)) for language in members]
            known = [part for part in parts if part is not None]
            if known and len(known) == len(parts):
                self._estimates[objective, f"group:{name}"] = _macro_average(known)

    def _curve(self, label: str, slice: str, estimates: _Estimates) -> Curve:
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(estimates.replicates, [tail, 1 - tail], axis=0)
        n_seeds, n_queries = estimates.n_seeds, estimates.n_queries
        return Curve(label, slice, estimates.x, estimates.mean, low, high, n_seeds, n_queries, self.confidence)


class _Weights:
    """Exp(1) draws by label (a query id or a seed); every caller gets the same draws."""

    def __init__(self, labels: Sequence[object], replicates: int, generator: np.random.Generator) -> None:
        self._column = {label: column for column, label in enumerate(sorted(labels))}  # type: ignore[type-var]
        self._draws = generator.exponential(size=(replicates, len(labels)))

    def normalised(self, labels: Sequence[object]) -> Float[np.ndarray, "R n"]:
        """Weights of `labels`, whose rows sum to 1; uniform for unknown labels, such as no seed."""
        n = len(labels)
        if n == 1 or any(label not in self._column for label in labels):
            return np.full((len(self._draws), n), 1 / n)
        draws = self._draws[:, [self._column[label] for label in labels]]
        deviations = draws / draws.sum(1, keepdims=True) - 1 / n
        return np.asarray(1 / n + np.sqrt((n + 1) / (n - 1)) * deviations)


def _estimate(
    values: "pandas.DataFrame",
    facts: "pandas.DataFrame",
    x: str,
    query_weights: _Weights,
    seed_weights: _Weights,
) -> _Estimates:
    """Estimates of one objective on one language."""
    x_of_run = facts[x].to_numpy(dtype=float, na_value=np.nan)
    seed_of_run = [plain(seed) for seed in facts["seed"]]
    by_run = query_weights.normalised(values.columns.tolist()) @ values.to_numpy().T  # R x runs
    x_values = np.unique(x_of_run)
    means, replicates, counts = [], [], []
    for x_value in x_values:
        runs = np.flatnonzero(np.isnan(x_of_run) if np.isnan(x_value) else x_of_run == x_value)
        by_seed = seed_weights.normalised([seed_of_run[run] for run in runs])
        means.append(values.to_numpy()[runs].mean())
        replicates.append((by_seed * by_run[:, runs]).sum(1))
        counts.append(len(runs))
    return _Estimates(x_values, np.array(means), np.stack(replicates, 1), np.array(counts), values.shape[1])


def _macro_average(parts: Sequence[_Estimates]) -> _Estimates:
    """The mean over languages."""
    return _Estimates(
        x=parts[0].x,
        mean=np.mean([part.mean for part in parts], axis=0),
        replicates=np.mean([part.replicates for part in parts], axis=0),
        n_seeds=parts[0].n_seeds,
        n_queries=sum(part.n_queries for part in parts),
    )


def _values_by_run(rows: "pandas.DataFrame") -> "pandas.DataFrame":
    """Scores of one objective on one language, runs x queries, both sorted."""
    language = rows["language"].iloc[0]
    repeated = rows.duplicated(["run", "query_id"])
    if repeated.any():
        run, query = rows.loc[repeated, ["run", "query_id"]].iloc[0]
        raise UserError(f"run {run}: query {query} of {language} is listed twice in its per-query table")
    values = rows.pivot(index="run", columns="query_id", values="value")
    incomplete = values.index[values.isna().any(axis=1)]
    if len(incomplete):
        raise UserError(
            f"run {incomplete[0]}: lacks some of the {values.shape[1]} queries of {language} that other runs "
            "have; choose runs of one collection"
        )
    return values


def _check_runs(rows: "pandas.DataFrame", runs: "pandas.DataFrame", x: str) -> None:
    """Refuse two runs at one point, and runs that lack a language."""
    names = ("objective", x, "seed")
    run_at: dict[tuple[object, ...], str] = {}
    for run, *values in runs[["run", *names]].itertuples(index=False):
        point = tuple(plain(value) for value in values)
        if point in run_at:
            where = " ".join(f"{name}={value}" for name, value in zip(names, point, strict=True))
            both = f"{run_at[point]} and {run}"
            raise UserError(f"runs {both} are both at {where}; choose one budget and protocol")
        run_at[point] = run
    languages = rows.groupby("run")["language"].nunique()
    if languages.min() < languages.max():
        raise UserError(
            f"run {languages.idxmin()}: {languages.min()} languages, but others have {languages.max()}; "
            "choose runs of one study"
        )


def _check_queries(values: Mapping[tuple[str, str], "pandas.DataFrame"]) -> None:
    """Refuse objectives with different queries, because objectives are compared query by query."""
    firsts: dict[str, str] = {}
    for (objective, language), table in values.items():
        first = firsts.setdefault(language, objective)
        if unshared := set(values[first, language].columns) ^ set(table.columns):
            raise UserError(
                f"objectives {first} and {objective} have different queries of {language} ({len(unshared)} are "
                f"not shared, such as {min(unshared, key=str)}); execute again the runs measured on other data "
                "(`optical-sweeps verify` lists them)"
            )
