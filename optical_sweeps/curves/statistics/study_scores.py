"""Per-query scores of one objective on one slice as an array over x, seeds and queries.

Every run answers the same queries, so seeds and queries are crossed. The difference of two such arrays, run by
run and query by query, is again one: common effects of seeds and queries cancel.

Shape legend: X values of x, S seeds, Q queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.tables.result_tables import Fact, plain
from optical_sweeps.errors import UserError


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores whose mean over queries is the slice's value for a run.

    In a group of languages the queries are weighted, so that the mean of `values` over all queries is the mean
    over languages of the means over queries.

    Args:
        x: ascending; NaN for zero-shot.
        seeds: the seeds that exist at every x.
        strata: stratum of each query; queries that belong to the same languages share one. Differences between
            strata are not uncertainty, because a study is about its languages.
    """

    label: str
    slice: str
    x: Float[np.ndarray, " X"]
    seeds: tuple[Fact, ...]
    query_ids: tuple[object, ...]
    values: Float[np.ndarray, "X S Q"]
    strata: Int[np.ndarray, " Q"]

    @property
    def mean(self) -> Float[np.ndarray, " X"]:
        return np.asarray(self.values.mean((1, 2)))

    def centred(self) -> Float[np.ndarray, "X S Q"]:
        """The scores without the differences between strata; means stay the same."""
        values = self.values.copy()
        for stratum in np.unique(self.strata):
            members = self.strata == stratum
            stratum_mean = values[..., members].mean(-1, keepdims=True)
            values[..., members] += self.values.mean(-1, keepdims=True) - stratum_mean
        return values

    def less(self, other: "Scores") -> "Scores":
        """The difference at every shared x and seed; scores without x (zero-shot) are subtracted at every x.

        Raises:
            UserError: no shared x, or no shared seed.
        """
        if self.query_ids != other.query_ids:
            raise ValueError("the scores have different queries")
        label = f"{self.label} - {other.label}"
        if np.isnan(other.x).all():
            return replace(self, label=label, values=self.values - other.values.mean(1, keepdims=True))
        x, rows, other_rows = np.intersect1d(self.x, other.x, return_indices=True)
        seeds = tuple(seed for seed in self.seeds if seed in other.seeds)
        if not len(x) or not seeds:
            raise UserError(f"{label} on {self.slice}: no shared x or seed; run both on the same grid")
        columns, other_columns = ([block.seeds.index(seed) for seed in seeds] for block in (self, other))
        difference = self.values[rows][:, columns] - other.values[other_rows][:, other_columns]
        return replace(self, label=label, x=x, seeds=seeds, values=difference)


def scores(study: Study, objective: str, slice: str) -> Scores:
    """The scores of one objective on a language or a group.

    Raises:
        UserError: the study has no such runs, or no seed exists at every x.
    """
    members = study.members(slice)
    runs = study.runs[study.runs["objective"] == objective]
    if runs.empty or not members or set(members) - set(study.languages):
        raise UserError(f"objective {objective} on {slice}: the study has no such runs; see its table")
    if (objective, slice) not in study.score_blocks:
        facts = zip(runs["run"], runs[study.x], runs["seed"], strict=True)
        grid = {(plain(x), plain(seed)): run for run, x, seed in facts}
        study.score_blocks[objective, slice] = _scores(study, objective, slice, grid)
    return study.score_blocks[objective, slice]


def _scores(study: Study, objective: str, slice: str, grid: dict[tuple[Fact, Fact], str]) -> Scores:
    x_values = sorted({x for x, _ in grid}, key=lambda x: np.inf if x is None else float(x))
    seeds = sorted({seed for _, seed in grid if all((x, seed) in grid for x in x_values)}, key=repr)
    if not seeds:
        raise UserError(f"objective {objective}: no seed has a run at every {study.x}; run the whole grid")
    runs = [grid[x, seed] for x in x_values for seed in seeds]
    values, query_ids, strata = _weighted_queries(study, objective, study.members(slice), runs)
    x = np.array([np.nan if x is None else x for x in x_values], dtype=float)
    values = values.reshape(len(x), len(seeds), -1)
    return Scores(objective, slice, x, tuple(seeds), query_ids, values, strata)


def _weighted_queries(
    study: Study, objective: str, members: Sequence[str], runs: Sequence[str]
) -> tuple[Float[np.ndarray, "runs Q"], tuple[object, ...], Int[np.ndarray, " Q"]]:
    """Scores by query, weighted so that their mean is the mean over languages; query ids; strata."""
    tables = [study.values[objective, language].loc[list(runs)] for language in members]
    query_ids = tuple(sorted(set().union(*(table.columns for table in tables))))
    place = {query: column for column, query in enumerate(query_ids)}
    total = np.zeros((len(runs), len(query_ids)))
    has_query = np.zeros((len(members), len(query_ids)), dtype=bool)
    for row, table in enumerate(tables):
        columns = [place[query] for query in table.columns]
        weight = len(query_ids) / (len(members) * len(columns))
        total[:, columns] += weight * table.to_numpy(dtype=float)
        has_query[row, columns] = True
    _, strata = np.unique(has_query, axis=1, return_inverse=True)
    return total, query_ids, np.ravel(strata)
