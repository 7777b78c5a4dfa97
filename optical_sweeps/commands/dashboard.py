"""`dashboard`: a sweep's W&B workspace and report, made from what its runs logged."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from optical_sweeps.commands.sweep_arguments import Arguments, read
from optical_sweeps.console import echo, progress
from optical_sweeps.errors import UserError
from optical_sweeps.tracking.dashboards.logged_sweep import LoggedSweep, logged_sweep
from optical_sweeps.tracking.run_log import RunLog
from optical_sweeps.tracking.service import Selection
from optical_sweeps.tracking.sources import read_offline, read_records, read_wandb

HELP = """\
optical-sweeps dashboard SWEEP [project=...] [entity=...] [--measure nDCG@10] [--dry-run] [--json]
optical-sweeps dashboard project=... [entity=...] [group=...] [--measure nDCG@10] [--dry-run] [--json]

A W&B workspace and a W&B report of a sweep: curves by objective, languages, parallel coordinates, the transport
plan, throughput and memory, the table of runs. The first form reads what to show from the sweep's folder, the
second from W&B. Saved again, they are written anew: there is one of each.
  project= entity=   where the runs are; of a sweep's folder, what its runs were logged with
  group=             one sweep of a project; without it all of them
  --measure NAME     the measure that is shown
  --dry-run          print what would be saved; of a sweep's folder this needs no network and no key"""
PLACES = ("project", "entity", "group")


@dataclass(frozen=True)
class Asked:
    """What the words name: a folder, or a project."""

    sweep: Path | None
    places: Mapping[str, str]
    measure: str


def run(arguments: list[str]) -> None:
    """Make workspace and report, and say where they are."""
    if {"-h", "--help"} & set(arguments):
        echo(HELP)
        return
    given = read("dashboard", arguments, flags=("dry-run",), options=("measure",))
    logged = _logged(_asked(given))
    if "dry-run" in given.flags:
        from optical_sweeps.tracking.dashboards.views import specifications

        echo(json.dumps(specifications(logged), indent=1, sort_keys=True))
        return
    from optical_sweeps.tracking.dashboards.saving import save

    with progress("dashboard"):
        saved = save(logged)
    if given.json:
        echo(json.dumps({"workspace": saved.workspace, "report": saved.report, "renewed": saved.replaced}))
        return
    echo("renewed" if saved.replaced else "made")
    echo(f"  workspace: {saved.workspace}")
    echo(f"  report:    {saved.report}")


def _asked(given: Arguments) -> Asked:
    """Sort the words.

    Raises:
        UserError: neither a folder nor a project, several folders, or an unknown key.
    """
    places: dict[str, str] = {}
    folders: list[str] = []
    for word in given.words:
        key, equals, value = word.partition("=")
        if not equals or Path(word).is_dir():
            folders.append(word)
        elif key not in PLACES or not value:
            raise UserError(f"dashboard: {word} is none of {' '.join(f'{place}=...' for place in PLACES)}")
        else:
            places[key] = value
    if len(folders) > 1 or not (folders or "project" in places):
        raise UserError(
            "dashboard: name one sweep folder or a project, for example: optical-sweeps dashboard multirun/demo"
        )
    if folders and "group" in places:
        raise UserError("dashboard: group= goes with project= alone; a sweep's folder names its group")
    return Asked(Path(folders[0]) if folders else None, places, given.one("measure") or "nDCG@10")


def _logged(asked: Asked) -> LoggedSweep:
    if asked.sweep is None:
        selection = Selection(
            asked.places["project"], asked.places.get("entity"), asked.places.get("group"), unfinished=True
        )
        with progress(f"reading W&B project {selection.path}") as advance, TemporaryDirectory() as kept:
            runs = read_wandb(selection, Path(kept), files=(), history=False, warn=echo, progress=advance)
        where: Mapping[str, str | None] = asked.places
    else:
        runs = _runs_of(asked.sweep)
        group = next((run.group for run in runs if run.group), asked.sweep.resolve().name)
        where = {**_logged_to(runs), "group": group, **asked.places}
    return logged_sweep(
        runs,
        project=where["project"] or "",
        entity=where.get("entity"),
        group=where.get("group"),
        measure=asked.measure,
    )


def _runs_of(sweep: Path) -> list[RunLog]:
    """From W&B's log files, which also tell of runs that go on; else from the records.

    Raises:
        UserError: no run has logged anything.
    """
    with progress(f"reading {sweep}"):
        found = read_offline(sweep, warn=echo, history=False)
        runs: Sequence[RunLog] = found or read_records(sweep, warn=echo, history=False)
    if not runs:
        raise UserError(f"{sweep}: no run has logged anything yet; see `optical-sweeps status {sweep}`")
    return list(runs)


def _logged_to(runs: Sequence[RunLog]) -> dict[str, str | None]:
    """Project and user that the runs were logged with; a tracker that was switched off names none."""
    for run in runs:
        logger = run.config.get("logger")
        if isinstance(logger, Mapping) and logger.get("project"):
            return {"project": logger["project"], "entity": logger.get("entity")}
    return {"project": "optical-sweeps", "entity": None}
