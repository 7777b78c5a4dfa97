"""What a sweep or a W&B project has logged, for its dashboard."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from optical_sweeps.checks import suggestion
from optical_sweeps.console import echo, progress
from optical_sweeps.errors import UserError
from optical_sweeps.tracking.dashboards.logged_sweep import LoggedSweep, logged_sweep
from optical_sweeps.tracking.run_log import NoRuns, RunLog
from optical_sweeps.tracking.service import Selection, group_names
from optical_sweeps.tracking.sources import read_offline, read_records, read_wandb
from optical_sweeps.tracking.wandb_api import NoSuchProject


def logged_by_project(project: str, entity: str | None, group: str | None, measure: str) -> LoggedSweep:
    """Read the runs of a W&B project from W&B.

    Args:
        group: name of one sweep; None for all runs.

    Raises:
        UserError: no such project or group; see also `read_wandb`.
    """
    selection = Selection(project, entity, group, unfinished=True)
    with progress(f"reading W&B project {selection.path}") as advance, TemporaryDirectory() as cache:
        try:
            runs = read_wandb(selection, Path(cache), files=(), history=False, warn=echo, progress=advance)
        except NoSuchProject as error:
            raise UserError(f"{error}; set --project, or --entity") from error
    if group and not runs:
        known = suggestion(group, group_names(selection))
        raise UserError(f"W&B project {selection.path}: no group {group}; set --group; {known}")
    return logged_sweep(runs, project=project, entity=entity, group=group, measure=measure)


def logged_by_sweep(sweep: Path, project: str | None, entity: str | None, measure: str) -> LoggedSweep:
    """Read the runs of a sweep's folder.

    Args:
        project, entity: by default those with which the runs were logged.

    Raises:
        UserError: no run has logged anything.
    """
    runs = _runs_of(sweep)
    logged_project, logged_entity = _logged_to(runs)
    return logged_sweep(
        runs,
        project=project or logged_project,
        entity=entity or logged_entity,
        group=next((run.group for run in runs if run.group), sweep.resolve().name),
        measure=measure,
    )


def _runs_of(sweep: Path) -> Sequence[RunLog]:
    """The runs in W&B's log files, which include running ones; the records if there are no log files."""
    with progress(f"reading {sweep}"):
        for read in (read_offline, read_records):  # records if there are no log files
            with suppress(NoRuns):
                if runs := read(sweep, warn=echo, history=False):
                    return runs
    raise UserError(f"{sweep}: no run has logged anything yet; see `optical-sweeps sweep status {sweep}`")


def _logged_to(runs: Sequence[RunLog]) -> tuple[str, str | None]:
    """The project and entity of the first run that was logged to W&B."""
    for run in runs:
        logger = run.config.get("logger")
        if isinstance(logger, Mapping) and logger.get("project"):
            return logger["project"], logger.get("entity")
    return "optical-sweeps", None
