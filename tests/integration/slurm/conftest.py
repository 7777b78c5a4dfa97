"""One private Slurm cluster for all of these tests, and sweeps on it whose runs take no time."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.quick_sweep import QUICK_WORKER, QuickSweep
from tests.support.slurm_cluster import Cluster, private_cluster, reason_for_none


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running cluster; skipped where none can be, unless OPTICAL_SWEEPS_REQUIRE_SLURM=1 says that it must."""
    reason = reason_for_none()
    if reason and os.environ.get("OPTICAL_SWEEPS_REQUIRE_SLURM") == "1":
        pytest.fail(f"OPTICAL_SWEEPS_REQUIRE_SLURM=1, but {reason}", pytrace=False)
    if reason:
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="slurm") as folder, private_cluster(Path(folder)) as running:
        yield running


@pytest.fixture
def reachable(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster, spoken to from this process."""
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    return cluster


@pytest.fixture
def quick_sweep(reachable: Cluster, tmp_path: Path) -> Iterator[QuickSweep]:
    """An empty sweep; its name is the test's folder's, so that its jobs are told apart."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{QUICK_WORKER}" "$@"\n')
    python.chmod(0o755)
    yield QuickSweep(tmp_path / tmp_path.name, python, reachable)
    reachable.call("scancel", "--user=root")
    end = time.monotonic() + 300
    while not reachable.idle():
        assert time.monotonic() < end, reachable.call("squeue", check=False)
        time.sleep(0.1)
