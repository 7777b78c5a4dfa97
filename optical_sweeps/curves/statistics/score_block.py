"""An array of per-query scores over x, seeds and queries.

Every run answers the same queries, so seeds and queries are crossed. The difference of two such arrays, run by
run and query by query, is again one: common effects of seeds and queries cancel.

Shape legend: X values of x, S seeds, Q queries.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from optical_sweeps.curves.tables.result_tables import Fact
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
