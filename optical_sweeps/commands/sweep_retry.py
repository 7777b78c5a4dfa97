"""`sweep retry`: run failed runs again, here or in Slurm if the sweep was submitted."""

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from optical_sweeps.commands.arguments import add_sweep, add_trust
from optical_sweeps.console import echo, echo_json
from optical_sweeps.runs.failure import CAUSES
from optical_sweeps.sweeps.grid import Grid
from optical_sweeps.sweeps.retry import nothing_to_retry, retry_here, runs_to_retry
from optical_sweeps.sweeps.trusted_grid import Trust


def add_arguments(parser: ArgumentParser) -> None:
    add_sweep(parser)
    add_trust(parser, config_dir=True)
    causes = ", ".join(CAUSES)
    parser.add_argument(
        "--cause", action="append", default=[], dest="causes", help=f"{causes}; repeatable (default: all)"
    )
    parser.add_argument(
        "--run", action="append", default=[], metavar="ID", dest="runs", help="a run; repeatable"
    )
    parser.add_argument(
        "launcher", nargs="*", metavar="OVERRIDE", help="the launcher of jobs, such as hydra/launcher=slurm_cpu"
    )
    parser.add_argument(
        "--here", action="store_true", help="run in this process even if the sweep was submitted"
    )


def run(
    sweep: Path,
    causes: list[str],
    runs: list[str],
    here: bool,
    as_json: bool,
    config_dir: str | None,
    classes: list[str],
    launcher: list[str],
) -> None:
    """Run or submit failed runs again; the exit code is 1 if one fails."""
    grid = Grid.load(sweep)
    chosen = runs_to_retry(grid, causes, runs)
    trust = Trust(config_dir, tuple(classes))
    trust.check(grid, chosen)
    submits = grid.was_submitted and not here and bool(chosen)
    if submits:
        _submit(grid, chosen, trust, launcher)
    results = [] if submits else retry_here(grid, chosen)
    if as_json:
        facts = {"sweep": str(grid.folder), "runs": chosen, "submitted": submits}
        echo_json({**facts, "results": [asdict(result) for result in results]})
    elif not chosen:
        echo(nothing_to_retry(grid, causes))
    if any(result.state != "done" for result in results):
        raise SystemExit(1)


def _submit(grid: Grid, runs: Sequence[str], trust: Trust, launcher: Sequence[str]) -> None:
    from optical_sweeps.slurm.submission import submit_again
    from optical_sweeps.sweeps.hydra_app import hydra_app
    from optical_sweeps.sweeps.slurm_launch import slurm_settings

    for run in runs:
        grid.runs[run].failure_path.unlink(missing_ok=True)
    settings = None
    if launcher:
        with hydra_app(grid.config, trust.config_dir, launcher) as app:
            settings = slurm_settings(app.master.hydra.launcher, "sweep retry")
    submit_again(grid.folder, list(runs), settings, trust=trust.options())
