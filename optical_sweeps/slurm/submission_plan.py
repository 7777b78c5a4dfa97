"""One submission to Slurm: `<sweep>/submissions/<stamp>/` with plan.json, script.sh and logs/.

The plan fixes the names of the jobs before anything is submitted, and the queue is searched by these names, so
a submission that was interrupted halfway is found too. Task k of the array performs pack k, run after run.
"""

import itertools
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from optical_sweeps.errors import UserError, first_line
from optical_sweeps.limits import read_json
from optical_sweeps.runs.run_folder import RunFolder, check_run_id, write_json, write_text
from optical_sweeps.slurm.batch_script import script_text
from optical_sweeps.slurm.slurm_settings import RUNS_CODE, SlurmSettings

SCHEMA = 3
FOLDER = "submissions"
PREPARED = "prepared.json"


@dataclass(frozen=True)
class Job:
    """One call of sbatch: the preparation, or an array for packs `first` to `first + count - 1`.

    Args:
        job: its number; None before it is submitted.
    """

    job: str | None
    first: int
    count: int
    role: Literal["array", "prepare"]


@dataclass(frozen=True)
class SharingGroup:
    """Runs that share parts which are built once.

    Args:
        note: the path of the note that says that the shared parts are built.
    """

    note: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Submission:
    """One submission.

    Args:
        folder: `<sweep>/submissions/<stamp>`.
        packs: the runs of each task.
        shared: the runs grouped by what they share.
        jobs: as planned; those that were submitted have numbers.
        started_in: the folder that relative paths of the config refer to.
        from_config: settings that only the user's config had, since they decide what runs in the jobs.
    """

    folder: Path
    settings: SlurmSettings
    packs: tuple[tuple[str, ...], ...]
    shared: tuple[SharingGroup, ...]
    jobs: tuple[Job, ...]
    started_in: str
    from_config: tuple[str, ...] = ()

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
        """The job that builds what the runs share; None if all of it existed."""
        return next((job for job in self.jobs if job.role == "prepare"), None)

    def settings_of(self, job: Job) -> SlurmSettings:
        """The settings of a job; some settings of the preparation differ."""
        return self.settings.for_preparation() if job.role == "prepare" else self.settings

    def job_name(self, job: Job) -> str:
        """A unique name that shows the sweep."""
        part = "prepare" if job.role == "prepare" else str(job.first)
        return re.sub(r"[^A-Za-z0-9._-]", "_", f"{self.sweep.absolute().name}.{self.folder.name}.{part}")

    def save(self) -> None:
        """Write plan.json."""
        plan = {
            "schema": SCHEMA,
            "launcher": self.settings.resources(),
            "from_config": self.from_config,
            "started_in": self.started_in,
            "packs": [list(pack) for pack in self.packs],
            "shared": [asdict(group) for group in self.shared],
            "jobs": [asdict(job) for job in self.jobs],
        }
        write_json(self.folder / "plan.json", plan)

    @classmethod
    def load(cls, folder: Path) -> "Submission":
        """Read a submission.

        Raises:
            UserError: the folder has no plan, or one of another version.
        """
        path = folder / "plan.json"
        try:
            plan = read_json(path)
        except FileNotFoundError:
            raise UserError(
                f"{folder}: no plan.json, so no submission; name a folder under {FOLDER}/"
            ) from None
        except (ValueError, OSError) as error:
            raise UserError(f"{path}: cannot be read ({error}); remove {folder}") from error
        schema = plan.get("schema") if isinstance(plan, dict) else None
        if schema != SCHEMA:
            raise UserError(f"{path}: schema {schema!r}, this version reads {SCHEMA}; remove {folder}")
        try:
            return cls._from_plan(folder, plan)
        except (UserError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"{path}: not the plan of a submission ({first_line(error)}); remove {folder}"
            ) from error

    @classmethod
    def _from_plan(cls, folder: Path, plan: Mapping[str, Any]) -> "Submission":
        if code := [name for name in RUNS_CODE if name in plan["launcher"]]:
            raise ValueError(f"a plan has no {code[0]}")
        packs = tuple(tuple(map(str, pack)) for pack in plan["packs"])
        for run in itertools.chain.from_iterable(packs):
            check_run_id(run)
        return cls(
            folder=folder,
            settings=SlurmSettings(**plan["launcher"]),
            packs=packs,
            shared=tuple(SharingGroup(str(each["note"]), tuple(each["runs"])) for each in plan["shared"]),
            jobs=tuple(_job(job) for job in plan["jobs"]),
            started_in=str(plan["started_in"]),
            from_config=tuple(map(str, plan["from_config"])),
        )

    def failed_here(self, run: str) -> bool:
        """Whether the run failed in this submission; a run that failed before it is tried again."""
        try:
            return RunFolder(self.sweep / run).failure_path.stat().st_mtime >= self.script.stat().st_mtime
        except FileNotFoundError:
            return False

    def is_over(self, run: str) -> bool:
        """Whether the run is done, failed in this submission, or cancelled."""
        return (
            RunFolder(self.sweep / run).record_path.exists() or self.failed_here(run) or self.is_cancelled(run)
        )

    def cancel_run(self, run: str) -> None:
        """Make the worker of the run's pack skip it."""
        folder = self.folder / "cancelled"
        folder.mkdir(exist_ok=True)
        (folder / run).touch()

    def is_cancelled(self, run: str) -> bool:
        """Whether `cancel_run` was called for the run."""
        return (self.folder / "cancelled" / run).exists()

    def begin(self, run: str, attempt: str) -> None:
        """Note that an attempt at the run's pack has reached the run."""
        (self.folder / "begun").mkdir(exist_ok=True)
        (self.folder / "begun" / run).write_text(attempt, encoding="utf-8")

    def was_begun(self, run: str, attempt: str) -> bool:
        """Whether this attempt reached the run before: if it is not over, its worker was killed in it."""
        path = self.folder / "begun" / run
        return path.exists() and path.read_text(encoding="utf-8") == attempt

    def leave(self, run: str, pack: int) -> None:
        """Note that the task of this pack has left a run that is neither done nor failed.

        Its worker was killed, or its point is another run now.

        The batch script removes these notes whenever Slurm starts the task.
        """
        folder = self.folder / "left" / str(pack)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / run).touch()

    def left_runs(self, pack: int) -> frozenset[str]:
        """The runs for which `leave` was called since Slurm started the task of this pack."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return frozenset(path.name for path in (self.folder / "left" / str(pack)).iterdir())
        return frozenset()

    def log_of(self, job: Job, index: int | None) -> Path:
        """The log file of a task."""
        name = f"prepare-{job.job}.log" if job.role == "prepare" else f"{job.job}_{index}.log"
        return self.folder / "logs" / name

    def task_of(self, run: str) -> tuple[Job, int] | None:
        """The job array that performs the run, and the index of its task."""
        for number, pack in enumerate(self.packs):
            if run in pack:
                for job in self.jobs:
                    if job.role == "array" and job.first <= number < job.first + job.count:
                        return job, number - job.first
        return None


def _job(content: Mapping[str, Any]) -> Job:
    """A job of a plan; its number is passed to Slurm's commands."""
    job = Job(**content)
    if job.role not in ("array", "prepare") or not (job.job is None or re.fullmatch(r"[0-9]+", job.job)):
        raise ValueError(f"{content!r} is not a job")
    return job


