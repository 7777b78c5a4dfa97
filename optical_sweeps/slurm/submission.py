"""A sweep's runs on Slurm: submitted in packs and chunks, after their preparation; known while they wait."""

from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.slurm import slurm_commands as slurm
from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.slurm.submission_plan import (
    FOLDER,
    Job,
    Shared,
    Submission,
    create,
    discard,
    submissions_of,
    submitted,
)
from optical_sweeps.slurm.submission_queue import Activity, runs_in_queue, tasks_in_queue
from optical_sweeps.sweeps.preparation import is_prepared

Say = Callable[[str], None]


def submit(
    sweep: Path,
    runs: Sequence[str],
    settings: SlurmSettings,
    shared: Sequence[Shared],
    *,
    started_in: Path | None = None,
    echo: Say = echo,
) -> Submission | None:
    """Submit those of the runs that are not in the queue already; None where that leaves none.

    Under a lock: of two people who submit the same runs at once, one does.

    Args:
        runs: as the tasks shall take them, in order.
        shared: what the runs share; what of it is not in the store is prepared by a job of its own.
        started_in: the folder that relative paths of the config start from; this one by default.

    Raises:
        SlurmError: Slurm is not here or refuses; says what was submitted before it did.
        UserError: the user's limit leaves no room.
    """
    sweep.mkdir(parents=True, exist_ok=True)
    with FileLock(sweep / ".submit.lock"):
        earlier = submissions_of(sweep)
        queued = runs_in_queue(earlier)
        left = [run for run in runs if run not in queued]
        if len(left) < len(runs):
            echo(f"{len(runs) - len(left)} of {len(runs)} runs are in the queue already")
        if not left:
            return None
        members = _members(shared, left)
        prepares = not all(is_prepared(Path(each.marker)) for each in members)
        room = _room(settings, earlier, prepares)
        packs = packed(left, settings.points_per_task, room)
        longest = max(map(len, packs))
        if longest > settings.points_per_task:
            echo(f"max_submit={settings.max_submit}: {len(left)} runs in {len(packs)} tasks of up to {longest}")
        submission = create(
            sweep,
            packs,
            settings,
            members,
            prepares=prepares,
            tasks_per_array=slurm.limits().tasks_per_array,
            started_in=str((started_in or Path.cwd()).absolute()),
        )
        submission = _submit_jobs(submission)
    echo(described(submission))
    return submission


def submit_again(sweep: Path, runs: Sequence[str], *, echo: Say = echo) -> Submission | None:
    """Submit runs as they were submitted last, with the same settings.

    Raises:
        UserError: the sweep was never submitted; or as `submit`.
    """
    earlier = submissions_of(sweep)
    if not earlier:
        raise UserError(f"{sweep}: was never submitted to Slurm; run its points here, or use sweep submit")
    last = earlier[-1]
    shared = [each for submission in earlier for each in submission.shared]
    return submit(sweep, runs, last.settings, shared, started_in=Path(last.started_in), echo=echo)


def queued_runs(sweep: Path) -> dict[str, Activity]:
    """What Slurm has still to do of a sweep: run to `queued` or `running`; empty where there is no Slurm."""
    if not (sweep / FOLDER).is_dir() or not slurm.is_here():
        return {}
    try:
        return runs_in_queue(submissions_of(sweep))
    except (UserError, OSError):
        return {}


def packed(runs: Sequence[str], size: int, most: int | None = None) -> list[tuple[str, ...]]:
    """Stretches of `size` runs; longer ones where more than `most` tasks would be needed.

    >>> packed("abcde", 2), packed("abcde", 1, most=2)
    ([('a', 'b'), ('c', 'd'), ('e',)], [('a', 'b', 'c'), ('d', 'e')])
    """
    if most is not None:
        size = max(size, -(-len(runs) // most))
    return [tuple(runs[start : start + size]) for start in range(0, len(runs), size)]


def described(submission: Submission) -> str:
    """One line on what was submitted, and how to look at it."""
    runs, tasks = (
        _count(len(each), what) for each, what in ((submission.runs, "run"), (submission.packs, "task"))
    )
    arrays = " ".join(str(job.job) for job in submission.jobs if job.role == "array")
    first = [job.job for job in submission.jobs if job.role == "prepare"]
    after = f" after its preparation, job {first[0]}" if first else ""
    return (
        f"{runs} in {tasks} of job {arrays}{after}; "
        f"look: optical-sweeps sweep status {_short(submission.sweep)}"
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _members(shared: Sequence[Shared], runs: Sequence[str]) -> list[Shared]:
    """What is shared by any of the runs, with those of them that share it."""
    asked = set(runs)
    found: dict[str, dict[str, None]] = {}
    for each in shared:
        found.setdefault(each.marker, {}).update(dict.fromkeys(run for run in each.runs if run in asked))
    return [Shared(marker, tuple(members)) for marker, members in found.items() if members]


def _room(settings: SlurmSettings, earlier: Sequence[Submission], prepares: bool) -> int | None:
    """How many tasks may be submitted; None for any number."""
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
    """Submit the jobs of a new submission one after the other, writing each down."""
    preparation: str | None = None
    before: str | None = None
    for job in submission.jobs:
        try:
            number = _submit_job(submission, job, preparation, before)
        except slurm.SlurmError as error:
            raise _told(submission, error) from None
        submission = submitted(submission, job, number)
        if job.role == "prepare":
            preparation = number
        else:
            before = number
    return submission


def _submit_job(submission: Submission, job: Job, preparation: str | None, before: str | None) -> str:
    settings = submission.settings
    if job.role == "prepare":
        alone = settings.for_preparation()
        return slurm.submit(
            submission.script, [*_own(submission, job, "prepare-%j"), *alone.options()], ["prepare"]
        )
    cap = settings.parallelism
    options = [*_own(submission, job, "%A_%a"), f"--array=0-{job.count - 1}{f'%{cap}' if cap else ''}"]
    # The cap is of one array: where there are several, each waits for the one before.
    after = [f"afterok:{preparation}"] * bool(preparation) + [f"afterany:{before}"] * bool(cap and before)
    if after:
        # Without the second a task whose preparation failed would wait for ever.
        options += [f"--dependency={','.join(after)}", "--kill-on-invalid-dep=yes"]
    return slurm.submit(submission.script, [*options, *settings.options()], [str(job.first)])


def _own(submission: Submission, job: Job, log: str) -> list[str]:
    """Options that belong to one job; a percent sign in the folder's name is no pattern."""
    logs = str(submission.folder / "logs").replace("%", "%%")
    return [
        f"--job-name={submission.job_name(job)}",
        f"--chdir={submission.started_in}",
        f"--output={logs}/{log}.log",
    ]


def _told(submission: Submission, error: slurm.SlurmError) -> slurm.SlurmError:
    """The error, with what had been submitted before; a preparation that nothing waits for is taken back."""
    if "submit limit" in str(error):
        error = slurm.SlurmError(f"{error}; hydra.launcher.max_submit keeps a sweep below a limit")
    arrays = [job for job in submission.jobs if job.job and job.role == "array"]
    if arrays:
        tasks = sum(job.count for job in arrays)
        return slurm.SlurmError(
            f"{error}; {tasks} of {len(submission.packs)} tasks were submitted before, "
            "the same command submits the others"
        )
    slurm.cancel([job.job for job in submission.jobs if job.job])
    discard(submission)
    return error
