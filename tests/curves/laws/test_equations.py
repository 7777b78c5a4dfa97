import numpy as np
import pytest

from optical_sweeps.curves.laws.batched_least_squares import jacobian
from optical_sweeps.curves.laws.equations import LAWS
from optical_sweeps.curves.laws.law_fit import to_coordinates, to_natural
from optical_sweeps.errors import UserError

AT = {"N": 2e7, "D": 3000.0, "p": 0.3}


def inputs_of(name: str, n: int = 6) -> np.ndarray:
    spread = np.linspace(0.5, 1.5, n)
    return np.array([AT[known.name] * spread for known in LAWS[name].inputs]).reshape(-1, n)


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("constant", {"c": 0.4}, 0.4),
        ("power", {"B": 30.0, "beta": 0.5}, (30 / 3000) ** 0.5),
        ("power_offset", {"B": 30.0, "beta": 0.5, "delta": 0.2}, 0.1 + 0.2),
        (
            "joint",
            {"A": 2e3, "B": 30.0, "alpha": 0.5, "beta": 0.25, "delta": 0.1},
            ((2e3 / 2e7) ** 2 + 30 / 3000) ** 0.25 + 0.1,
        ),
        (
            "mixture",
            {"E": 0.1, "A": 30.0, "B": 5.0, "alpha": 0.4, "beta": 0.5, "gamma": 0.2},
            (0.1 + 30 / 2e7**0.4 + 5 / 3000**0.5) * 0.3**-0.2,
        ),
        (
            "data_mixture",
            {"E": 0.1, "B": 5.0, "beta": 0.5, "gamma": 0.2},
            (0.1 + 5 / 3000**0.5) * 0.3**-0.2,
        ),
        ("saturating", {"k": 0.4, "T": 1500.0, "delta": 0.1}, 0.1 + 0.4 * np.exp(-2)),
        ("mixing", {"k": 0.4, "t": -2.0, "delta": 0.1}, 0.1 + 0.4 * np.exp(-0.6)),
        (
            "share",
            {"B": 30.0, "beta": 0.5, "tau": 0.1, "delta": 0.2},
            (30 / (3000 * 0.3 + 0.1 * 3000 * 0.7)) ** 0.5 + 0.2,
        ),
    ],
)
def test_equations_equal_values_computed_by_hand(
    name: str, parameters: dict[str, float], expected: float
) -> None:
    law = LAWS[name]
    found = law.evaluate(parameters, {known.name: AT[known.name] for known in law.inputs})
    np.testing.assert_allclose(found, [expected], rtol=1e-12)


def test_laws_agree_in_their_special_cases() -> None:
    pairs = np.geomspace(100, 1e5, 7)
    offset = LAWS["power_offset"].evaluate({"B": 30.0, "beta": 0.5, "delta": 0.0}, {"D": pairs})
    np.testing.assert_allclose(offset, LAWS["power"].evaluate({"B": 30.0, "beta": 0.5}, {"D": pairs}))
    whole = {"B": 30.0, "beta": 0.5, "delta": 0.2}
    with_offset = LAWS["power_offset"].evaluate(whole, {"D": pairs})
    np.testing.assert_allclose(
        LAWS["share"].evaluate({**whole, "tau": 0.3}, {"D": pairs, "p": 1.0}), with_offset
    )
    np.testing.assert_allclose(
        LAWS["share"].evaluate({**whole, "tau": 1.0}, {"D": pairs, "p": 0.2}), with_offset
    )
    large = {**whole, "A": 1.0, "alpha": 0.5}
    np.testing.assert_allclose(LAWS["joint"].evaluate(large, {"N": 1e18, "D": pairs}), with_offset, rtol=1e-6)


@pytest.mark.parametrize("name", LAWS)
def test_every_law_is_documented_and_starts_inside_its_bounds(name: str) -> None:
    law = LAWS[name]
    assert law.source
    assert all(f"{one.meaning}{one.unit}" and one.low < one.high for one in law.parameters)
    values = np.linspace(0.6, 0.4, 6)
    starts = law.starts(np.random.default_rng(0), 50, inputs_of(name), values)
    assert starts.shape == (len(law.parameters), 50)
    for row, parameter in zip(starts, law.parameters, strict=True):
        assert (row >= parameter.low).all()
        assert (row <= parameter.high).all()
    predicted = law.formula(starts[:, :, None], inputs_of(name))
    assert np.isfinite(predicted).all()
    assert (predicted > 0).all()


@pytest.mark.parametrize("name", LAWS)
def test_complex_steps_are_the_derivatives(name: str) -> None:
    law, rows = LAWS[name], inputs_of(name)
    natural = law.starts(np.random.default_rng(1), 3, rows, np.linspace(0.6, 0.4, 6)).T
    coordinates = to_coordinates(law, natural)
    np.testing.assert_allclose(to_natural(law, coordinates), natural)

    def model(at: np.ndarray) -> np.ndarray:
        logs = [one.logarithmic for one in law.parameters]
        parts = [(np.exp(c) if log else c)[:, None] for c, log in zip(at.T, logs, strict=True)]
        return np.log(law.formula(parts, rows))

    exact = jacobian(model, coordinates)
    for column in range(coordinates.shape[1]):
        step = 1e-6 * max(1.0, float(np.abs(coordinates[:, column]).max()))
        moved = np.zeros_like(coordinates)
        moved[:, column] = step
        numeric = (model(coordinates + moved) - model(coordinates - moved)) / (2 * step)
        np.testing.assert_allclose(exact[:, :, column], numeric, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        ("power", {"D": [0.0, 10.0]}, r"law power: D = 0 is outside \(0, inf\]"),
        ("data_mixture", {"D": 10.0, "p": [0.0]}, r"p = 0 is outside \(0, 1\]"),
        ("mixing", {"p": [1.2]}, r"p = 1.2 is outside \[0, 1\]"),
        ("power", {"D": [np.nan]}, "D = nan"),
        ("power", {}, "its inputs are D; missing or unknown: D"),
        ("power", {"D": 1.0, "N": 1.0}, "its inputs are D; missing or unknown: N"),
    ],
)
def test_inputs_outside_the_domain_are_refused(name: str, inputs: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        LAWS[name].input_array(inputs)
    assert "\n" not in str(error.value)


def test_mixing_laws_are_defined_at_share_0() -> None:
    assert LAWS["mixing"].evaluate({"k": 0.4, "t": -2.0, "delta": 0.1}, {"p": 0.0}).tolist() == [0.5]
