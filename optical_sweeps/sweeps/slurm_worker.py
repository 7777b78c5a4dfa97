"""What a task of a Slurm submission does: perform its pack of runs, or prepare what the runs share."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.interruption import Interrupted, Interruption, interruptible
from optical_sweeps.limits import read_json
from optical_sweeps.runs.prepared_note import is_prepared
from optical_sweeps.runs.run import build_run
from optical_sweeps.runs.run_folder import RunFolder, write_json
from optical_sweeps.slurm.submission_plan import PREPARED, SharingGroup, Submission
from optical_sweeps.sweeps.compose import Composer
from optical_sweeps.sweeps.grid import Grid
from optical_sweeps.sweeps.hydra_app import hydra_app
from optical_sweeps.sweeps.points import run_grid_runs
from optical_sweeps.sweeps.trusted_grid import Trust
from optical_sweeps.terminal_text import count_text

_LONGER = "submit again with a longer hydra.launcher.{} (it was {})"
CLOCK_SECONDS = 5
"""By how much the clocks of the controller and of a node may differ."""


def work(submission: Submission, task: int | None, trust: Trust) -> int:
    """Do a task's work, or the preparation if the task is None; 0 if all of it is done, else 1.

    Raises:
        UserError: the submission has no such task.
        Interrupted: the process received a signal; uncaught, it ends the process with code 75.
    """
    if task is not None and not 0 <= task < len(submission.packs):
        last = len(submission.packs) - 1
        raise UserError(f"--task {task}: {submission.folder} has tasks 0 to {last}; Slurm runs this command")
    with interruptible() as interruption:
        try:
            if task is None:
                return _prepare_all(submission, trust, interruption)
            return _perform_pack(submission, task, trust, interruption)
        except Interrupted as interrupted:
            echo(f"interrupted by {interrupted.signal.name}")
            if task is None and time_is_over(interrupted):
                longer = _LONGER.format("prepare.time", submission.settings.for_preparation().time)
                echo(f"the time limit ended before all shared parts were built: {longer}")
            raise


def _perform_pack(submission: Submission, task: int, trust: Trust, interruption: Interruption) -> int:
    """Perform the runs of a pack; a run that fails, or whose worker was killed, does not stop the others.

    A run that the task has left is no longer in its queue: a run whose worker was killed is stale at once.
    """
    pack, attempt = submission.packs[task], _attempt()
    _announce(f"task {task + 1} of {len(submission.packs)}: {count_text(len(pack), 'run')}")
    grid = Grid.load(submission.sweep)
    trust.check(grid, pack)
    unfinished = [run for run in pack if not submission.is_over(run)]
    killed = [run for run in unfinished if submission.was_begun(run, attempt)]
    for run in killed:
        _leave_killed(submission, task, run, grid)
    for run in _agreed(submission, task, [run for run in unfinished if run not in killed]):
        if submission.is_cancelled(run):
            continue
        try:
            interruption.check()
            submission.begin(run, attempt)
            echo(f"-- {run} {grid.point_of[run].label}")
            perform_run(grid, run)
            if not submission.is_over(run):
                submission.leave(run, task)
        except Interrupted as interrupted:
            if interrupted.signal != signal.SIGUSR2 or not submission.is_cancelled(run):
                if time_is_over(interrupted):
                    echo(_after_time_limit(submission, run))
                raise
            interruption.received = None
            echo(f"{run}: cancelled")
    return int(any(not _needs_nothing(submission, run) for run in pack))


def time_is_over(interrupted: Interrupted) -> bool:
    """Whether Slurm ends the job at its time limit: it then kills the job, and does not requeue it."""
    end = os.environ.get("SLURM_JOB_END_TIME", "")  # of this start of the job
    return interrupted.signal == signal.SIGTERM and end.isdigit() and time.time() > int(end) - CLOCK_SECONDS


def _after_time_limit(submission: Submission, run: str) -> str:
    if any((submission.sweep / run / "checkpoints").glob("*")):
        return f"{run}: the time limit ended; its last checkpoint is kept: submit again to continue"
    longer = _LONGER.format("time", submission.settings.time)
    return f"{run}: the time limit ended before anything was saved: {longer}"


def _leave_killed(submission: Submission, task: int, run: str, grid: Grid) -> None:
    """Note that the task has left a run whose worker was killed, and print the reason, once."""
    if run in submission.left_runs(task):
        return
    submission.leave(run, task)
    code = os.environ.get("WORKER_EXIT_CODE")  # set by the batch script
    why = f"crashed with exit code {code}; it is stale now: submit again"
    if code in (None, str(128 + signal.SIGKILL)):
        why = (
            "killed, often for lack of memory; it is stale now: submit again, with a larger hydra.launcher.mem"
        )
    echo(f"-- {run} {grid.point_of[run].label}: {why}")


def perform_run(grid: Grid, run: str) -> None:
    """Perform one run of the grid; if it fails, its folder keeps the error."""
    for result in run_grid_runs(grid, [run]):
        if result.run not in ("", run):
            echo(f"{run}: its point is run {result.run} now: data, settings or code have changed")


def _needs_nothing(submission: Submission, run: str) -> bool:
    """Whether the run is done, is cancelled, or another process works on it."""
    folder = RunFolder(submission.sweep / run)
    return submission.is_cancelled(run) or folder.state() in ("done", "running")


def _prepare_all(submission: Submission, trust: Trust, interruption: Interruption) -> int:
    _announce("preparation")
    grid = Grid.load(submission.sweep)
    trust.check(grid, submission.runs)
    for group in submission.shared:
        is_needed = not all(map(submission.is_over, group.runs))  # its runs may have been cancelled
        if is_needed and not is_prepared(Path(group.note)):
            prepare_group(grid, group, interruption)
    write_json(submission.folder / PREPARED, {"job": os.environ.get("SLURM_JOB_ID")})
    return 0


def prepare_group(grid: Grid, group: SharingGroup, interruption: Interruption) -> None:
    """Build what the runs of the group share."""
    with hydra_app(grid.config, grid.config_dir) as app:
        config = Composer(app.loader, app.master)(grid.point_of[group.runs[0]].overrides)
        build_run(config).prepare(interruption)


def _agreed(submission: Submission, task: int, runs: Sequence[str]) -> Sequence[str]:
    """The open runs as the first of a task's processes sees them, so that all of them perform the same."""
    rank = os.environ.get("SLURM_PROCID")
    if rank is None or os.environ.get("SLURM_STEP_NUM_TASKS", "1") == "1":
        return runs
    path = submission.folder / "agreed" / f"{task}-{_attempt()}-{os.environ['SLURM_STEP_ID']}.json"
    if rank == "0":
        path.parent.mkdir(exist_ok=True)
        write_json(path, {"runs": list(runs)})
        return runs
    while not path.exists():  # if the first process dies, srun ends this one too
        time.sleep(0.2)
    return list(read_json(path)["runs"])


def _attempt() -> str:
    """This start of the task: its job's number, and how often the job was requeued."""
    return f"{os.environ.get('SLURM_JOB_ID')}-{os.environ.get('SLURM_RESTART_COUNT', '0')}"


def _announce(work: str) -> None:
    """Print the first line of an attempt: all attempts of a task write to one file."""
    job, restarts = os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURM_RESTART_COUNT", "0")
    where = f", Slurm job {job}, restart {restarts}, on {os.uname().nodename}" if job else ""
    echo(f"== {time.strftime('%Y-%m-%dT%H:%M:%S')} {work}{where}")
