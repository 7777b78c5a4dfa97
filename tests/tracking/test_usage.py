import pytest

from optical_sweeps.tracking.usage import Usage


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_speeds_are_averages_between_two_calls() -> None:
    clock = Clock()
    usage = Usage(pairs_per_step=32, clock=clock)
    assert "usage/steps_per_second" not in usage.at(10)
    clock.now += 4
    found = usage.at(30)
    assert found["usage/steps_per_second"] == pytest.approx(5.0)
    assert found["usage/pairs_per_second"] == pytest.approx(160.0)
    clock.now += 1
    assert "usage/steps_per_second" not in usage.at(30), "a second row of the same step"


def test_hours_include_every_start_and_every_gpu() -> None:
    clock = Clock()
    usage = Usage(gpus=4, clock=clock)
    usage.add(1800.0)
    clock.now += 1800
    totals = usage.totals()
    assert totals["usage/hours"] == pytest.approx(1.0)
    assert totals["usage/gpu_hours"] == pytest.approx(4.0)


def test_memory_is_the_peak_of_this_process() -> None:
    before = Usage().totals()["usage/peak_memory_gb"]
    held = bytearray(400_000_000)
    held[::4096] = b"x" * len(held[::4096])
    after = Usage().totals()["usage/peak_memory_gb"]
    assert 0.01 < before <= after < 1000
    assert after > 0.4
    assert "usage/peak_gpu_memory_gb" not in Usage().totals()
    assert Usage().totals()["usage/gpu_hours"] == 0
