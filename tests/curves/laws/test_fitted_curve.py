"""Laws fitted to a study's scores: inputs, intervals and errors."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas
import pytest

from optical_sweeps.curves.laws.equations import LAWS
from optical_sweeps.curves.laws.fitted_curve import fit_curve, fit_scores, law_inputs
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.errors import UserError
from tests.support.score_blocks import block

Groups = Mapping[str, Sequence[str]]
PAIRS = np.geomspace(500, 64_000, 10)
TRUTH = {"B": 300.0, "beta": 0.6, "delta": 0.35}
ERROR = LAWS["power_offset"].evaluate(TRUTH, {"D": PAIRS})


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_intervals_cover_parameters_and_predictions(n_seeds: int) -> None:
    """A fast mode of `benchmarks/curves.py`: 40 simulations, and bounds of three standard errors."""
    n, beyond = 40, {"D": [256_000.0]}
    hits = dict.fromkeys([*TRUTH, "beyond"], 0)
    for number in range(n):
        scores = block(np.random.default_rng(number), 1 - ERROR, n_seeds=n_seeds, seed=0.003, query=0.1)
        fitted = fit_scores(scores, LAWS["power_offset"], {"D": PAIRS}, replicates=100)
        assert fitted.fit.determined
        for name, value in TRUTH.items():
            low, high = fitted.interval(name)
            hits[name] += int(low <= value <= high)
        there = fitted.predict(beyond, [256_000.0])
        value = 1 - LAWS["power_offset"].evaluate(TRUTH, beyond)[0]
        hits["beyond"] += int(there.low[0] <= value <= there.high[0])
    # with one seed, queries and residuals count some noise twice, so that intervals are wider
    assert all(0.84 <= hit / n <= 1 for hit in hits.values()), hits
    assert np.mean(list(hits.values())) / n < 1


def test_a_higher_confidence_gives_a_wider_interval() -> None:
    scores = block(np.random.default_rng(0), 1 - ERROR)
    narrow, wide = (
        fit_scores(scores, LAWS["power_offset"], {"D": PAIRS}, confidence, replicates=200)
        for confidence in (0.5, 0.95)
    )
    for name in TRUTH:
        (a, b), (c, d) = wide.interval(name), narrow.interval(name)
        assert a < c < d < b


def test_predictions_are_scores_with_their_interval() -> None:
    scores = block(np.random.default_rng(0), 1 - ERROR)
    fitted = fit_scores(scores, LAWS["power_offset"], {"D": PAIRS}, replicates=200)
    curve = fitted.predict({"D": PAIRS}, PAIRS)
    assert curve.x.tolist() == PAIRS.tolist()
    assert (curve.low < curve.mean).all()
    assert (curve.mean < curve.high).all()
    np.testing.assert_allclose(curve.mean, scores.mean, atol=0.01)
    assert curve.n_seeds.tolist() == [3] * 10
    assert (curve.label, curve.slice, curve.n_queries) == ("optical", "ar", 60)


def test_a_flat_curve_is_not_determined_and_not_extrapolated() -> None:
    scores = block(np.random.default_rng(0), np.full(10, 0.5))
    fitted = fit_scores(scores, LAWS["power_offset"], {"D": PAIRS}, replicates=200)
    assert not fitted.fit.determined
    assert fitted.predict({"D": PAIRS[:2]}, PAIRS[:2]).mean == pytest.approx([0.5, 0.5], abs=0.1)
    with pytest.raises(UserError, match="do not determine the law"):
        fitted.predict({"D": [256_000.0]}, [256_000.0])


def test_replicates_add_doubts_that_the_fit_alone_lacks() -> None:
    """Within one doubling of the budget, exponents can hardly be distinguished."""
    near = np.geomspace(8000, 16_000, 10)
    said = []
    for number in range(5):
        scores = block(np.random.default_rng(number), 1 - (300 / near) ** 0.3 - 0.2)
        said += fit_scores(scores, LAWS["power_offset"], {"D": near}, replicates=100).fit.doubts
    assert sum("beta lies anywhere from" in doubt for doubt in said) >= 3, said


def test_the_share_is_derived_from_ratio_and_group(per_query: pandas.DataFrame, groups: Groups) -> None:
    study = Study(per_query, groups, replicates=10)
    x = study.curve("optical", "ar").x
    for slice, share in (("ar", x), ("group:low", x), ("de", 1 - x), ("group:high", 1 - x)):
        np.testing.assert_array_equal(law_inputs(study, slice, LAWS["mixing"], x, {})["p"], share)
    found = law_inputs(study, "ar", LAWS["share"], x, {"D": 1000})
    assert found["D"] == 1000
    with pytest.raises(UserError, match="p does not follow from ratio of group:all"):
        law_inputs(study, "group:all", LAWS["mixing"], x, {})
    with pytest.raises(UserError, match="law power: D does not follow from ratio of ar; give it in inputs"):
        fit_curve(study, "optical", "ar", "power")


def test_a_helpful_share_has_a_negative_rate(per_query: pandas.DataFrame, groups: Groups) -> None:
    study = Study(per_query, groups, replicates=10)
    low, high = fit_curve(study, "optical", "group:low", "mixing", replicates=100).interval("t")
    assert low < high < 0


def test_an_unknown_law_is_refused_with_the_list_of_laws(per_query: pandas.DataFrame, groups: Groups) -> None:
    with pytest.raises(UserError, match="law 'logistic' is not known; the laws are constant, power"):
        fit_curve(Study(per_query, groups, replicates=10), "optical", "ar", "logistic")


def test_a_rate_whose_interval_has_both_signs_is_a_doubt() -> None:
    ratios, said = np.linspace(0, 1, 11), []
    for number in range(3):
        scores = block(np.random.default_rng(number), 0.5 + 0.02 * ratios, run=0.01)
        said += fit_scores(scores, LAWS["mixing"], {"p": ratios}, replicates=100).fit.doubts
    assert sum(doubt.startswith("t ") for doubt in said) >= 3, said
