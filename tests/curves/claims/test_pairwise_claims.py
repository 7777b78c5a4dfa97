from collections.abc import Mapping, Sequence

import numpy as np
import pandas
import pytest
from scipy import stats

from optical_sweeps.curves.claims.pairwise_claims import TESTS, claims_of_study, slices_to_compare
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.statistics.study_scores import scores
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.significance import holm
from tests.support.curve_study import made_up_study

Groups = Mapping[str, Sequence[str]]
PAIR = [("optical", "contrastive")]


@pytest.fixture
def study(per_query: pandas.DataFrame, groups: Groups) -> Study:
    return Study(per_query, groups, replicates=10)


def seed_means(study: Study, slice: str) -> np.ndarray:
    """Differences by x and query."""
    return np.asarray(scores(study, "optical", slice).less(scores(study, "contrastive", slice)).values.mean(1))


@pytest.mark.parametrize("slice", ["ar", "group:low"])
def test_t_equals_scipys_paired_t_test_on_seed_means(study: Study, slice: str) -> None:
    found = claims_of_study(study, PAIR, [slice], test="t", margin=0.05)
    one, other = (scores(study, name, slice).values.mean(1) for name in PAIR[0])
    theirs = stats.ttest_rel(one, other, axis=1)
    assert [claim.p for claim in found] == pytest.approx(theirs.pvalue)
    bounds = theirs.confidence_interval(0.95)
    assert [claim.low for claim in found] == pytest.approx(bounds.low)
    assert [claim.high for claim in found] == pytest.approx(bounds.high)
    assert [claim.difference for claim in found] == pytest.approx((one - other).mean(1))
    assert [claim.mean_first for claim in found] == pytest.approx(study.curve("optical", slice).mean)
    equal = [
        max(
            stats.ttest_1samp(row, -0.05, alternative="greater").pvalue,
            stats.ttest_1samp(row, 0.05, alternative="less").pvalue,
        )
        for row in one - other
    ]
    assert [claim.p_equivalence for claim in found] == pytest.approx(equal)


def test_randomisation_agrees_with_scipys_permutation_test(study: Study) -> None:
    found = claims_of_study(study, PAIR, ["ar"], draws=20_000)
    for claim, row in zip(found, seed_means(study, "ar"), strict=True):
        theirs = stats.permutation_test(
            (row,), np.mean, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(0)
        )
        assert claim.p == pytest.approx(theirs.pvalue, abs=4 * np.sqrt(0.25 / 20_000))


def test_all_comparisons_of_a_call_are_one_family(study: Study) -> None:
    found = claims_of_study(study, PAIR, ["ar", "fa", "de"], test="t")
    assert len(found) == 15
    assert [claim.p_holm for claim in found] == pytest.approx(holm(np.array([claim.p for claim in found])))
    (alone,) = claims_of_study(study, PAIR, ["ar"], x=[0.5], test="t")
    assert alone.p_holm == alone.p
    assert alone.x == 0.5


def test_all_pairs_are_compared_on_all_groups_by_default(study: Study) -> None:
    found = claims_of_study(study, test="t")
    assert {claim.slice for claim in found} == {"group:high", "group:low", "group:all"}
    assert {(claim.first, claim.second) for claim in found} == {("contrastive", "optical")}
    assert {claim.x for claim in found} == {0, 0.25, 0.5, 0.75, 1}


def test_slices_with_the_same_languages_are_compared_once(per_query: pandas.DataFrame, groups: Groups) -> None:
    high = per_query[per_query["language"].isin(groups["high"])]
    study = Study(high, groups, replicates=10)  # `all` is `high`, and `low` is nothing
    found = claims_of_study(study, test="t")
    assert [claim.slice for claim in found] == ["group:high"] * 5
    assert [claim.p_holm for claim in found] == pytest.approx(holm(np.array([claim.p for claim in found])))
    asked = slices_to_compare(study, ["group:all", "de", "group:high", "de"])
    assert asked == {"group:all": "", "de": "", "group:high": "the languages of group:all"}
    assert len(claims_of_study(study, PAIR, list(asked), x=[0.5], test="t")) == 2


