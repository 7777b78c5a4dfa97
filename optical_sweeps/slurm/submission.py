"""Submits runs of a sweep to Slurm: in packs, in job arrays, after a job that builds what they share."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.runs.prepared_note import is_prepared
from optical_sweeps.slurm import slurm_commands as slurm
from optical_sweeps.slurm.changed_settings import changed_settings
from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.slurm.submission_plan import (
    FOLDER,
    Job,
    SharingGroup,
    Submission,
    create,
    discard,
    remedy,
    short,
    submissions_of,
    submitted,
)
from optical_sweeps.slurm.submission_queue import Activity, open_runs, runs_in_queue, tasks_in_queue
from optical_sweeps.terminal_text import count_text


def submit(
    sweep: Path,
    runs: Sequence[str],
    settings: SlurmSettings,
    shared: Sequence[SharingGroup],
    *,
    started_in: Path | None = None,
    trust: Sequence[str] = (),
) -> Submission | None:
    """Submit the runs that are not in the queue already; None if there are none.

    A lock ensures that of two people who submit the same runs at once, only one does.

    Args:
        runs: in the order in which the tasks perform them.
        shared: groups of runs; what they share is built by a job before them, unless it exists.
        started_in: the folder that relative paths of the config refer to; the current one by default.
        trust: options with which the tasks accept what the grid names and what can run code.

    Raises:
        SlurmError: Slurm is not installed or refuses; the message says what was submitted before.
        UserError: the user's limit leaves no room.
    """
    sweep.mkdir(parents=True, exist_ok=True)
    with FileLock(sweep / ".submit.lock"):
        queue = list(tasks_in_queue(submissions_of(sweep)))
        for known, job, task in queue:
            _adopt(known.folder, job, task)
        earlier = submissions_of(sweep)
        queued = runs_in_queue(earlier)
        new = [run for run in runs if run not in queued]
        if len(new) < len(runs):
            wanted = set(runs)
            holding = {each[0].folder: each[0] for each in queue if wanted.intersection(open_runs(*each))}
            kept = _kept(sweep, changed_settings(holding.values(), settings))
            echo(f"{len(runs) - len(new)} of {len(runs)} runs are in the queue already{kept}")
        if not new:
            return None
        groups = _restricted(shared, new)
        prepares = not all(is_prepared(Path(group.note)) for group in groups)
        room = _room(settings, earlier, prepares)
        packs = packed(new, settings.points_per_task, room)
        longest = max(map(len, packs))
        if longest > settings.points_per_task:
            runs_in_tasks = f"{count_text(len(new), 'run')} in {count_text(len(packs), 'task')}"
            echo(f"max_submit={settings.max_submit}: {runs_in_tasks} of up to {longest}")
        submission = create(
            sweep,
            packs,
            settings,
            groups,
            prepares=prepares,
            tasks_per_array=slurm.limits().tasks_per_array,
            started_in=str((started_in or Path.cwd()).absolute()),
            trust=trust,
        )
        submission = _submit_jobs(submission)
    echo(described(submission))
    return submission


def submit_again(
    sweep: Path,
    runs: Sequence[str],
    settings: SlurmSettings | None = None,
    *,
    trust: Sequence[str] = (),
) -> Submission | None:
    """Submit runs again.

    Args:
        settings: of the user's config; None: those of the sweep's last submission, if none of them runs code.
        trust: as for `submit`.

    Raises:
        UserError: the sweep was never submitted, its jobs need settings that only the user's config has; or as
            `submit`.
    """
    earlier = submissions_of(sweep)
    if not earlier:
        raise UserError(f"{sweep}: was never submitted to Slurm; run its points here, or use sweep submit")
    last = earlier[-1]
    if settings is None and last.from_config:
        raise UserError(
            f"{last.folder}: its jobs had hydra.launcher.{last.from_config[0]}, which is never read from a "
            "sweep's folder because it runs in the jobs; name it again, such as hydra/launcher=slurm_cpu"
        )
    shared = [each for submission in earlier for each in submission.shared]
    chosen, folder = settings or last.settings, Path(last.started_in)
    return submit(sweep, runs, chosen, shared, started_in=folder, trust=trust)


def queued_runs(sweep: Path) -> dict[str, Activity]:
    """The runs of a sweep in Slurm's queue, `queued` or `running`; empty if Slurm is not installed."""
    if not (sweep / FOLDER).is_dir() or not slurm.is_here():
        return {}
    try:
        return runs_in_queue(submissions_of(sweep))
    except (UserError, OSError):
        return {}


