from collections.abc import Mapping, Sequence

import numpy as np
import pandas
import pytest

from optical_sweeps.curves.laws.equations import LAWS
from optical_sweeps.curves.laws.law_fit import fit_law
from optical_sweeps.curves.laws.law_selection import choose, choose_law
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.errors import UserError

Groups = Mapping[str, Sequence[str]]
PAIRS = np.geomspace(500, 64_000, 10)
PROBLEMS: dict[str, dict[str, object]] = {
    "constant": {},
    "power": {"D": PAIRS},
    "power_offset": {"D": PAIRS},
    "saturating": {"D": PAIRS},
}
TRUTHS = {
    "constant": np.full(10, 0.4),
    "power": (50 / PAIRS) ** 0.15,
    "power_offset": (300 / PAIRS) ** 0.6 + 0.35,
    "saturating": 0.3 + 0.4 * np.exp(-PAIRS / 9000),
}


@pytest.mark.parametrize("name", TRUTHS)
def test_the_law_that_generated_the_data_is_chosen(name: str) -> None:
    generator = np.random.default_rng(3)
    chosen = [choose(PROBLEMS, TRUTHS[name] * np.exp(generator.normal(0, 0.003, 10))).law for _ in range(4)]
    assert chosen.count(name) >= 3, chosen


@pytest.mark.parametrize("name", ["power", "power_offset", "saturating"])
def test_the_law_that_generated_the_data_extrapolates_best(name: str) -> None:
    errors = {one.fit.law.name: one.largest for one in choose(PROBLEMS, TRUTHS[name]).contenders}
    assert errors.pop("constant") is None
    best = min(errors, key=lambda law: errors[law] or 0.0)
    assert best == name or (name == "power" and best == "power_offset")
    assert errors[best] is not None
    assert errors[best] < 1e-4


def test_held_out_errors_equal_those_of_fits_without_the_point() -> None:
    values = TRUTHS["power"] * np.exp(np.random.default_rng(0).normal(0, 0.003, 10))
    (one,) = (c for c in choose(PROBLEMS, values).contenders if c.fit.law.name == "power")
    squares = []
    for left_out in range(10):
        rest = np.arange(10) != left_out
        # without outliers, the spread of a fold only changes the threshold
        fit = fit_law(LAWS["power"], {"D": PAIRS[rest]}, values[rest])
        squares.append(
            float(fit.law.evaluate(fit.parameters, {"D": PAIRS[left_out]})[0] - values[left_out]) ** 2
        )
    assert one.each == pytest.approx(np.sqrt(np.mean(squares)), rel=0.1)
    assert one.squares == pytest.approx(squares, rel=0.5, abs=1e-6)


def test_points_at_one_x_are_left_out_together() -> None:
    pairs, values = np.repeat(PAIRS, 2), np.repeat(TRUTHS["power"], 2)
    choice = choose({"constant": {}, "power": {"D": pairs}}, values)
    assert all(len(one.squares) == 10 for one in choice.contenders)


def test_inputs_of_laws_follow_from_the_study(per_query: pandas.DataFrame, groups: Groups) -> None:
    study = Study(per_query, groups, replicates=10)
    choice = choose_law(study, "optical", "group:low", ["mixing"])
    assert {one.fit.law.name for one in choice.contenders} == {"constant", "mixing"}
    assert choice.law == choice.fit.law.name == "mixing"


def test_impossible_choices_are_refused(per_query: pandas.DataFrame, groups: Groups) -> None:
    with pytest.raises(UserError, match="2 values of x: choosing a law by held-out error needs three"):
        choose({"power": {"D": PAIRS[:2]}}, [0.5, 0.4])
    with pytest.raises(UserError, match="law 'spline' is not known"):
        choose_law(Study(per_query, groups, replicates=10), "optical", "ar", ["spline"])