def remedy(job: Job) -> str:
    """How to find and set settings with which Slurm can start the job."""
    section = "++hydra.launcher.prepare" if job.role == "prepare" else "hydra.launcher"
    return f"compare with `sinfo -o '%P %l %c %m %G'`, and change {section}.KEY=..."


def short(path: Path) -> Path:
    """The path as the user types it: relative to the current folder, if it is in it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def submissions_of(sweep: Path) -> list[Submission]:
    """All submissions of a sweep, oldest first."""
    plans = sorted((sweep / FOLDER).glob("*/plan.json"))
    return [Submission.load(path.parent) for path in plans]


def create(
    sweep: Path,
    packs: Sequence[Sequence[str]],
    settings: SlurmSettings,
    shared: Sequence[SharingGroup],
    *,
    prepares: bool,
    tasks_per_array: int,
    started_in: str,
    trust: Sequence[str] = (),
) -> Submission:
    """Write the plan of a new submission; nothing is submitted yet."""
    # the name sorts by time; its random part distinguishes sweeps of one name in different folders
    stamp = f"{datetime.now():%Y%m%d-%H%M%S-%f}"
    folder = sweep.absolute() / FOLDER / f"{stamp[:-3]}-{secrets.token_hex(2)}"
    (folder / "logs").mkdir(parents=True)
    prepare = [Job(None, 0, 1, "prepare")] if prepares else []
    starts = range(0, len(packs), tasks_per_array)
    arrays = [Job(None, first, min(tasks_per_array, len(packs) - first), "array") for first in starts]
    submission = Submission(
        folder,
        settings,
        tuple(map(tuple, packs)),
        tuple(shared),
        (*prepare, *arrays),
        started_in,
        tuple(settings.code_settings),
    )
    # the script contains the environment of the jobs, which other users must not read
    write_text(submission.script, script_text(settings, folder, max(map(len, packs)), trust), mode=0o600)
    submission.save()
    return submission


def submitted(submission: Submission, job: Job, number: str) -> Submission:
    """The submission with a job's number, after it was saved."""
    jobs = tuple(replace(each, job=number) if each == job else each for each in submission.jobs)
    changed = replace(submission, jobs=jobs)
    changed.save()
    return changed


def discard(submission: Submission) -> None:
    """Remove a submission of which nothing was submitted."""
    shutil.rmtree(submission.folder, ignore_errors=True)
