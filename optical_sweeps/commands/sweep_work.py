"""`sweep work`: execute one task of a submission: its runs, or the preparation of what they share."""

import json
import os
import signal
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.interruption import Interrupted, Interruption, interruptible
from optical_sweeps.runs.run_folder import RunFolder, write_json
from optical_sweeps.slurm.submission_plan import PREPARED, Shared, Submission
from optical_sweeps.sweeps.grid import Grid


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", metavar="SUBMISSION", type=Path, help="folder of the submission")
    parser.add_argument("--task", type=int, metavar="K", help="index of the task's runs")
    parser.add_argument("--prepare", action="store_true", help="build what the runs share instead")


def run(folder: Path, task: int | None, prepare: bool) -> None:
    """Do a task's work; the exit code is 0 if all of it is done, 75 if it was interrupted, 1 otherwise."""
    submission = Submission.load(folder)
    with interruptible() as interruption:
        try:
            if prepare:
                code = _prepare(submission, interruption)
            else:
                code = _work(submission, _checked_task(submission, task), interruption)
        except Interrupted as interrupted:
            echo(f"interrupted by {interrupted.signal.name}")
            raise
    raise SystemExit(code)


def _work(submission: Submission, task: int, interruption: Interruption) -> int:
    """Do the runs of a pack in sequence; a run that fails does not stop the others."""
    pack, attempt = submission.packs[task], _attempt()
    _echo_header(f"task {task + 1} of {len(submission.packs)}: {len(pack)} runs")
    grid = Grid.load(submission.sweep)
    left = [run for run in pack if not submission.is_over(run) and not submission.was_begun(run, attempt)]
    for run in _agreed_runs(submission, task, left):
        if submission.is_cancelled(run):
            continue
        try:
            interruption.check()
            submission.begin(run, attempt)
            echo(f"-- {run} {grid.point_of[run].label}")
            _perform(grid, run)
        except Interrupted as interrupted:
            if interrupted.signal != signal.SIGUSR2 or not submission.is_cancelled(run):
                raise
            interruption.received = None
            echo(f"{run}: cancelled")
    return int(any(not _is_settled(submission, run) for run in pack))


def _perform(grid: Grid, run: str) -> None:
    """Do one run of the grid; a failure is recorded in its folder."""
    from optical_sweeps.sweeps.points import run_points

    point, place = [grid.point_of[run].overrides], [grid.place_of[run]]
    for result in run_points(
        point, config=grid.config, config_dir=grid.config_dir, places=place, of=len(grid.runs)
    ):
        if result.run not in ("", run):
            echo(f"{run} is now run {result.run}: data, settings or code have changed since it was submitted")


def _is_settled(submission: Submission, run: str) -> bool:
    """Whether the run is done, cancelled, or running in another process."""
    folder = RunFolder(submission.sweep / run)
    return submission.is_cancelled(run) or folder.state() in ("done", "running")


def _prepare(submission: Submission, interruption: Interruption) -> int:
    """Build what the submission's runs share, unless it exists."""
    from optical_sweeps.sweeps.preparation import is_prepared

    _echo_header("preparation")
    grid = Grid.load(submission.sweep)
    for each in submission.shared:
        if not is_prepared(Path(each.marker)):
            _build(grid, each, interruption)
    write_json(submission.folder / PREPARED, {"job": os.environ.get("SLURM_JOB_ID")})
    return 0


def _build(grid: Grid, shared: Shared, interruption: Interruption) -> None:
    from optical_sweeps.runs.shared.prepare import prepare
    from optical_sweeps.runs.spec.run_spec import RunSpec
    from optical_sweeps.sweeps.compose import Composer, hydra_composition, plain
    from optical_sweeps.sweeps.hydra_app import hydra_app

    with hydra_app(grid.config, grid.config_dir) as app:
        composer = Composer(hydra_composition(app.loader, app.master))
        spec = RunSpec.from_plain(plain(composer(grid.point_of[shared.runs[0]].overrides)))
    spec.machine.prepare()
    prepare(spec, interruption)


def _agreed_runs(submission: Submission, task: int, mine: Sequence[str]) -> Sequence[str]:
    """The runs to do as rank 0 of the task sees them, so that all ranks do the same runs."""
    rank = os.environ.get("SLURM_PROCID")
    if rank is None or os.environ.get("SLURM_STEP_NUM_TASKS", "1") == "1":
        return mine
    path = submission.folder / "agreed" / f"{task}-{_attempt()}-{os.environ['SLURM_STEP_ID']}.json"
    if rank == "0":
        path.parent.mkdir(exist_ok=True)
        write_json(path, {"runs": list(mine)})
        return mine
    while not path.exists():  # if rank 0 dies, srun ends this process too
        time.sleep(0.2)
    return list(json.loads(path.read_text(encoding="utf-8"))["runs"])


def _attempt() -> str:
    """This start of the task: the job's id and its number of requeues."""
    return f"{os.environ.get('SLURM_JOB_ID')}-{os.environ.get('SLURM_RESTART_COUNT', '0')}"


def _echo_header(title: str) -> None:
    """Print a line at the start of an attempt, because all attempts of a task write to one file."""
    job, restarts = os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURM_RESTART_COUNT", "0")
    where = f", Slurm job {job}, restart {restarts}, on {os.uname().nodename}" if job else ""
    echo(f"== {time.strftime('%Y-%m-%dT%H:%M:%S')} {title}{where}")


def _checked_task(submission: Submission, task: int | None) -> int:
    """`task`, which is the index of one of the submission's packs."""
    last = len(submission.packs) - 1
    if task is None or not 0 <= task <= last:
        raise UserError(f"sweep work: --task {task}: {submission.folder} has tasks 0 to {last}")
    return task
