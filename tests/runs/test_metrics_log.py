"""A log without holes and doubles, however often its process is cut off."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.errors import UserError
from optical_sweeps.runs.metrics_log import RECENT_SECONDS, MetricsLog


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def rows(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_line_a_step(path):
    log = MetricsLog(path)
    log.append(1, {"train/loss": 0.1 + 0.2})
    log.append(2, {"train/loss": 0.25, "dev/nDCG@10/ar": 0.5})
    assert rows(path) == [
        {"step": 1, "train/loss": 0.1 + 0.2},
        {"step": 2, "train/loss": 0.25, "dev/nDCG@10/ar": 0.5},
    ]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.integers(0, 40))
def test_cut_back_at_any_state_it_goes_on_as_if_alone(tmp_path_factory, stretches, torn):
    """Stretches of rows, each but the last followed by rows that are lost, and by half a line."""
    folder = tmp_path_factory.mktemp("log")
    alone, cut = MetricsLog(folder / "alone"), folder / "cut"
    state = None
    step = 0
    for stretch in stretches:
        log = MetricsLog(cut)
        told = log.restore(state)
        assert told == [(row.pop("step"), row) for row in map(dict, rows(cut))] if cut.exists() else not told
        for _ in range(stretch):
            step += 1
            alone.append(step, {"loss": step / 3})
            log.append(step, {"loss": step / 3})
        state = log.state()
        log.append(step + 1, {"loss": -1.0})
        with cut.open("ab") as file:
            file.write(b'{"step": 99, "loss": 0.123456789, "more": 1}'[:torn])
    MetricsLog(cut).restore(state)
    assert cut.read_bytes() == (alone.path.read_bytes() if alone.path.exists() else b"")


def test_from_the_start_nothing_is_left(path):
    MetricsLog(path).append(1, {"loss": 1.0})
    assert MetricsLog(path).restore(None) == []
    assert path.read_bytes() == b""


def test_a_tracker_is_told_again_what_is_recent_alone(path):
    now = [0.0]
    log = MetricsLog(path, clock=lambda: now[0])
    for step in range(10):
        now[0] = step * RECENT_SECONDS / 4
        log.append(step, {"loss": float(step)})
    state = log.state()
    again = MetricsLog(path, clock=lambda: now[0])
    assert [step for step, _ in again.restore(state)] == [5, 6, 7, 8, 9]
    # cut off again at once, those rows are still recent: nobody knows what the second process's tracker kept
    assert [step for step, _ in MetricsLog(path).restore(again.state())] == [5, 6, 7, 8, 9]


def test_rows_that_a_crash_of_the_machine_took_are_missed(path):
    log = MetricsLog(path)
    assert log.reaches(log.state())
    log.append(1, {"loss": 1.0})
    state = log.state()
    assert log.reaches(state)
    path.write_bytes(path.read_bytes()[:-1])
    assert not MetricsLog(path).reaches(state)
    path.unlink()
    assert not MetricsLog(path).reaches(state)


def test_the_newest_value_of_a_metric_is_found_by_the_end_of_its_name(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.append(1, {"train/optical_plan_entropy": 0.5, "train/loss": 3.0})
    log.append(2, {"train/optical_plan_entropy": 0.4})
    log.append(3, {"train/loss": 2.0})
    assert log.last_value("plan_entropy") == 0.4
    assert log.last_value("/loss") == 2.0
    assert log.last_value("accuracy") is None


@pytest.mark.parametrize(
    "line", ['{"step": 0.25}', '{"step": true}', '{"step": 1, "a": "b"}', '{"step": 1, "a": null}', "[1]", "{}"]
)
def test_a_row_that_is_none_is_named(path, line):
    path.write_text(line + "\n")
    with pytest.raises(UserError, match="a line is not a row of metrics"):
        MetricsLog(path).last_value("a")
