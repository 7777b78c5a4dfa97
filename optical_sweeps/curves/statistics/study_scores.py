"""Per-query scores of one objective on one slice as a block of numbers: x, seeds, queries.

Every run answers the same queries, so seeds and queries are crossed. What holds for one block holds for the
difference of two, run by run and query by query: common seeds and queries cancel.

Shape legend: X values of x, S seeds, Q queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from optical_sweeps.curves.tables.result_tables import plain
from optical_sweeps.errors import UserError

if TYPE_CHECKING:
    import pandas

    from optical_sweeps.curves.statistics.study import Study


@dataclass(frozen=True, eq=False)
class Scores:
    """A block of scores; its mean over queries is the slice's value for a run.

    In a group of languages a query counts with its share: the mean over languages of means over queries is the
    mean over all queries of `values`.

    Args:
        x: ascending; NaN for zero-shot.
        seeds: those present at every x.
        strata: by query; queries that the same languages have are one stratum. Spread between strata is
            no uncertainty: the languages are the ones the study is about.
    """

    label: str
    slice: str
    x: Float[np.ndarray, " X"]
    seeds: tuple[Any, ...]
    query_ids: tuple[Any, ...]
    values: Float[np.ndarray, "X S Q"]
    strata: Int[np.ndarray, " Q"]

    @property
    def mean(self) -> Float[np.ndarray, " X"]:
        return np.asarray(self.values.mean((1, 2)))

    def centred(self) -> Float[np.ndarray, "X S Q"]:
        """The same means, with the differences between strata taken out."""
        values = self.values.copy()
        for stratum in np.unique(self.strata):
            here = self.strata == stratum
            values[..., here] += self.values.mean(-1, keepdims=True) - values[..., here].mean(-1, keepdims=True)
        return values

    def less(self, other: "Scores") -> "Scores":
        """The difference, at every x and seed that both have; a block without x (zero-shot) meets every x.

        Raises:
            UserError: the blocks share no x or no seed.
        """
        if self.query_ids != other.query_ids:
            raise ValueError("the blocks hold different queries")
        label = f"{self.label} - {other.label}"
        if np.isnan(other.x).all():
            return replace(self, label=label, values=self.values - other.values.mean(1, keepdims=True))
        x, here, there = np.intersect1d(self.x, other.x, return_indices=True)
        seeds = tuple(seed for seed in self.seeds if seed in other.seeds)
        if not len(x) or not seeds:
            raise UserError(f"{label} on {self.slice}: no x or no seed in common; run both on the same grid")
        mine, theirs = ([block.seeds.index(seed) for seed in seeds] for block in (self, other))
        difference = self.values[here][:, mine] - other.values[there][:, theirs]
        return replace(self, label=label, x=x, seeds=seeds, values=difference)


def scores(study: "Study", objective: str, slice: str) -> Scores:
    """The block of one objective on a language or a group.

    Raises:
        UserError: the study holds no such runs, or no seed stands at every x.
    """
    members = members_of(study, slice)
    runs = study.runs[study.runs["objective"] == objective]
    if runs.empty or not members or set(members) - set(study.languages):
        raise UserError(f"objective {objective} on {slice}: the study holds no such runs; see its table")
    if ("scores", objective, slice) in study.kept:
        block: Scores = study.kept["scores", objective, slice]
        return block
    grid = _grid(runs, study.x)
    points = sorted({x for x, _ in grid}, key=lambda x: np.inf if x is None else x)
    seeds = [seed for seed in dict.fromkeys(seed for _, seed in grid) if all((x, seed) in grid for x in points)]
    if not seeds:
        raise UserError(
            f"objective {objective}: no seed stands at every {study.x}; run one over the whole grid"
        )
    names = [grid[x, seed] for x in points for seed in sorted(seeds, key=repr)]
    values, query_ids, strata = _contributions(study, objective, members, names)
    block = Scores(
        objective,
        slice,
        np.array([np.nan if x is None else x for x in points], dtype=float),
        tuple(sorted(seeds, key=repr)),
        query_ids,
        values.reshape(len(points), len(seeds), -1),
        strata,
    )
    study.kept["scores", objective, slice] = block
    return block


def members_of(study: "Study", slice: str) -> tuple[str, ...]:
    """A slice's languages; none of a group that the study has not."""
    return study.groups.get(slice.removeprefix("group:"), ()) if slice.startswith("group:") else (slice,)


def _grid(runs: "pandas.DataFrame", x: str) -> dict[tuple[Any, Any], str]:
    return {
        (plain(point), plain(seed)): run
        for run, point, seed in zip(runs["run"], runs[x], runs["seed"], strict=True)
    }


def _contributions(
    study: "Study", objective: str, members: Sequence[str], runs: Sequence[str]
) -> tuple[Float[np.ndarray, "runs Q"], tuple[Any, ...], Int[np.ndarray, " Q"]]:
    """What every query adds: its mean over all is the mean over languages."""
    tables = [study.values[objective, language].loc[list(runs)] for language in members]
    query_ids = tuple(sorted(set().union(*(table.columns for table in tables))))
    place = {query: column for column, query in enumerate(query_ids)}
    total = np.zeros((len(runs), len(query_ids)))
    pattern = np.zeros((len(members), len(query_ids)), dtype=bool)
    for row, table in enumerate(tables):
        columns = [place[query] for query in table.columns]
        share = len(query_ids) / (len(members) * len(columns))
        total[:, columns] += share * table.to_numpy(dtype=float)
        pattern[row, columns] = True
    _, strata = np.unique(pattern, axis=1, return_inverse=True)
    return total, query_ids, np.ravel(strata)
