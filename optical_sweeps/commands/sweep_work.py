"""`sweep work`: execute one task of a submission: its runs, or the preparation of what they share."""

from argparse import ArgumentParser
from pathlib import Path

from optical_sweeps.commands.arguments import add_trust
from optical_sweeps.errors import UserError
from optical_sweeps.slurm.submission_plan import Submission


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", metavar="SUBMISSION", type=Path, help="folder of the submission")
    parser.add_argument("--task", type=int, metavar="K", help="index of the task's runs")
    parser.add_argument("--prepare", action="store_true", help="build what the runs share instead")
    add_trust(parser, config_dir=True)


def run(folder: Path, task: int | None, prepare: bool, config_dir: str | None, classes: list[str]) -> None:
    """Do a task's work; the exit code is 0 if all of it is done, 75 if it was interrupted, 1 otherwise."""
    from optical_sweeps.sweeps.slurm_worker import work
    from optical_sweeps.sweeps.trusted_grid import Trust

    if task is None and not prepare:
        raise UserError("sweep work: --task: no value; Slurm runs this command")
    raise SystemExit(
        work(Submission.load(folder), None if prepare else task, Trust(config_dir, tuple(classes)))
    )
