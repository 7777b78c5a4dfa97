"""Time, GPU hours, speed and peak memory of a run; logged with its metrics, but not part of its results."""

import resource
import sys
import time
from collections.abc import Callable

GB = 1e9


class Usage:
    """Measures one run's use of the machine, starting when the object is created.

    Args:
        gpus: devices that the run occupies, busy or not; 0 on a CPU.
        pairs_per_step: pairs per optimiser step over all devices.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        *,
        gpus: int = 0,
        pairs_per_step: int | float = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.gpus, self.pairs_per_step = gpus, pairs_per_step
        self._clock = clock
        self._start = self._last = clock()
        self._before = 0.0
        self._last_step: int | None = None

    def at(self, step: int) -> dict[str, float]:
        """Measurements at an optimiser step; speeds are averages since the step of the last call.

        >>> usage = Usage(gpus=2, pairs_per_step=32, clock=iter([0.0, 1800.0, 1810.0]).__next__)
        >>> [usage.at(step)["usage/gpu_hours"] for step in (0, 100)]
        [1.0, 1.0055555555555555]
        """
        now = self._clock()
        measurements = self._totals(now)
        if self._last_step is not None and step > self._last_step and now > self._last:
            speed = (step - self._last_step) / (now - self._last)
            measurements["usage/steps_per_second"] = speed
            if self.pairs_per_step:
                measurements["usage/pairs_per_second"] = speed * self.pairs_per_step
        self._last, self._last_step = now, step
        return measurements

    def add(self, seconds: float) -> None:
        """Add the seconds of earlier starts of the run."""
        self._before += seconds

    def totals(self) -> dict[str, float]:
        """Hours and peak memory so far, over all starts of the run."""
        return self._totals(self._clock())

    def _totals(self, now: float) -> dict[str, float]:
        hours = (self._before + now - self._start) / 3600
        totals = {
            "usage/hours": hours,
            "usage/gpu_hours": hours * self.gpus,
            "usage/peak_memory_gb": _peak_memory() / GB,
        }
        if self.gpus:
            totals["usage/peak_gpu_memory_gb"] = _peak_gpu_memory() / GB
        return totals


def _peak_memory() -> int:
    """Peak memory of this process in bytes; Linux reports kilobytes, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _peak_gpu_memory() -> int:
    """Peak bytes of tensors on the fullest device of this process."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return 0
    return max(int(torch.cuda.max_memory_allocated(device)) for device in range(torch.cuda.device_count()))
