"""Many small robust least-squares problems at once: Levenberg-Marquardt with Huber's loss and bounds.

A bootstrap solves the same problem thousands of times over ten points; calling a solver for each of them takes
100 times as long (docs/howto/curves.md). This solver steps all problems together and drops those that have
converged.

Derivatives use complex steps (Squire and Trapp 1998): they are exact to rounding, and need only the law itself.

Shape legend: M problems, P parameters, n points.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

_STEP = 1e-30
_ITERATIONS = 300
_SMALL = 1e-10

Model = Callable[[np.ndarray], np.ndarray]
"""Coordinates `M P`, real or complex -> predictions `M n`."""


@dataclass(frozen=True, eq=False)
class _Problems:
    """Problems that are stepped together.

    Args:
        threshold: of Huber's loss, in units of weighted residuals.
    """

    model: Model
    target: Float[np.ndarray, "M n"]
    weights: Float[np.ndarray, "M n"]
    low: Float[np.ndarray, "M P"]
    high: Float[np.ndarray, "M P"]
    threshold: float

    def subset(self, active: np.ndarray) -> "_Problems":
        arrays = (self.target, self.weights, self.low, self.high)
        target, weights, low, high = (array[active] for array in arrays)
        return _Problems(self.model, target, weights, low, high, self.threshold)

    def residuals(self, coordinates: Float[np.ndarray, "M P"]) -> Float[np.ndarray, "M n"]:
        return np.asarray(self.weights * (self.model(coordinates) - self.target))

    def losses(self, coordinates: Float[np.ndarray, "M P"]) -> Float[np.ndarray, " M"]:
        """The losses; infinite where the model is not finite."""
        size, threshold = np.abs(self.residuals(coordinates)), self.threshold
        huber = np.where(size <= threshold, size**2 / 2, threshold * (size - threshold / 2)).sum(1)
        return np.where(np.isfinite(huber), huber, np.inf)

    def step(
        self, coordinates: Float[np.ndarray, "M P"], damping: Float[np.ndarray, " M"]
    ) -> Float[np.ndarray, "M P"]:
        """Damped Newton steps; a coordinate at a bound that it would cross does not move."""
        slopes = self.weights[:, :, None] * jacobian(self.model, coordinates)
        slopes = np.where(np.isfinite(slopes), slopes, 0.0)
        residuals = self.residuals(coordinates)
        robust = self.threshold / np.maximum(np.abs(residuals), self.threshold)
        gradient = np.einsum("mnp,mn,mn->mp", slopes, robust, residuals)
        hessian = np.einsum("mnp,mn,mnq->mpq", slopes, robust, slopes)
        held = (coordinates <= self.low) & (gradient >= 0)
        held |= (coordinates >= self.high) & (gradient <= 0)
        return _solve(hessian, gradient, held, damping)


def minimise(
    model: Model,
    start: Float[np.ndarray, "M P"],
    target: Float[np.ndarray, "M n"],
    weights: Float[np.ndarray, "M n"],
    low: Float[np.ndarray, "M P"],
    high: Float[np.ndarray, "M P"],
    threshold: float,
) -> tuple[Float[np.ndarray, "M P"], Float[np.ndarray, " M"]]:
    """The best coordinates from each start, and their losses: the sum of Huber's loss over points.

    Args:
        weights: multiply the residuals; 0 leaves a point out.
        low, high: bounds; equal bounds hold a coordinate.
        threshold: size of a weighted residual above which its loss grows linearly (Huber 1964).
    """
    problems = _Problems(model, target, weights, low, high, threshold)
    coordinates = np.clip(start, low, high)
    losses = problems.losses(coordinates)
    damping = np.full(len(start), 1e-2)
    active = np.flatnonzero(np.isfinite(losses))
    for _ in range(_ITERATIONS):
        if not len(active):
            break
        part = problems.subset(active)
        step = part.step(coordinates[active], damping[active])
        candidates = np.clip(coordinates[active] + step, part.low, part.high)
        candidate_losses = part.losses(candidates)
        gain = losses[active] - candidate_losses
        better = gain > 0
        coordinates[active[better]] = candidates[better]
        losses[active[better]] = candidate_losses[better]
        damping[active] = np.clip(damping[active] * np.where(better, 0.2, 5.0), 1e-12, 1e14)
        goes_on = np.where(better, gain > _SMALL * (losses[active] + _SMALL), damping[active] < 1e10)
        active = active[goes_on]
    return coordinates, losses


def jacobian(model: Model, coordinates: Float[np.ndarray, "M P"]) -> Float[np.ndarray, "M n P"]:
    """Derivatives of the predictions with respect to the coordinates."""
    columns = []
    for column in range(coordinates.shape[1]):
        moved = coordinates.astype(complex)
        moved[:, column] += 1j * _STEP
        columns.append(np.ascontiguousarray(model(moved).imag) / _STEP)
    return np.stack(columns, axis=-1)


def _solve(
    hessian: Float[np.ndarray, "M P P"],
    gradient: Float[np.ndarray, "M P"],
    held: Bool[np.ndarray, "M P"],
    damping: Float[np.ndarray, " M"],
) -> Float[np.ndarray, "M P"]:
    free = (~held).astype(float)
    hessian = hessian * free[:, :, None] * free[:, None, :]
    scale = np.einsum("mpp->mp", hessian)
    floor = 1e-12 * scale.max(1, keepdims=True) + 1e-300
    diagonal = np.maximum(scale, floor) * damping[:, None] + held * (1 + scale.max(1, keepdims=True)) + floor
    damped = hessian + diagonal[:, :, None] * np.eye(hessian.shape[1])
    return np.asarray(-np.linalg.solve(damped, (gradient * free)[:, :, None])[:, :, 0])
