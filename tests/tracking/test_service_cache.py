"""The cache of the service's runs: damage is never believed, and a write that fails stops nothing."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_sweeps.tracking.service_cache import CachedRun, ServiceCache


def cached_run(seed: int) -> CachedRun:
    return CachedRun(
        stamp=["2026", "later", "finished", 3],
        config={"seed": seed},
        summary={"test/nDCG@10/ar": 0.5},
        group="demo",
        complete=True,
        files={"per_query.parquet": "files/a/per_query.parquet"},
        history=[{"step": 1, "train/loss": 0.25}] if seed % 2 else None,
    )


RUNS = {f"run{seed}": cached_run(seed) for seed in range(10)}


def test_cached_runs_are_read_back(tmp_path: Path) -> None:
    ServiceCache(tmp_path / "kept/runs.cache").save(RUNS)
    assert ServiceCache(tmp_path / "kept/runs.cache").runs == RUNS
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["runs.cache"]


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_cache_is_never_believed(tmp_path: Path, place: int, bit: int, cut: bool) -> None:
    path = tmp_path / "runs.cache"
    path.unlink(missing_ok=True)
    ServiceCache(path).save(RUNS)
    spoilt = bytearray(path.read_bytes())
    spoilt[place % len(spoilt)] ^= 1 << bit
    path.write_bytes(spoilt[: place % len(spoilt)] if cut else spoilt)
    assert ServiceCache(path).runs in ({}, RUNS)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"nothing of the kind" * 100])
def test_other_files_count_as_an_empty_cache(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "runs.cache"
    path.write_bytes(content)
    assert ServiceCache(path).runs == {}
    ServiceCache(path).save(RUNS)
    assert ServiceCache(path).runs == RUNS
    assert [other.name for other in tmp_path.iterdir()] == ["runs.cache"]


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ServiceCache(tmp_path / "file/runs.cache").save(RUNS)


def test_the_same_runs_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("a", 1e9), ("b", 2e9)):
        monkeypatch.setattr("time.time", lambda seconds=seconds: seconds)
        ServiceCache(tmp_path / name).save(RUNS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
