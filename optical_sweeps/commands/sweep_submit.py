"""`sweep submit`: give a grid's missing runs to Slurm, and return."""

import json
from collections.abc import Sequence
from typing import Any

from optical_sweeps.commands.sweep_arguments import read
from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.slurm.submission import submit
from optical_sweeps.slurm.submission_plan import Submission
from optical_sweeps.sweeps.grid import describe


def run(arguments: list[str]) -> None:
    """Plan the grid that the overrides ask for, submit what is neither done nor queued, wait for nothing."""
    given = read("sweep submit", arguments, flags=("m", "multirun"), options=("config-dir",))
    submission = _submit(given.words, given.one("config-dir"), quiet=given.json)
    if given.json:
        echo(json.dumps(_told(submission)))


def _submit(overrides: Sequence[str], config_dir: str | None, *, quiet: bool) -> Submission | None:
    from optical_sweeps.slurm.launch import shared_by
    from optical_sweeps.sweeps.compose import Composer, hydra_composition
    from optical_sweeps.sweeps.hydra_app import hydra_app
    from optical_sweeps.sweeps.sweeper import asked_grid

    tell = (lambda line: None) if quiet else echo
    with hydra_app("train", config_dir, overrides) as app:
        settings = _settings(app.master.hydra.launcher)
        composer = Composer(hydra_composition(app.loader, app.master))
        asked = asked_grid(app.master, app.loader, list(app.master.hydra.overrides.task), composer)
        whole = asked.save()
        states = {run: state for run, state in whole.states().items() if run in asked.runs}
        tell(f"{len(asked.points):,} grid points: {describe(states)} -> {asked.folder}")
        left = [run for run, state in states.items() if state != "done"]
        if not left:
            return None
        return submit(asked.folder, left, settings, shared_by(composer, asked.points, left), echo=tell)


def _settings(launcher: Any) -> SlurmSettings:
    """Of the launcher that the config chooses."""
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(launcher, resolve=True)
    target = plain.pop("_target_")
    if not target.endswith(".SlurmLauncher"):
        raise UserError(f"sweep submit: {target} submits nothing; choose hydra/launcher=slurm_cpu or slurm_gpu")
    return SlurmSettings.from_config(plain)


def _told(submission: Submission | None) -> dict[str, Any]:
    """For programs."""
    if submission is None:
        return {"submission": None, "runs": [], "packs": [], "jobs": []}
    return {
        "submission": str(submission.folder),
        "runs": list(submission.runs),
        "packs": [list(pack) for pack in submission.packs],
        "jobs": [{"job": job.job, "role": job.role, "tasks": job.count} for job in submission.jobs],
    }
