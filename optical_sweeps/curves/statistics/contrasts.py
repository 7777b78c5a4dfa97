"""Differences along x with intervals that agree with tests and crossings: of two objectives, of two groups.

Intervals are those of `intervals.MeanSquares`: they hold for other queries and other seeds.
"""

import numpy as np

from optical_sweeps.curves.statistics.anova_intervals import MeanSquares
from optical_sweeps.curves.statistics.study import Curve, Study
from optical_sweeps.curves.statistics.study_scores import Scores, scores
from optical_sweeps.errors import UserError


def curve_of(block: Scores, confidence: float) -> Curve:
    """A block's mean at each x, with its interval."""
    squares = MeanSquares.of(block.centred())
    bounds = np.array([squares.interval(place, confidence) for place in np.eye(len(block.x))])
    counts = np.full(len(block.x), len(block.seeds))
    return Curve(
        block.label,
        block.slice,
        block.x,
        block.mean,
        bounds[:, 0],
        bounds[:, 1],
        counts,
        len(block.query_ids),
        confidence,
    )


def objective_difference(study: Study, first: str, second: str, slice: str) -> Scores:
    """`first` less `second`, query by query and seed by seed."""
    return scores(study, first, slice).less(scores(study, second, slice))


def group_gap(study: Study, objective: str, first: str = "high", second: str = "low") -> Scores:
    """The first group less the second, of one objective; paired by run, and by query where both groups have it.

    >>> import pandas
    >>> rows = [
    ...     (f"{r} {s}", "optical", r, s, l, q, 0.2 * (l == "de") + r / 10)
    ...     for r in (0.0, 1.0) for s in (0, 1) for l in ("de", "ar") for q in "123"
    ... ]
    >>> names = ["run", "objective", "ratio", "seed", "language", "query_id", "value"]
    >>> table = pandas.DataFrame(rows, columns=names).assign(split="test", measure="nDCG@10")
    >>> study = Study(table, {"high": ("de",), "low": ("ar",)}, replicates=10)
    >>> group_gap(study, "optical").mean.round(6).tolist()
    [0.2, 0.2]

    Raises:
        UserError: the study lacks one of the groups.
    """
    blocks = []
    for name in (first, second):
        if not study.groups.get(name):
            raise UserError(f"group {name}: the study has no such group; see languages in its config")
        blocks.append(scores(study, objective, f"group:{name}"))
    one, other = blocks
    ids = sorted({*one.query_ids, *other.query_ids})
    values = np.zeros((*one.values.shape[:2], len(ids)))
    kinds = np.full((2, len(ids)), -1)
    place = {query: column for column, query in enumerate(ids)}
    for row, (sign, block) in enumerate(((1, one), (-1, other))):
        columns = [place[query] for query in block.query_ids]
        # the mean over all of these queries is the block's own mean
        values[..., columns] += sign * len(ids) / len(columns) * block.values
        kinds[row, columns] = block.strata
    _, strata = np.unique(kinds, axis=1, return_inverse=True)
    label = f"{objective}: {first} - {second}"
    return Scores(label, "group:all", one.x, one.seeds, tuple(ids), values, np.ravel(strata))
