"""Incremental reading of log files: nothing is read twice, nothing stale is given, no damage is believed."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_sweeps.tracking import offline
from optical_sweeps.tracking.cache import Kept, LogCache
from optical_sweeps.tracking.offline import read_offline
from optical_sweeps.tracking.run_log import RunLog
from tests.support.wandb_logs import row, run_record, write_log


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the logs that were opened."""
    opened: list[str] = []
    read = offline.read_fragment

    def counted(path: Path, *, history: bool = True):
        opened.append(path.stem)
        return read(path, history=history)

    monkeypatch.setattr(offline, "read_fragment", counted)
    return opened


def write_run(folder: Path, run_id: str, steps: int = 3, place: str = "w") -> Path:
    rows = [row(step + 2, step=step, loss=step / 10) for step in range(steps)]
    return write_log(folder / run_id / place, [run_record(run_id, seed=1), *rows], run_id)


def read(folder: Path, history: bool = True) -> list[RunLog]:
    return read_offline(folder, cache=folder / ".cache/logs.cache", history=history)


def test_the_second_call_reads_what_is_new_alone(tmp_path: Path, reads: list[str]) -> None:
    for name in ("a", "b"):
        write_run(tmp_path, name)
    first = read(tmp_path)
    assert sorted(reads) == ["run-a", "run-b"]
    reads.clear()
    assert read(tmp_path) == first
    assert reads == []
    write_run(tmp_path, "c")
    write_run(tmp_path, "b", steps=5, place="second")
    runs = read(tmp_path)
    assert sorted(reads) == ["run-b", "run-c"]
    assert [len(run.history) for run in runs] == [3, 5, 3]
    reads.clear()
    shutil.rmtree(tmp_path / "a")
    assert [run.id for run in read(tmp_path)] == ["b", "c"]
    assert reads == []


def test_a_log_that_grew_is_read_again(tmp_path: Path, reads: list[str]) -> None:
    path = write_run(tmp_path, "a")
    read(tmp_path)
    grown = write_run(tmp_path / "elsewhere", "a", steps=4).read_bytes()
    with path.open("ab") as log:
        log.write(grown[path.stat().st_size :])
    shutil.rmtree(tmp_path / "elsewhere")
    (run,) = read(tmp_path)
    assert [row["step"] for row in run.history] == [0, 1, 2, 3]
    assert reads == ["run-a", "run-a"]


def test_history_is_read_when_it_is_asked_for(tmp_path: Path, reads: list[str]) -> None:
    write_run(tmp_path, "a")
    (without,) = read(tmp_path, history=False)
    assert without.history == []
    assert without.summary == {"loss": 0.2}
    (whole,) = read(tmp_path)
    assert len(whole.history) == 3
    assert whole.summary == without.summary
    reads.clear()
    assert read(tmp_path, history=False) == [without]
    assert reads == []


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_cache_is_never_believed(tmp_path: Path, place: int, bit: int, cut: bool) -> None:
    if not (tmp_path / "a").exists():
        write_run(tmp_path, "a")
    path = tmp_path / ".cache/logs.cache"
    path.unlink(missing_ok=True)
    expected = read(tmp_path)
    spoilt = bytearray(path.read_bytes())
    spoilt[place % len(spoilt)] ^= 1 << bit
    path.write_bytes(spoilt[: place % len(spoilt)] if cut else spoilt)
    assert read(tmp_path) == expected


@pytest.mark.parametrize("content", [b"", b"PAR1", b"nothing of the kind" * 100])
def test_other_files_count_as_an_empty_cache(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "logs.cache"
    path.write_bytes(content)
    assert LogCache(path).get("a", "1", False) is None
    cache = LogCache(path)
    cache.put("a", Kept("1", "{}", None))
    cache.save()
    assert LogCache(path).get("a", "1", False) == Kept("1", "{}", None)
    assert [other.name for other in tmp_path.iterdir()] == ["logs.cache"]


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = LogCache(tmp_path / "file/logs.cache")
    cache.put("a", Kept("1", "{}", None))
    cache.save()
    assert cache.get("a", "1", False) is not None


def test_helping_processes_read_the_same(tmp_path: Path) -> None:
    for number in range(6):
        write_run(tmp_path, f"r{number}")
    (tmp_path / "x").mkdir()
    (tmp_path / "x/run-x.wandb").write_bytes(b"PK\x03\x04 something else")
    warnings: list[str] = []
    assert read_offline(tmp_path, workers=2, warn=warnings.append) == read_offline(tmp_path, workers=1)
    assert len(warnings) == 1
