"""Sweeps on a private Slurm cluster, of runs that take no time."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.slurm.submission import submit
from optical_sweeps.slurm.submission_plan import SharingGroup, Submission
from optical_sweeps.sweeps.grid import Grid, GridPoint
from tests.support.slurm_cluster import Cluster

QUICK_WORKER = Path(__file__).with_name("quick_worker.py")


@dataclass(frozen=True)
class QuickSweep:
    """A sweep whose runs do what their points say: ok, fail, die, wait, or wait-once."""

    folder: Path
    python: Path
    cluster: Cluster

    def ask(self, does: Mapping[str, str]) -> None:
        """Add points to the grid, each with what its run does."""
        points = (
            GridPoint((f"sweep={self.folder}", f"run={run}", f"does={what}"), run, f"{run} {what}")
            for run, what in does.items()
        )
        Grid(self.folder, tuple(points)).save()

    def submit(self, *runs: str, shared: list[SharingGroup] | None = None, **settings) -> Submission | None:
        """Submit runs; all of them by default."""
        asked = SlurmSettings(python=str(self.python), **settings)
        return submit(self.folder, runs or list(self.states()), asked, shared or [])

    def states(self) -> dict[str, str]:
        return dict(Grid.load(self.folder).states())

    def began(self, run: str) -> list[tuple[str, ...]]:
        """Every start of the run: job, restart, rank."""
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
        """The last state of each job of this sweep, by number: COMPLETED, FAILED and so on."""
        mine = (job for job in self.cluster.completed() if job["Name"].startswith(f"{self.folder.name}."))
        return {job["JobId"]: job["JobState"] for job in mine}