@pytest.mark.parametrize("test", TESTS)
def test_a_slice_with_too_few_queries_is_left_out(
    per_query: pandas.DataFrame, groups: Groups, test: str
) -> None:
    few = per_query[~per_query["language"].isin(groups["low"]) | (per_query["query_id"] == "q0")].copy()
    few.loc[few["language"] == "fa", "query_id"] = "another"  # one query per language
    study = Study(few, groups, replicates=10)
    found = claims_of_study(study, PAIR, ["fa", "de", "group:low", "group:all"], x=[0.5], test=test, draws=100)
    assert [claim.slice for claim in found] == ["de", "group:all"]
    assert slices_to_compare(study, ["fa", "de"]) == {"fa": "too few queries", "de": ""}
    with pytest.raises(UserError, match="group:low: too few queries for a test; choose"):
        claims_of_study(study, PAIR, ["group:low", "fa"], test=test)


def test_pairs_are_compared_at_the_x_they_share(per_query: pandas.DataFrame, groups: Groups) -> None:
    begun = (per_query["objective"] == "contrastive") & (per_query["ratio"] > 0)
    study = Study(per_query[~begun], groups, replicates=10)
    found = claims_of_study(study, [*PAIR, ("optical", "none")], ["ar"], x=[0.0, 0.5], test="t")
    assert [(claim.second, claim.x) for claim in found] == [("contrastive", 0), ("none", 0), ("none", 0.5)]
    with pytest.raises(UserError, match=r"has ratio 0.5 in common"):
        claims_of_study(study, PAIR, ["ar"], x=[0.0, 0.5], test="t")


def test_zero_shot_is_compared_at_every_x(study: Study) -> None:
    found = claims_of_study(study, [("optical", "none")], ["group:low"], test="t")
    level = study.reference("group:low")
    assert level is not None
    assert [claim.mean_second for claim in found] == pytest.approx([float(level.mean[0])] * 5)
    assert found[-1].verdict.startswith("higher")


def test_the_crossed_interval_is_wider_if_seeds_differ(groups: Groups) -> None:
    table = made_up_study(seeds=(0, 1, 2))
    shift = table["seed"].map({0: -0.05, 1: 0.0, 2: 0.05}).fillna(0).astype(float)
    table["value"] += shift * (table["objective"] == "optical")
    study = Study(table, groups, replicates=10)
    (queries,) = claims_of_study(study, PAIR, ["ar"], x=[0.5], test="t")
    (both,) = claims_of_study(study, PAIR, ["ar"], x=[0.5], test="crossed")
    assert both.difference == pytest.approx(queries.difference)
    assert both.high - both.low > 2 * (queries.high - queries.low)
    assert both.p > queries.p


def test_verdicts() -> None:
    generator = np.random.default_rng(0)
    queries, noise = generator.uniform(0.2, 0.6, 60), generator.normal(0, 0.01, (2, 60))

    def verdict(shift: float, margin: float, scale: float = 1.0) -> str:
        values = {"a": queries, "b": queries - shift - scale * (noise[0] - noise[0].mean())}
        rows = [(n, n, 0.5, 0, "ar", f"q{q}", v) for n, all in values.items() for q, v in enumerate(all)]
        names = ["run", "objective", "ratio", "seed", "language", "query_id", "value"]
        table = pandas.DataFrame(rows, columns=names).assign(split="test", measure="nDCG@10")
        (claim,) = claims_of_study(Study(table, {}, replicates=10), [("a", "b")], margin=margin)
        return claim.verdict

    assert verdict(0.1, 0.01) == "higher"
    assert verdict(-0.1, 0.01) == "lower"
    assert verdict(0.0, 0.01) == "equivalent"
    assert verdict(0.005, 0.01) == "higher, equivalent"
    assert verdict(0.0, 0.01, scale=30) == "open"


def test_impossible_comparisons_are_refused(study: Study) -> None:
    for arguments, message in (
        ({"test": "wilcoxon"}, "test: 'wilcoxon' is not one of randomisation, t, crossed"),
        ({"margin": 0.0}, "margin 0.0 must be positive"),
        (
            {"pairs": [("optical", "mse")]},
            "objective mse: the study has no such runs; there are: contrastive, none, optical",
        ),
        ({"pairs": []}, "nothing to compare"),
        ({"pairs": [("optical", "none"), ("none", "optical")]}, "name each pair once"),
        ({"x": [0.3]}, "has ratio 0.3 in common"),
    ):
        with pytest.raises(UserError, match=message):
            claims_of_study(study, **arguments)  # type: ignore[arg-type]
