"""Laws of resuming: nothing is lost or logged twice, wherever the run was killed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.tracking.unsent_rows import StepRows, has_nothing, server_has, unsent_metrics

STEPS = 30


def metrics_at(step: int) -> list[dict[str, float]]:
    """What a run logs at a step: training metrics and, at every fifth step, a separate validation row."""
    rows = [{"train/loss": 1 / step, "train/nan": math.nan}]
    return [*rows, {"dev/nDCG@10/ar": step / 100}] if step % 5 == 0 else rows


EVERYTHING = [(step, metrics) for step in range(1, STEPS + 1) for metrics in metrics_at(step)]


def merged(rows: list[tuple[int, dict[str, float]]]) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for step, metrics in rows:
        found.setdefault(step, {}).update(metrics)
    return found


def whole_steps(rows: list[tuple[int, dict[str, float]]]) -> int:
    """The last step of which every row was logged; a checkpoint is written after these rows."""
    logged = [step for step, _ in rows]
    return max((step for step in set(logged) if logged.count(step) == len(metrics_at(step))), default=0)


def summary_of(rows: list[tuple[int, dict[str, float]]]) -> dict[str, float]:
    return {key: value for step, metrics in rows for key, value in {**metrics, "step": step}.items()}


def continue_run(has, earlier: StepRows, checkpoint: int) -> list[tuple[int, dict[str, float]]]:
    """What the tracker sends when the run resumes from a checkpoint."""
    sent: list[tuple[int, dict[str, float]]] = []
    rest = [(step, metrics) for step, metrics in EVERYTHING if step > checkpoint]
    sent += earlier.unsent(has, below=rest[0][0]) if rest else earlier.unsent(has)
    for step, metrics in rest:
        if part := unsent_metrics(has, step, metrics):
            sent.append((step, part))
    return sent


@given(
    on_the_server=st.integers(0, len(EVERYTHING)),
    more_on_disk=st.integers(0, len(EVERYTHING)),
    checkpoint=st.integers(0, STEPS),
)
def test_a_run_resumed_online_loses_nothing_and_logs_nothing_twice(
    on_the_server: int, more_on_disk: int, checkpoint: int
) -> None:
    known = EVERYTHING[:on_the_server]
    disk = EVERYTHING[: max(on_the_server, more_on_disk)]
    checkpoint = min(checkpoint, whole_steps(disk))
    values = summary_of(known)
    has = server_has(values["step"], values) if known else has_nothing
    sent = continue_run(has, StepRows(disk), checkpoint)
    history = [*known, *sent]
    assert merged(history).keys() == merged(EVERYTHING).keys()
    for step, row in merged(EVERYTHING).items():
        assert merged(history)[step].keys() == row.keys()
    sent_once = [(step, key) for step, metrics in history for key in metrics if key != "dev/nDCG@10/ar"]
    assert len(sent_once) == len(set(sent_once))


@given(on_disk=st.integers(0, len(EVERYTHING)), checkpoint=st.integers(0, STEPS))
def test_a_run_resumed_offline_writes_only_what_is_new(on_disk: int, checkpoint: int) -> None:
    disk = EVERYTHING[:on_disk]
    checkpoint = min(checkpoint, whole_steps(disk))
    sent = continue_run(StepRows(disk).has, StepRows(disk), checkpoint)
    assert repr(sent) == repr(EVERYTHING[on_disk:])


def test_changed_values_are_sent_again() -> None:
    rows = StepRows([(3, {"loss": 1.0, "nan": math.nan})])
    assert unsent_metrics(rows.has, 3, {"loss": 2.0, "nan": math.nan, "new": 1}) == {"loss": 2.0, "new": 1}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(1, 1.0, True), (math.nan, math.nan, True), (1.0, math.nan, False), (1, 2, False)],
)
def test_equal_values_and_nan_are_not_sent_again(first: float, second: float, expected: bool) -> None:
    assert StepRows([(3, {"loss": first})]).has(3, "loss", second) is expected
