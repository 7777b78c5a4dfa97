"""One private Slurm cluster for all of these tests, and sweeps on it whose runs take no time."""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from optical_sweeps.sweeps.plan import Grid, GridPoint
from optical_sweeps.sweeps.slurm_settings import SlurmSettings
from optical_sweeps.sweeps.submission import submit
from optical_sweeps.sweeps.submission_plan import Shared, Submission

from .cluster import Cluster, private_cluster, reason_for_none

QUICK_WORKER = Path(__file__).with_name("quick_worker.py")


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


@dataclass(frozen=True)
class QuickSweep:
    """A sweep whose runs do what they are told: ok, fail, die, wait, or wait-once."""

    folder: Path
    python: Path
    cluster: Cluster

    def ask(self, does: Mapping[str, str]) -> None:
        """Add points to the grid: what each run does."""
        points = (
            GridPoint((f"sweep={self.folder}", f"run={run}", f"does={what}"), run, f"{run} {what}")
            for run, what in does.items()
        )
        Grid(self.folder, tuple(points)).save()

    def submit(self, *runs: str, shared: list[Shared] | None = None, **settings) -> Submission | None:
        """Submit runs; all of them by default."""
        asked = SlurmSettings(python=str(self.python), **settings)
        return submit(self.folder, runs or list(self.states()), asked, shared or [], say=lambda line: None)

    def states(self) -> dict[str, str]:
        return dict(Grid.load(self.folder).states())

    def began(self, run: str) -> list[tuple[str, ...]]:
        """Every beginning of the run: job, restart, rank."""
        path = self.folder / run / "began"
        return [tuple(line.split()) for line in path.read_text().splitlines()] if path.exists() else []

    def until(self, seen: Callable[["QuickSweep"], bool], seconds: float = 300) -> None:
        """Wait until `seen`."""
        end = time.monotonic() + seconds
        while not seen(self):
            queue = self.cluster.call("squeue", check=False)
            assert time.monotonic() < end, f"{self.states()}\n{queue}\n{self.logs()}"
            time.sleep(0.2)

    def until_over(self, seconds: float = 300) -> None:
        """Wait until no job of this sweep is in the queue."""
        mark = f"{self.folder.name}."
        self.until(lambda _: mark not in self.cluster.call("squeue", "--noheader", "--format=%j"), seconds)

    def logs(self) -> str:
        paths = sorted(self.folder.glob("submissions/*/logs/*"))
        return "\n".join(f"== {path.name}\n{path.read_text()}" for path in paths)

    def ends(self) -> dict[str, str]:
        """How the jobs of this sweep ended, by number: COMPLETED, FAILED and so on; the last end of each."""
        mine = (job for job in self.cluster.completed() if job["Name"].startswith(f"{self.folder.name}."))
        return {job["JobId"]: job["JobState"] for job in mine}


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
