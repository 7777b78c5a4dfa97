"""Differences along x between two objectives or two groups, with the intervals that tests and crossings use."""

import numpy as np

from optical_sweeps.curves.statistics.anova_intervals import MeanSquares
from optical_sweeps.curves.statistics.score_block import Scores
from optical_sweeps.curves.statistics.study import Curve, Study
from optical_sweeps.curves.statistics.study_scores import scores
from optical_sweeps.errors import UserError


def curve_of(block: Scores, confidence: float) -> Curve:
    """The mean of scores at each x, with its interval of `MeanSquares`."""
    squares = MeanSquares.of(block.centred())
    n_x = len(block.x)
    low, high = np.array([squares.interval(contrast, confidence) for contrast in np.eye(n_x)]).T
    n_seeds, n_queries = np.full(n_x, len(block.seeds)), len(block.query_ids)
    return Curve(block.label, block.slice, block.x, block.mean, low, high, n_seeds, n_queries, confidence)


def objective_difference(study: Study, first: str, second: str, slice: str) -> Scores:
    """`first` minus `second`, query by query and seed by seed.

    Raises:
        UserError: the study lacks one of them, or they share no x or no seed.
    """
    return scores(study, first, slice).less(scores(study, second, slice))


def group_gap(study: Study, objective: str, first: str = "high", second: str = "low") -> Scores:
    """The first group minus the second, for one objective; paired by run, and by query where both have it.

    Raises:
        UserError: the study lacks one of the groups.
    """
    for name in (first, second):
        if not study.groups.get(name):
            raise UserError(f"group {name}: the study has no such group; see `languages` in its config")
    one, other = (scores(study, objective, f"group:{name}") for name in (first, second))
    ids = sorted({*one.query_ids, *other.query_ids})  # type: ignore[type-var]
    place = {query: column for column, query in enumerate(ids)}
    values = np.zeros((*one.values.shape[:2], len(ids)))
    strata_of_both = np.full((2, len(ids)), -1)
    for row, (sign, block) in enumerate(((1, one), (-1, other))):
        columns = [place[query] for query in block.query_ids]
        # weighted, so that the mean over all of these queries is the mean of the block
        values[..., columns] += sign * len(ids) / len(columns) * block.values
        strata_of_both[row, columns] = block.strata
    _, strata = np.unique(strata_of_both, axis=1, return_inverse=True)
    label = f"{objective}: {first} - {second}"
    return Scores(label, "group:all", one.x, one.seeds, tuple(ids), values, np.ravel(strata))
