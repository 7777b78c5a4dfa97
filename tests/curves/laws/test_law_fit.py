"""Laws are recovered from their own values, resist outliers, and do not extrapolate if undetermined."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.curves.laws.equations import LAWS
from optical_sweeps.curves.laws.law_fit import fit_law, refit
from optical_sweeps.errors import UserError

PAIRS = np.geomspace(500, 64_000, 10)
SIZES, SIZE_PAIRS = (part.ravel() for part in np.meshgrid([1e6, 1e7, 1e8], PAIRS[::2]))
SHARES, SHARE_PAIRS = (part.ravel() for part in np.meshgrid([0.1, 0.3, 0.6, 1.0], PAIRS[::2]))
GRID_SIZES, GRID_PAIRS, GRID_SHARES = (
    part.ravel() for part in np.meshgrid([1e6, 1e7, 1e8], PAIRS[::3], [0.1, 0.4, 1.0])
)
RATIOS = np.linspace(0, 1, 11)

TRUTHS: Mapping[str, tuple[dict[str, float], dict[str, np.ndarray]]] = {
    "constant": ({"c": 0.4}, {}),
    "power": ({"B": 50.0, "beta": 0.15}, {"D": PAIRS}),
    "power_offset": ({"B": 300.0, "beta": 0.6, "delta": 0.35}, {"D": PAIRS}),
    "saturating": ({"k": 0.4, "T": 9000.0, "delta": 0.3}, {"D": PAIRS}),
    "mixing": ({"k": 0.3, "t": -2.0, "delta": 0.3}, {"p": RATIOS}),
    "share": ({"B": 300.0, "beta": 0.6, "tau": 0.05, "delta": 0.3}, {"D": np.full(11, 8e3), "p": RATIOS}),
    "data_mixture": ({"E": 0.2, "B": 8.0, "beta": 0.5, "gamma": 0.2}, {"D": SHARE_PAIRS, "p": SHARES}),
    "joint": (
        {"A": 3e4, "B": 100.0, "alpha": 0.5, "beta": 0.8, "delta": 0.2},
        {"N": SIZES, "D": SIZE_PAIRS},
    ),
    "mixture": (
        {"E": 0.2, "A": 30.0, "B": 8.0, "alpha": 0.4, "beta": 0.5, "gamma": 0.2},
        {"N": GRID_SIZES, "D": GRID_PAIRS, "p": GRID_SHARES},
    ),
}


def noiseless(name: str) -> np.ndarray:
    parameters, inputs = TRUTHS[name]
    values = LAWS[name].evaluate(parameters, inputs)
    return values if inputs else np.repeat(values, 8)


@pytest.mark.parametrize("name", LAWS)
def test_every_law_recovers_its_parameters(name: str) -> None:
    parameters, inputs = TRUTHS[name]
    fit = fit_law(LAWS[name], inputs, noiseless(name))
    assert dict(fit.parameters) == pytest.approx(parameters, rel=1e-4)
    assert fit.determined, fit.doubts
    np.testing.assert_allclose(
        fit.predict({key: value * 0.9 for key, value in inputs.items()}),
        LAWS[name].evaluate(parameters, {key: value * 0.9 for key, value in inputs.items()}),
        rtol=1e-5,
    )


@settings(deadline=None, max_examples=10)
@given(st.floats(0.2, 2.0), st.floats(0.05, 0.5), st.floats(50, 400))
def test_every_power_law_is_recovered(beta: float, delta: float, scale: float) -> None:
    values = (scale / PAIRS) ** beta + delta
    fit = fit_law(LAWS["power_offset"], {"D": PAIRS}, values)
    assert dict(fit.parameters) == pytest.approx({"B": scale, "beta": beta, "delta": delta}, rel=1e-3)


def test_the_spread_of_residuals_is_that_of_the_noise() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, (30, 10))
    spreads = [
        fit_law(LAWS["power"], {"D": PAIRS}, noiseless("power") * np.exp(row), starts=6).spread for row in noise
    ]
    assert np.sqrt(np.mean(np.square(spreads))) == pytest.approx(0.01, rel=0.25)


def test_one_bad_run_hardly_moves_the_curve() -> None:
    values = noiseless("power_offset") * np.exp(np.random.default_rng(0).normal(0, 0.003, 10))
    spoilt = values.copy()
    spoilt[6] *= 1.3
    clean, robust = (fit_law(LAWS["power_offset"], {"D": PAIRS}, one) for one in (values, spoilt))
    assert robust.parameters["beta"] == pytest.approx(clean.parameters["beta"], rel=0.1)
    assert robust.parameters["delta"] == pytest.approx(clean.parameters["delta"], rel=0.05)


def test_units_only_scale_the_parameters() -> None:
    values = noiseless("power_offset")
    thousands = fit_law(LAWS["power_offset"], {"D": PAIRS / 1000}, values)
    assert thousands.parameters["B"] == pytest.approx(0.3, rel=1e-4)
    assert thousands.parameters["beta"] == pytest.approx(0.6, rel=1e-4)


def test_the_same_seed_gives_the_same_fit() -> None:
    values = noiseless("joint") * np.exp(np.random.default_rng(0).normal(0, 0.01, len(SIZES)))
    one, again = (fit_law(LAWS["joint"], TRUTHS["joint"][1], values, seed=4) for _ in range(2))
    assert dict(one.parameters) == dict(again.parameters)


FLAT = 0.5 * np.exp(np.random.default_rng(5).normal(0, 0.01, 10))
UNDETERMINED = {
    "no trend": ("power_offset", {"D": PAIRS}, FLAT, "fits as well"),
    "no trend, no offset": ("power", {"D": PAIRS}, FLAT, "beta down to 0.01 fits as well"),
    "no trend over shares": ("mixing", {"p": RATIOS[:10]}, FLAT, "fits as well"),
    "as many points as parameters": (
        "power_offset",
        {"D": PAIRS[:3]},
        noiseless("power_offset")[:3],
        "3 points for 3 parameters",
    ),
    "two different budgets": (
        "power_offset",
        {"D": np.repeat(PAIRS[:2], 3)},
        np.array([0.9, 0.91, 0.89, 0.7, 0.71, 0.69]),
        "2 different points for 3 parameters",
    ),
    "one model size": (
        "joint",
        {"N": np.full(10, 1e7), "D": PAIRS},
        noiseless("power_offset"),
        "fits as well",
    ),
    "one share": (
        "data_mixture",
        {"D": PAIRS, "p": np.full(10, 0.5)},
        noiseless("power_offset"),
        "compensate for each other",
    ),
    "a law of data where data do nothing": ("saturating", {"D": PAIRS}, FLAT, "fits as well"),
}


@pytest.mark.parametrize("case", UNDETERMINED)
def test_an_undetermined_law_has_doubts_and_does_not_extrapolate(case: str) -> None:
    name, inputs, values, doubt = UNDETERMINED[case]
    fit = fit_law(LAWS[name], inputs, values)
    assert not fit.determined
    assert any(doubt in said for said in fit.doubts), fit.doubts
    inside = fit.predict(inputs)
    np.testing.assert_allclose(inside, values, rtol=0.1)
    beyond = {key: values[-1:] * (4 if key != "p" else 1) for key, values in inputs.items()}
    if "p" in beyond:
        beyond["p"] = np.ones(1)
    with pytest.raises(UserError, match="do not determine the law") as error:
        fit.predict(beyond)
    assert "\n" not in str(error.value)


def test_a_determined_law_extrapolates() -> None:
    fit = fit_law(LAWS["power_offset"], {"D": PAIRS}, noiseless("power_offset"))
    np.testing.assert_allclose(fit.predict({"D": [1e6]}), (300 / 1e6) ** 0.6 + 0.35, rtol=1e-5)


def test_refits_equal_fits() -> None:
    generator = np.random.default_rng(2)
    values = noiseless("power_offset") * np.exp(generator.normal(0, 0.005, 10))
    fit = fit_law(LAWS["power_offset"], {"D": PAIRS}, values)
    np.testing.assert_allclose(refit(fit, values[None])[0], list(fit.parameters.values()), rtol=1e-4)
    left_out = np.ones((1, 10))
    left_out[0, 4] = 0
    spoilt = values.copy()
    spoilt[4] = 5
    np.testing.assert_allclose(
        refit(fit, spoilt[None], weights=left_out), refit(fit, values[None], weights=left_out), rtol=1e-5
    )


@pytest.mark.parametrize("values", [[0.5, 0.4, 0.0, 0.3], [0.5, np.nan, 0.4, 0.3], []])
def test_values_that_are_not_positive_are_refused(values: list[float]) -> None:
    with pytest.raises(UserError, match="law power: values must be positive"):
        fit_law(LAWS["power"], {"D": PAIRS[: len(values)] if values else [1.0]}, values)


def test_inputs_and_values_of_different_lengths_are_refused() -> None:
    with pytest.raises(UserError, match="10 inputs for 4 values"):
        fit_law(LAWS["power"], {"D": PAIRS}, [0.5, 0.4, 0.3, 0.2])
