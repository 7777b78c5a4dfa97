"""Runs that one curve cannot show are divided into strata, which are tested as one family."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas
import pytest

from optical_sweeps.curves.claims.pairwise_claims import claims_of_study
from optical_sweeps.curves.claims.stratified_claims import (
    claims_of_strata,
    comparable_pairs,
    crossings_of_strata,
    strata_claims_table,
    strata_crossings_table,
)
from optical_sweeps.curves.statistics.strata import strata
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.significance import holm
from tests.support.curve_study import made_up_study

Groups = Mapping[str, Sequence[str]]


@pytest.fixture
def table() -> pandas.DataFrame:
    """Two backbones and two budgets; a zero-shot run of each backbone."""
    frames = []
    for backbone in ("org/large", "org/small"):
        for total in (2000, 500):
            one = made_up_study(n_queries=15, zero_shot=total == 500)
            one["total"] = np.where(one["objective"] == "none", np.nan, total)
            one["backbone"] = backbone
            names = f"{backbone} {total} " + one["run"]
            frames.append(one.assign(run=names))
    return pandas.concat(frames, ignore_index=True)


def test_every_combination_is_a_stratum_with_its_zero_shot_run(table: pandas.DataFrame, groups: Groups) -> None:
    parts = strata(table, groups, replicates=10)
    facts = [dict(part.facts) for part in parts]
    assert facts == [{"total": t, "backbone": f"org/{b}"} for t in (500, 2000) for b in ("large", "small")]
    for part in parts:
        assert part.study.objectives == ("contrastive", "optical")
        assert part.points == 5
        ours = part.study.rows
        assert set(ours["backbone"]) == {part.facts["backbone"]}
        assert set(ours["total"].dropna()) == {part.facts["total"]}
        assert ours.loc[ours["objective"] == "none", "run"].nunique() == 1
    assert parts[0].folder == "total-500_backbone-large"
    assert parts[0].name == "total 500, backbone org/large"


def test_a_study_of_one_setting_is_one_stratum_without_facts(
    per_query: pandas.DataFrame, groups: Groups
) -> None:
    (part,) = strata(per_query, groups, replicates=10)
    assert (dict(part.facts), part.name, part.folder) == ({}, "", "")
    pandas.testing.assert_frame_equal(part.study.rows, per_query)


def test_x_may_be_the_budget(table: pandas.DataFrame, groups: Groups) -> None:
    parts = strata(table, groups, "total", replicates=10)
    assert len(parts) == 2 * 5
    assert {part.points for part in parts} == {2}
    with pytest.raises(UserError, match="no run has a multiple"):
        strata(table.assign(multiple=np.nan), groups, "multiple")


def test_claims_of_all_strata_are_one_family(table: pandas.DataFrame, groups: Groups) -> None:
    parts = strata(table, groups, replicates=10)
    found = claims_of_strata(parts, test="t")
    every = [claim for of_one in found for claim in of_one]
    assert len(every) == 4 * 3 * 5
    assert [claim.p_holm for claim in every] == pytest.approx(holm(np.array([claim.p for claim in every])))
    alone = claims_of_study(parts[0].study, test="t")
    assert [claim.p for claim in alone] == [claim.p for claim in found[0]]
    assert any(one.p_holm < other.p_holm for one, other in zip(alone, found[0], strict=True))
    shown = strata_claims_table(parts, found)
    assert shown.header[:4] == ("total", "backbone", "comparison", "slice")
    assert shown.words == 4
    assert all(len(row) == len(shown.header) for row in shown.rows)
    assert "over 60 comparisons" in shown.caption
    assert [record["total"] for record in shown.records] == [500] * 30 + [2000] * 30


def test_crossings_are_found_for_the_pairs_with_claims(table: pandas.DataFrame, groups: Groups) -> None:
    parts = strata(table, groups, replicates=10)
    found = crossings_of_strata(parts, claims_of_strata(parts, [("optical", "none")], ["ar"], test="t"))
    assert [[(one.first, one.second, one.slice) for one in of_one] for of_one in found] == [
        [("optical", "none", "ar")]
    ] * 4
    assert len(strata_crossings_table(parts, found).rows) >= 4


def test_one_stratum_gives_the_claims_of_its_study(per_query: pandas.DataFrame, groups: Groups) -> None:
    (found,) = claims_of_strata(strata(per_query, groups, replicates=10), test="t")
    expected = claims_of_study(Study(per_query, groups, replicates=10), test="t")
    for one, other in zip(found, expected, strict=True):
        assert one.p_holm == pytest.approx(other.p_holm)
        assert one.verdict == other.verdict


def test_an_incomplete_sweep_is_compared_where_possible(table: pandas.DataFrame, groups: Groups) -> None:
    of = {name: table[name] for name in ("objective", "backbone", "total", "ratio")}
    small = (of["backbone"] == "org/small") & (of["objective"] == "optical")
    absent = small & (of["total"] == 500)  # one stratum lacks an objective
    begun = small & (of["total"] == 2000) & (of["ratio"] > 0)  # another has it at one ratio
    parts = strata(table[~absent & ~begun], groups, replicates=10)
    found = claims_of_strata(parts, test="t")
    assert [len(of_one) for of_one in found] == [3 * 5, 0, 3 * 5, 3]
    assert [len(of_one) for of_one in crossings_of_strata(parts, found)] == [3, 0, 3, 0]
    assert "over 33 comparisons" in strata_claims_table(parts, found).caption
    assert comparable_pairs(parts[1].study) == []
    assert comparable_pairs(parts[1].study, [("contrastive", "none"), ("optical", "none")]) == [
        ("contrastive", "none")
    ]


def test_strata_are_compared_at_the_x_they_have(table: pandas.DataFrame, groups: Groups) -> None:
    begun = table[(table["total"] != 2000) | (table["ratio"] != 0.5)]
    parts = strata(begun, groups, replicates=10)
    for pairs in (None, [("optical", "contrastive")]):
        found = claims_of_strata(parts, pairs, test="t", x=[0.5])
        assert [len(of_one) for of_one in found] == [3, 3, 0, 0]
        every = [claim for of_one in found for claim in of_one]
        assert [claim.p_holm for claim in every] == pytest.approx(holm(np.array([claim.p for claim in every])))
        assert [len(of_one) for of_one in claims_of_strata(parts, pairs, test="t", x=[0.0, 0.5])] == [
            6,
            6,
            3,
            3,
        ]
        with pytest.raises(UserError, match=r"has ratio 0.3 in common"):
            claims_of_strata(parts, pairs, test="t", x=[0.5, 0.3])
        with pytest.raises(UserError, match=r"has ratio 0.5 in common"):
            claims_of_strata(parts[2:], pairs, test="t", x=[0.5])


def test_a_pair_without_the_x_in_any_stratum_is_refused(table: pandas.DataFrame, groups: Groups) -> None:
    begun = table[(table["objective"] != "contrastive") | (table["ratio"] == 0)]
    parts = strata(begun, groups, replicates=10)
    with pytest.raises(UserError, match=r"has ratio 0.5 in common"):
        claims_of_strata(parts, [("optical", "none"), ("optical", "contrastive")], test="t", x=[0.5])


def test_a_stratum_with_too_few_queries_has_no_claims(table: pandas.DataFrame, groups: Groups) -> None:
    small = table[(table["backbone"] != "org/small") | (table["query_id"] == "q0")]
    parts = strata(small, groups, replicates=10)
    assert [len(of_one) for of_one in claims_of_strata(parts, test="t")] == [15, 0, 15, 0]
    with pytest.raises(UserError, match="group:high: too few queries"):
        claims_of_strata(parts[1::2], test="t")


def test_pairs_and_measures_of_no_stratum_are_refused(table: pandas.DataFrame, groups: Groups) -> None:
    parts = strata(table, groups, replicates=10)
    with pytest.raises(UserError, match="objective nothing"):
        claims_of_strata(parts, [("optical", "contrastive"), ("optical", "nothing")], test="t")
    with pytest.raises(UserError, match="nothing to compare"):
        claims_of_strata(parts, [], test="t")
    with pytest.raises(UserError, match="choose a measure and split"):
        strata(table.iloc[:0], groups)
