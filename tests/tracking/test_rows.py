"""What of a history W&B has: laws of resuming, whatever was lost and wherever the run goes on."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.tracking.rows import Rows, new_part, nothing, on_server, same

STEPS = 30


def metrics_at(step: int) -> list[dict[str, float]]:
    """What a run logs at a step: training, and every fifth step a validation in a row of its own."""
    rows = [{"train/loss": 1 / step, "train/nan": math.nan}]
    return [*rows, {"dev/nDCG@10/ar": step / 100}] if step % 5 == 0 else rows


EVERYTHING = [(step, metrics) for step in range(1, STEPS + 1) for metrics in metrics_at(step)]


def merged(rows: list[tuple[int, dict[str, float]]]) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for step, metrics in rows:
        found.setdefault(step, {}).update(metrics)
    return found


def whole_steps(rows: list[tuple[int, dict[str, float]]]) -> int:
    """The last step all of whose rows are there; a checkpoint is written behind them."""
    logged = [step for step, _ in rows]
    return max((step for step in set(logged) if logged.count(step) == len(metrics_at(step))), default=0)


def summary_of(rows: list[tuple[int, dict[str, float]]]) -> dict[str, float]:
    return {key: value for step, metrics in rows for key, value in {**metrics, "step": step}.items()}


def continue_run(has, earlier: Rows, checkpoint: int) -> list[tuple[int, dict[str, float]]]:
    """What is sent when the run goes on behind a checkpoint, as the tracker does it."""
    sent: list[tuple[int, dict[str, float]]] = []
    rest = [(step, metrics) for step, metrics in EVERYTHING if step > checkpoint]
    sent += earlier.missing(has, below=rest[0][0]) if rest else earlier.missing(has)
    for step, metrics in rest:
        if part := new_part(has, step, metrics):
            sent.append((step, part))
    return sent


@given(
    on_the_server=st.integers(0, len(EVERYTHING)),
    more_on_disk=st.integers(0, len(EVERYTHING)),
    checkpoint=st.integers(0, STEPS),
)
def test_a_run_that_goes_on_online_loses_nothing_and_says_nothing_twice(
    on_the_server: int, more_on_disk: int, checkpoint: int
) -> None:
    known = EVERYTHING[:on_the_server]
    disk = EVERYTHING[: max(on_the_server, more_on_disk)]
    checkpoint = min(checkpoint, whole_steps(disk))
    values = summary_of(known)
    has = on_server(values["step"], values) if known else nothing
    sent = continue_run(has, Rows(disk), checkpoint)
    history = [*known, *sent]
    assert merged(history).keys() == merged(EVERYTHING).keys()
    for step, row in merged(EVERYTHING).items():
        assert merged(history)[step].keys() == row.keys()
    said = [(step, key) for step, metrics in history for key in metrics if key != "dev/nDCG@10/ar"]
    assert len(said) == len(set(said))


@given(on_disk=st.integers(0, len(EVERYTHING)), checkpoint=st.integers(0, STEPS))
def test_a_run_that_goes_on_offline_writes_what_is_new(on_disk: int, checkpoint: int) -> None:
    disk = EVERYTHING[:on_disk]
    checkpoint = min(checkpoint, whole_steps(disk))
    sent = continue_run(Rows(disk).holds, Rows(disk), checkpoint)
    assert repr(sent) == repr(EVERYTHING[on_disk:])


def test_values_that_differ_are_told_again() -> None:
    rows = Rows([(3, {"loss": 1.0, "nan": math.nan})])
    assert new_part(rows.holds, 3, {"loss": 2.0, "nan": math.nan, "new": 1}) == {"loss": 2.0, "new": 1}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(1, 1.0, True), (math.nan, math.nan, True), (1.0, math.nan, False), (1, 2, False)],
)
def test_same(first: float, second: float, expected: bool) -> None:
    assert same(first, second) is expected
