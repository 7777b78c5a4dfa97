from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas
import pytest

from optical_sweeps.curves.statistics.score_block import Scores
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.statistics.study_scores import scores
from optical_sweeps.errors import UserError
from tests.support.curve_study import made_up_study

Groups = Mapping[str, Sequence[str]]


@pytest.mark.parametrize("slice", ["ar", "group:low", "group:all"])
def test_the_mean_of_a_block_is_the_curve(per_query: pandas.DataFrame, groups: Groups, slice: str) -> None:
    study = Study(per_query, groups, replicates=10)
    block = scores(study, "optical", slice)
    assert scores(study, "optical", slice) is block  # computed once
    curve = study.curve("optical", slice)
    np.testing.assert_allclose(block.mean, curve.mean)
    np.testing.assert_allclose(block.centred().mean((1, 2)), curve.mean)
    assert block.x.tolist() == curve.x.tolist()
    assert block.seeds == (0, 1)


def test_languages_with_different_queries_have_equal_weight() -> None:
    table = made_up_study(n_queries=20)
    short = (table["language"] == "fa") & ~table["query_id"].isin(["q0", "q1", "q2"])
    table = table[~short].copy()
    table.loc[table["language"] == "fa", "query_id"] = "fa-" + table["query_id"]
    study = Study(table, {"low": ("ar", "fa")}, replicates=10)
    block = scores(study, "optical", "group:low")
    assert len(block.query_ids) == 23
    np.testing.assert_allclose(block.mean, study.curve("optical", "group:low").mean)
    assert len(set(block.strata.tolist())) == 2
    # the spread between languages is removed
    for stratum in (0, 1):
        np.testing.assert_allclose(block.centred()[..., block.strata == stratum].mean(-1).mean(1), block.mean)


def test_differences_are_run_by_run_and_query_by_query(per_query: pandas.DataFrame, groups: Groups) -> None:
    study = Study(per_query, groups, replicates=10)
    one, other = scores(study, "optical", "ar"), scores(study, "contrastive", "ar")
    difference = one.less(other)
    np.testing.assert_array_equal(difference.values, one.values - other.values)
    assert difference.label == "optical - contrastive"
    np.testing.assert_allclose(difference.mean, study.difference("optical", "contrastive", "ar").mean)


def test_zero_shot_is_subtracted_at_every_x(per_query: pandas.DataFrame, groups: Groups) -> None:
    study = Study(per_query, groups, replicates=10)
    difference = scores(study, "optical", "group:low").less(scores(study, "none", "group:low"))
    np.testing.assert_allclose(difference.mean, study.difference("optical", "none", "group:low").mean)
    assert difference.values.shape == (5, 2, 40)


def without(table: pandas.DataFrame, objective: str, ratio: float, seed: int) -> pandas.DataFrame:
    gone = (table["objective"] == objective) & (table["ratio"] == ratio) & (table["seed"] == seed)
    return table[~gone.fillna(False).astype(bool)]


def test_seeds_missing_at_an_x_are_left_out(per_query: pandas.DataFrame, groups: Groups) -> None:
    study = Study(without(per_query, "optical", 0.5, 1), groups, replicates=10)
    assert scores(study, "optical", "ar").seeds == (0,)
    difference = scores(study, "optical", "ar").less(scores(study, "contrastive", "ar"))
    assert difference.seeds == (0,)


def test_missing_scores_are_refused(per_query: pandas.DataFrame, groups: Groups) -> None:
    study = Study(per_query, groups, replicates=10)
    for objective, slice in (("mse", "ar"), ("optical", "yo"), ("optical", "group:middle")):
        with pytest.raises(UserError, match=r"the study has no such (runs|languages); "):
            scores(study, objective, slice)
    nowhere = without(without(per_query, "optical", 0.5, 1), "optical", 0.25, 0)
    with pytest.raises(UserError, match="objective optical: no seed has a run at every ratio"):
        scores(Study(nowhere, groups, replicates=10), "optical", "ar")
    apart = per_query.assign(
        seed=per_query["seed"].where(per_query["objective"] != "optical", per_query["seed"] + 5)
    )
    other = Study(apart, groups, replicates=10)
    with pytest.raises(UserError, match="no shared x or seed"):
        scores(other, "optical", "ar").less(scores(other, "contrastive", "ar"))


def block_of_seeds(label: str, seeds: tuple[int, ...], x: tuple[float, ...] = (0.0, 1.0)) -> Scores:
    """Scores that are 100 * seed + 10 * x, and 1 more for the second query."""
    values = np.array(
        [[[100.0 * seed + 10 * place + query for query in (0, 1)] for seed in seeds] for place in x]
    )
    return Scores(label, "ar", np.array(x), seeds, ("a", "b"), values, np.zeros(2, dtype=int))


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ((0, 1, 2), (1, 2, 3), (1, 2)),
        ((0, 1), (1, 0), (0, 1)),
        ((3, 1, 2), (2, 3), (3, 2)),
        ((0,), (0, 1), (0,)),
    ],
)
def test_differences_pair_the_same_seeds(first: tuple, second: tuple, shared: tuple) -> None:
    """Seeds are paired by their number. By position, the difference of equal scores would not be 0."""
    difference = block_of_seeds("A", first).less(block_of_seeds("B", second))
    assert difference.seeds == shared
    assert difference.values.shape == (2, len(shared), 2)
    assert not difference.values.any()


def test_differences_pair_the_same_x() -> None:
    difference = block_of_seeds("A", (0, 1), (0.0, 0.5, 1.0)).less(block_of_seeds("B", (1,), (0.5, 1.0, 2.0)))
    assert difference.x.tolist() == [0.5, 1.0]
    assert (difference.label, difference.seeds) == ("A - B", (1,))
    assert not difference.values.any()


def test_a_difference_is_the_first_minus_the_second() -> None:
    first, second = block_of_seeds("A", (0,)), block_of_seeds("B", (0,))
    assert (first.less(replace(second, values=second.values - 3)).values == 3).all()


def test_blocks_of_different_queries_have_no_difference() -> None:
    other = replace(block_of_seeds("B", (0,)), query_ids=("a", "c"))
    with pytest.raises(ValueError, match="different queries"):
        block_of_seeds("A", (0,)).less(other)
