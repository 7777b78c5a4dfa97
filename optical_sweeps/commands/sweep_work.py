"""`sweep work`: what a task of a submission does: its pack's runs, or the preparation of what they share."""

import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from optical_sweeps.commands.sweep_arguments import read
from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.interruption import Interrupted, Interruption, interruptible
from optical_sweeps.runs.run_folder import RunFolder, write_json
from optical_sweeps.slurm.submission_plan import PREPARED, Shared, Submission
from optical_sweeps.sweeps.grid import Grid


def run(arguments: list[str]) -> None:
    """Do a task's work; the exit code is 0 if all of it is done, 75 if it was interrupted, 1 otherwise."""
    given = read("sweep work", arguments, flags=("prepare",), options=("task",))
    submission = Submission.load(given.sweep())
    with interruptible() as interruption:
        try:
            if "prepare" in given.flags:
                code = _prepare(submission, interruption)
            else:
                code = _work(submission, _task(submission, given.one("task")), interruption)
        except Interrupted as interrupted:
            echo(f"interrupted by {interrupted.signal.name}")
            raise
    raise SystemExit(code)


def _work(submission: Submission, task: int, interruption: Interruption) -> int:
    """The runs of a pack, one after the other; one that fails, or had its worker killed, stops no other."""
    pack, attempt = submission.packs[task], _attempt()
    _tell(f"task {task + 1} of {len(submission.packs)}: {len(pack)} runs")
    grid = Grid.load(submission.sweep)
    left = [run for run in pack if not submission.is_over(run) and not submission.was_begun(run, attempt)]
    for run in _agreed(submission, task, left):
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
    return int(any(not _is_well(submission, run) for run in pack))


def _perform(grid: Grid, run: str) -> None:
    """Do one run of the grid; if it fails, its folder tells."""
    from optical_sweeps.sweeps.points import run_points

    point, place = [grid.point_of[run].overrides], [grid.place_of[run]]
    for result in run_points(
        point, config=grid.config, config_dir=grid.config_dir, places=place, of=len(grid.runs)
    ):
        if result.run not in ("", run):
            echo(f"{run}: its point makes run {result.run} now: data, settings or code have changed")


def _is_well(submission: Submission, run: str) -> bool:
    """Whether nothing is left to be mended: it is done, cancelled, or another process works on it."""
    folder = RunFolder(submission.sweep / run)
    return submission.is_cancelled(run) or folder.state() in ("done", "running")


def _prepare(submission: Submission, interruption: Interruption) -> int:
    """Build what the submission's runs share, unless it stands."""
    from optical_sweeps.sweeps.preparation import is_prepared

    _tell("preparation")
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


def _agreed(submission: Submission, task: int, mine: Sequence[str]) -> Sequence[str]:
    """The runs to do, as the first of a task's processes sees them; all of them do the same."""
    rank = os.environ.get("SLURM_PROCID")
    if rank is None or os.environ.get("SLURM_STEP_NUM_TASKS", "1") == "1":
        return mine
    path = submission.folder / "agreed" / f"{task}-{_attempt()}-{os.environ['SLURM_STEP_ID']}.json"
    if rank == "0":
        path.parent.mkdir(exist_ok=True)
        write_json(path, {"runs": list(mine)})
        return mine
    while not path.exists():  # should the first die, srun ends this process too
        time.sleep(0.2)
    return list(json.loads(path.read_text(encoding="utf-8"))["runs"])


def _attempt() -> str:
    """This start of the task: its job's number and how often that was requeued."""
    return f"{os.environ.get('SLURM_JOB_ID')}-{os.environ.get('SLURM_RESTART_COUNT', '0')}"


def _tell(what: str) -> None:
    """A line at the head of an attempt, since all attempts of a task write to one file."""
    job, restarts = os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURM_RESTART_COUNT", "0")
    where = f", Slurm job {job}, restart {restarts}, on {os.uname().nodename}" if job else ""
    echo(f"== {time.strftime('%Y-%m-%dT%H:%M:%S')} {what}{where}")


def _task(submission: Submission, number: str | None) -> int:
    """Which pack to do."""
    last = len(submission.packs) - 1
    if number is None or not number.isdigit() or int(number) > last:
        raise UserError(
            f"sweep work: --task {number}: {submission.folder} has tasks 0 to {last}; Slurm calls this"
        )
    return int(number)