def packed(runs: Sequence[str], size: int, most: int | None = None) -> list[tuple[str, ...]]:
    """Split runs into packs of `size`, or of more if there would be more than `most` packs.

    >>> packed("abcde", 2), packed("abcde", 1, most=2)
    ([('a', 'b'), ('c', 'd'), ('e',)], [('a', 'b', 'c'), ('d', 'e')])
    """
    if most is not None:
        size = max(size, -(-len(runs) // most))
    return [tuple(runs[start : start + size]) for start in range(0, len(runs), size)]


def described(submission: Submission) -> str:
    """One line on what was submitted, and how to see its status."""
    runs, tasks = (
        count_text(len(each), what) for each, what in ((submission.runs, "run"), (submission.packs, "task"))
    )
    arrays = " ".join(str(job.job) for job in submission.jobs if job.role == "array")
    first = [job.job for job in submission.jobs if job.role == "prepare"]
    after = f" after its preparation, job {first[0]}" if first else ""
    return (
        f"{runs} in {tasks} of job {arrays}{after}; "
        f"status: optical-sweeps sweep status {short(submission.sweep)}"
    )


def _kept(sweep: Path, changed: Sequence[str]) -> str:
    """What happens to settings that differ from those of the runs in the queue."""
    if not changed:
        return ""
    return (
        f", and keep the settings with which they were submitted, not the new {', '.join(changed)}; to change "
        f"that, optical-sweeps sweep cancel {short(sweep)} first"
    )


def _restricted(groups: Sequence[SharingGroup], runs: Sequence[str]) -> list[SharingGroup]:
    """The groups, each with those of its runs that are submitted."""
    wanted = set(runs)
    members: dict[str, dict[str, None]] = {}
    for group in groups:
        members.setdefault(group.note, {}).update(dict.fromkeys(run for run in group.runs if run in wanted))
    return [SharingGroup(note, tuple(chosen)) for note, chosen in members.items() if chosen]


def _room(settings: SlurmSettings, earlier: Sequence[Submission], prepares: bool) -> int | None:
    """The number of tasks that may be submitted; None for no limit."""
    if settings.max_submit is None:
        return None
    queued = len(list(tasks_in_queue(earlier)))
    room = settings.max_submit - queued - int(prepares)
    if room < 1:
        raise UserError(
            f"hydra.launcher.max_submit: {settings.max_submit} leaves no room: {queued} tasks of this sweep "
            f"are queued{' and its preparation takes one' if prepares else ''}; wait for them, or raise it"
        )
    return room


def _submit_jobs(submission: Submission) -> Submission:
    """Submit the jobs of a new submission one after another, and save each job's number."""
    preparation: str | None = None
    before: str | None = None
    for job in submission.jobs:
        try:
            number = _submit_job(submission, job, preparation, before)
        except slurm.SubmissionUnknown as error:
            raise _unknown(submission, job, error) from None
        except slurm.SlurmError as error:
            raise _with_submitted(submission, _with_settings(submission, job, error)) from None
        submission = submitted(submission, job, number)
        if job.role == "prepare":
            preparation = number
        else:
            before = number
    return submission


def _submit_job(submission: Submission, job: Job, preparation: str | None, before: str | None) -> str:
    settings = submission.settings
    if job.role == "prepare":
        alone = submission.settings_of(job)
        return slurm.submit(
            submission.job_name(job),
            submission.script,
            [*_job_options(submission, job, "prepare-%j"), *alone.options()],
            ["prepare"],
            settings.secrets,
        )
    cap = settings.parallelism
    options = [*_job_options(submission, job, "%A_%a"), f"--array=0-{job.count - 1}{f'%{cap}' if cap else ''}"]
    # Slurm's cap holds for one array: if there are several, each waits for the one before.
    after = [f"afterok:{preparation}"] * bool(preparation) + [f"afterany:{before}"] * bool(cap and before)
    if after:
        # Without the second option a task whose preparation failed would wait forever.
        options += [f"--dependency={','.join(after)}", "--kill-on-invalid-dep=yes"]
    return slurm.submit(
        submission.job_name(job),
        submission.script,
        [*options, *settings.options()],
        [str(job.first)],
        settings.secrets,
    )


def _job_options(submission: Submission, job: Job, log: str) -> list[str]:
    """sbatch's options of a single job; a percent sign in the folder's name is escaped."""
    logs = str(submission.folder / "logs").replace("%", "%%")
    return [
        f"--chdir={submission.started_in}",
        f"--output={logs}/{log}.log",
    ]


def _unknown(submission: Submission, job: Job, error: slurm.SlurmError) -> slurm.SlurmError:
    """The error of a job that may be queued; its submission stays, so that its runs are found by name."""
    if job.role == "prepare":  # no array waits for it
        with suppress(slurm.SlurmError):
            slurm.cancel_named(submission.job_name(job))
    return slurm.SlurmError(
        f"{error}; when Slurm answers again, give the same command: runs in the queue are not submitted twice"
    )


def _adopt(folder: Path, job: Job, task: slurm.Task) -> None:
    """Save the number of a job that Slurm accepted without an answer."""
    if job.job is None and job in (submission := Submission.load(folder)).jobs:
        submitted(submission, job, task.job)


def _with_settings(submission: Submission, job: Job, error: slurm.SlurmError) -> slurm.SlurmError:
    """A refusal, with the settings that limit where the job can run."""
    if not isinstance(error, slurm.Refused) or re.search("submit limit|option", str(error)):
        return error
    return slurm.SlurmError(
        f"{error}; requested{' for the preparation' * (job.role == 'prepare')}: "
        f"{submission.settings_of(job).placement}; {remedy(job)}"
    )


def _with_submitted(submission: Submission, error: slurm.SlurmError) -> slurm.SlurmError:
    """The error, with what was submitted before it; a preparation without an array is cancelled."""
    if "submit limit" in str(error):
        error = slurm.SlurmError(f"{error}; hydra.launcher.max_submit keeps a sweep below a limit")
    arrays = [job for job in submission.jobs if job.job and job.role == "array"]
    if arrays:
        tasks = sum(job.count for job in arrays)
        return slurm.SlurmError(
            f"{error}; {tasks} of {len(submission.packs)} tasks were submitted before it; "
            "the same command submits the others"
        )
    slurm.cancel([job.job for job in submission.jobs if job.job])
    discard(submission)
    return error
