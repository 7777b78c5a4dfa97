"""`sweep submit`: submit the missing runs of a grid to Slurm, and return."""

from collections.abc import Sequence

from optical_sweeps.commands.arguments import add_grid
from optical_sweeps.console import echo, echo_json
from optical_sweeps.slurm.submission import submit
from optical_sweeps.slurm.submission_plan import Submission
from optical_sweeps.sweeps.grid import describe
from optical_sweeps.terminal_text import count_text

add_arguments = add_grid


def run(
    overrides: Sequence[str], config_dir: str | None, config_name: str, as_json: bool, multirun: bool
) -> None:
    """Plan the grid of the overrides, and submit every run that is neither done nor queued."""
    submission = _submit(overrides, config_dir, config_name)
    if as_json:
        echo_json(_facts(submission))


def _submit(overrides: Sequence[str], config_dir: str | None, config_name: str) -> Submission | None:
    from optical_sweeps.sweeps.grid_planning import plan_grid
    from optical_sweeps.sweeps.hydra_app import hydra_app
    from optical_sweeps.sweeps.slurm_launch import slurm_settings
    from optical_sweeps.sweeps.trusted_grid import trust_of

    with hydra_app(config_name, config_dir, overrides) as app:
        settings = slurm_settings(app.master.hydra.launcher, "sweep submit")
        grid = plan_grid(app.master, app.loader, app.overrides).grid
        with grid.saved() as whole:
            states = {run: state for run, state in whole.states().items() if run in grid.runs}
            echo(f"{count_text(len(grid.points), 'grid point')}: {describe(states)} -> {grid.folder}")
            unfinished = [run for run, state in states.items() if state != "done"]
            if not unfinished:
                return None
            shared, trust = grid.sharing_groups(unfinished), trust_of(grid)
            return submit(grid.folder, unfinished, settings, shared, trust=trust.options())


def _facts(submission: Submission | None) -> dict[str, object]:
    if submission is None:
        return {"submission": None, "runs": [], "packs": [], "jobs": []}
    return {
        "submission": str(submission.folder),
        "runs": list(submission.runs),
        "packs": [list(pack) for pack in submission.packs],
        "jobs": [{"job": job.job, "role": job.role, "tasks": job.count} for job in submission.jobs],
    }
