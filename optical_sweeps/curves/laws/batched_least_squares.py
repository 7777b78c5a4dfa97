"""Many small robust least-squares problems at once: Levenberg and Marquardt's method, Huber's loss, bounds.

A bootstrap solves the same problem thousands of times over ten points; a solver called once for each spends
its time on calls. This one steps all problems together and drops those that are done.

Derivatives are by complex steps (Squire and Trapp 1998): exact to rounding, and a law is written once.

Shape legend: M problems, P parameters, n points.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Complex, Float

_STEP = 1e-30
_ITERATIONS = 300
_SMALL = 1e-10

Model = Callable[[np.ndarray], np.ndarray]
"""Coordinates `M P`, real or complex -> predictions `M n`."""


def minimise(
    model: Model,
    start: Float[np.ndarray, "M P"],
    target: Float[np.ndarray, "M n"],
    weights: Float[np.ndarray, "M n"],
    low: Float[np.ndarray, "M P"],
    high: Float[np.ndarray, "M P"],
    threshold: float,
) -> tuple[Float[np.ndarray, "M P"], Float[np.ndarray, " M"]]:
    """The best coordinates found from each start, and their losses: the sum over points of Huber's.

    Args:
        weights: residuals are multiplied by them; 0 leaves a point out.
        low, high: bounds; equal ones hold a coordinate.
        threshold: size of a weighted residual from which its loss grows linearly (Huber 1964).
    """
    coordinates = np.clip(start, low, high)
    losses = _loss(weights * (model(coordinates) - target), threshold)
    losses[~np.isfinite(losses)] = np.inf
    damping = np.full(len(start), 1e-2)
    active = np.flatnonzero(np.isfinite(losses))
    for _ in range(_ITERATIONS):
        if not len(active):
            break
        here, bounds = coordinates[active], (low[active], high[active])
        step = _step(model, here, target[active], weights[active], *bounds, threshold, damping[active])
        there = np.clip(here + step, *bounds)
        found = _loss(weights[active] * (model(there) - target[active]), threshold)
        gain = losses[active] - np.where(np.isfinite(found), found, np.inf)
        better = gain > 0
        coordinates[active[better]] = there[better]
        losses[active[better]] = found[better]
        damping[active] = np.clip(damping[active] * np.where(better, 0.2, 5.0), 1e-12, 1e14)
        still = np.where(better, gain > _SMALL * (losses[active] + _SMALL), damping[active] < 1e10)
        active = active[still]
    return coordinates, losses


def jacobian(model: Model, coordinates: Float[np.ndarray, "M P"]) -> Float[np.ndarray, "M n P"]:
    """Derivatives of the predictions."""
    columns = []
    for column in range(coordinates.shape[1]):
        moved = coordinates.astype(complex)
        moved[:, column] += 1j * _STEP
        columns.append(_imaginary(model(moved)) / _STEP)
    return np.stack(columns, axis=-1)


def _step(
    model: Model,
    coordinates: Float[np.ndarray, "M P"],
    target: Float[np.ndarray, "M n"],
    weights: Float[np.ndarray, "M n"],
    low: Float[np.ndarray, "M P"],
    high: Float[np.ndarray, "M P"],
    threshold: float,
    damping: Float[np.ndarray, " M"],
) -> Float[np.ndarray, "M P"]:
    slopes = weights[:, :, None] * jacobian(model, coordinates)
    slopes = np.where(np.isfinite(slopes), slopes, 0.0)
    residuals = weights * (model(coordinates) - target)
    robust = threshold / np.maximum(np.abs(residuals), threshold)
    gradient = np.einsum("mnp,mn,mn->mp", slopes, robust, residuals)
    hessian = np.einsum("mnp,mn,mnq->mpq", slopes, robust, slopes)
    held = ((coordinates <= low) & (gradient >= 0)) | ((coordinates >= high) & (gradient <= 0))
    return _solve(hessian, gradient, held, damping)


def _solve(
    hessian: Float[np.ndarray, "M P P"],
    gradient: Float[np.ndarray, "M P"],
    held: Bool[np.ndarray, "M P"],
    damping: Float[np.ndarray, " M"],
) -> Float[np.ndarray, "M P"]:
    """Damped Newton steps; held coordinates stay."""
    free = (~held).astype(float)
    hessian = hessian * free[:, :, None] * free[:, None, :]
    scale = np.einsum("mpp->mp", hessian)
    floor = 1e-12 * scale.max(1, keepdims=True) + 1e-300
    diagonal = np.maximum(scale, floor) * damping[:, None] + held * (1 + scale.max(1, keepdims=True)) + floor
    damped = hessian + diagonal[:, :, None] * np.eye(hessian.shape[1])
    return np.asarray(-np.linalg.solve(damped, (gradient * free)[:, :, None])[:, :, 0])


def _loss(residuals: Float[np.ndarray, "M n"], threshold: float) -> Float[np.ndarray, " M"]:
    size = np.abs(residuals)
    return np.asarray(np.where(size <= threshold, size**2 / 2, threshold * (size - threshold / 2)).sum(1))


def _imaginary(values: Complex[np.ndarray, "M n"]) -> Float[np.ndarray, "M n"]:
    return np.ascontiguousarray(values.imag)
