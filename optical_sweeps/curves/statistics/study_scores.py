"""The score block of one objective on one slice of a study.

Shape legend: X values of x, S seeds, Q queries.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from optical_sweeps.checks import suggestion
from optical_sweeps.curves.statistics.score_block import Scores
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.tables.result_tables import Fact, plain
from optical_sweeps.errors import UserError


def scores(study: Study, objective: str, slice: str) -> Scores:
    """The scores of one objective on a language or a group.

    Raises:
        UserError: the study has no such runs, or no seed exists at every x.
    """
    members = study.members(slice)
    runs = study.runs[study.runs["objective"] == objective]
    if runs.empty:
        known = suggestion(objective, sorted(study.runs["objective"].unique().tolist()))
        raise UserError(f"objective {objective}: the study has no such runs; {known}")
    if not members or set(members) - set(study.languages):
        raise UserError(f"slice {slice}: the study has no such languages; {suggestion(slice, study.slices)}")
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
