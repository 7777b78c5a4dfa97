"""What was asked of Slurm at one time: `<sweep>/submissions/<stamp>/` with plan.json, script.sh and logs/.

Jobs are found again by their names, which the plan fixes before they are submitted: a submission that was cut
off in the middle is known as well as any other. Task k of the array runs pack k, its runs one after the other.
"""

import json
import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import RunFolder, write_json
from optical_sweeps.slurm.slurm_settings import SlurmSettings

SCHEMA = 1
FOLDER = "submissions"
PREPARED = "prepared.json"


@dataclass(frozen=True)
class Job:
    """One call of sbatch: the preparation, or an array for packs `first` to `first + count - 1`.

    Args:
        job: its number; None until it is submitted.
    """

    job: str | None
    first: int
    count: int
    role: Literal["array", "prepare"]


@dataclass(frozen=True)
class Shared:
    """Runs that share a teacher, an index and English vectors.

    Args:
        marker: says, when it is there and whole, that those are in the artifact store.
    """

    marker: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Submission:
    """One submission.

    Args:
        folder: its own.
        settings: what it asks of Slurm.
        packs: runs by task.
        shared: the runs by what they share.
        jobs: as planned, with their numbers as far as they were submitted.
        started_in: the folder that relative paths of the config start from.
    """

    folder: Path
    settings: SlurmSettings
    packs: tuple[tuple[str, ...], ...]
    shared: tuple[Shared, ...]
    jobs: tuple[Job, ...]
    started_in: str

    @property
    def sweep(self) -> Path:
        return self.folder.parent.parent

    @property
    def script(self) -> Path:
        return self.folder / "script.sh"

    @property
    def runs(self) -> tuple[str, ...]:
        return tuple(run for pack in self.packs for run in pack)

    @property
    def preparation(self) -> Job | None:
        """The job that prepares what the runs share; None where all of it stood in the store."""
        return next((job for job in self.jobs if job.role == "prepare"), None)

    def job_name(self, job: Job) -> str:
        """Says to people which sweep it is of, and is no other job's."""
        part = "prepare" if job.role == "prepare" else str(job.first)
        return re.sub(r"[^A-Za-z0-9._-]", "_", f"{self.sweep.absolute().name}.{self.folder.name}.{part}")

    def save(self) -> None:
        plan = {
            "schema": SCHEMA,
            "launcher": self.settings.plain(),
            "started_in": self.started_in,
            "packs": [list(pack) for pack in self.packs],
            "shared": [{"marker": each.marker, "runs": list(each.runs)} for each in self.shared],
            "jobs": [asdict(job) for job in self.jobs],
        }
        write_json(self.folder / "plan.json", plan)

    @classmethod
    def load(cls, folder: Path) -> "Submission":
        """Read a submission.

        Raises:
            UserError: it has no plan, or one of another version.
        """
        path = folder / "plan.json"
        try:
            plan: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(
                f"{folder}: no plan.json, so no submission; name a folder under {FOLDER}/"
            ) from None
        except (ValueError, OSError) as error:
            raise UserError(f"{path}: cannot be read ({error}); remove {folder}") from error
        if plan.get("schema") != SCHEMA:
            raise UserError(
                f"{path}: schema {plan.get('schema')!r}, this version reads {SCHEMA}; remove {folder}"
            )
        return cls(
            folder=folder,
            settings=SlurmSettings.from_config(plan["launcher"]),
            packs=tuple(map(tuple, plan["packs"])),
            shared=tuple(Shared(each["marker"], tuple(each["runs"])) for each in plan["shared"]),
            jobs=tuple(Job(**job) for job in plan["jobs"]),
            started_in=plan["started_in"],
        )

    def failed_here(self, run: str) -> bool:
        """Whether the run failed in this submission; a failure from before it is to be tried again."""
        try:
            return RunFolder(self.sweep / run).failure_path.stat().st_mtime >= self.script.stat().st_mtime
        except FileNotFoundError:
            return False

    def is_over(self, run: str) -> bool:
        """Whether this submission has nothing more to do for the run: it is done, failed here, or cancelled."""
        return (
            RunFolder(self.sweep / run).record_path.exists() or self.failed_here(run) or self.is_cancelled(run)
        )

    def cancel_run(self, run: str) -> None:
        """Have the worker of the run's pack pass it over."""
        folder = self.folder / "cancelled"
        folder.mkdir(exist_ok=True)
        (folder / run).touch()

    def is_cancelled(self, run: str) -> bool:
        return (self.folder / "cancelled" / run).exists()

    def begin(self, run: str, attempt: str) -> None:
        """Note that an attempt at the run's pack has come to the run."""
        (self.folder / "begun").mkdir(exist_ok=True)
        (self.folder / "begun" / run).write_text(attempt)

    def was_begun(self, run: str, attempt: str) -> bool:
        """Whether this attempt came to the run before: if it is not over, its worker was killed there."""
        path = self.folder / "begun" / run
        return path.exists() and path.read_text() == attempt

    def log_of(self, job: Job, index: int | None) -> Path:
        """Where a task writes what it says."""
        name = f"prepare-{job.job}.log" if job.role == "prepare" else f"{job.job}_{index}.log"
        return self.folder / "logs" / name

    def task_of(self, run: str) -> tuple[Job, int] | None:
        """The array and the index in it that run the run."""
        for number, pack in enumerate(self.packs):
            if run in pack:
                for job in self.jobs:
                    if job.role == "array" and job.first <= number < job.first + job.count:
                        return job, number - job.first
        return None


def submissions_of(sweep: Path) -> list[Submission]:
    """All of a sweep's submissions, the oldest first."""
    plans = sorted((sweep / FOLDER).glob("*/plan.json"))
    return [Submission.load(path.parent) for path in plans]


def create(
    sweep: Path,
    packs: Sequence[Sequence[str]],
    settings: SlurmSettings,
    shared: Sequence[Shared],
    *,
    prepares: bool,
    tasks_per_array: int,
    started_in: str,
) -> Submission:
    """Write the plan of a new submission, of which nothing is submitted yet."""
    from optical_sweeps.slurm.batch_script import script_text

    # in order of time by name; the last part tells sweeps of one name in different folders apart
    stamp = f"{datetime.now():%Y%m%d-%H%M%S-%f}"
    folder = sweep.absolute() / FOLDER / f"{stamp[:-3]}-{secrets.token_hex(2)}"
    (folder / "logs").mkdir(parents=True)
    prepare = [Job(None, 0, 1, "prepare")] if prepares else []
    starts = range(0, len(packs), tasks_per_array)
    arrays = [Job(None, first, min(tasks_per_array, len(packs) - first), "array") for first in starts]
    submission = Submission(
        folder, settings, tuple(map(tuple, packs)), tuple(shared), (*prepare, *arrays), started_in
    )
    submission.script.write_text(script_text(settings, folder, max(map(len, packs))), encoding="utf-8")
    submission.save()
    return submission


def submitted(submission: Submission, job: Job, number: str) -> Submission:
    """The submission with a job's number, written down."""
    jobs = tuple(replace(each, job=number) if each == job else each for each in submission.jobs)
    changed = replace(submission, jobs=jobs)
    changed.save()
    return changed


def discard(submission: Submission) -> None:
    """Forget a submission of which nothing was submitted."""
    shutil.rmtree(submission.folder, ignore_errors=True)
