"""Gaps and differences equal the differences between means, and agree with tests and crossings."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas
import pytest
from scipy import stats

from optical_sweeps.curves.claims.crossings import find_crossings
from optical_sweeps.curves.statistics.contrasts import curve_of, group_gap, objective_difference
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.errors import UserError
from tests.support.curve_study import made_up_study

Groups = Mapping[str, Sequence[str]]


@pytest.fixture
def study(per_query: pandas.DataFrame, groups: Groups) -> Study:
    return Study(per_query, groups, replicates=10)


@pytest.mark.parametrize("objective", ["optical", "contrastive"])
def test_the_gap_is_the_difference_between_the_means_of_the_groups(study: Study, objective: str) -> None:
    gap = group_gap(study, objective)
    expected = study.curve(objective, "group:high").mean - study.curve(objective, "group:low").mean
    np.testing.assert_allclose(gap.mean, expected, atol=1e-12)
    np.testing.assert_allclose(group_gap(study, objective, "low", "high").mean, -expected, atol=1e-12)
    assert np.abs(group_gap(study, objective, "low", "low").values).max() == 0


def test_languages_have_equal_weight_in_the_gap(groups: Groups) -> None:
    table = made_up_study(seeds=(0,))
    table["query_id"] = table["language"] + table["query_id"]  # no query is in two languages
    few = table["query_id"].str.fullmatch("de" + r"q\d") | (table["language"] != "de")
    study = Study(table[few], groups, replicates=10)
    expected = study.curve("optical", "group:high").mean - study.curve("optical", "group:low").mean
    np.testing.assert_allclose(group_gap(study, "optical").mean, expected, atol=1e-12)


def test_with_one_seed_the_intervals_equal_scipys(groups: Groups) -> None:
    study = Study(made_up_study(seeds=(0,)), groups, replicates=10)
    block = objective_difference(study, "optical", "contrastive", "ar")
    curve = curve_of(block, 0.9)
    bounds = stats.ttest_1samp(block.values[:, 0], 0, axis=1).confidence_interval(0.9)
    np.testing.assert_allclose(curve.low, bounds.low)
    np.testing.assert_allclose(curve.high, bounds.high)


def test_a_difference_contains_zero_where_crossings_are_open(study: Study) -> None:
    curve = curve_of(objective_difference(study, "optical", "contrastive", "group:low"), study.confidence)
    spans = find_crossings(study, "optical", "contrastive", "group:low").open
    for x, low, high in zip(curve.x, curve.low, curve.high, strict=True):
        assert (low <= 0 <= high) == any(a <= x <= b for a, b in spans)


def test_a_study_without_groups_has_no_gap(per_query: pandas.DataFrame) -> None:
    with pytest.raises(UserError, match="group high: the study has no such group"):
        group_gap(Study(per_query, {}, replicates=10), "optical")
