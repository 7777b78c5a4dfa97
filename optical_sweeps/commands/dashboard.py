"""`dashboard`: create or update the W&B workspace and report of a sweep."""

import json
from argparse import ArgumentParser
from pathlib import Path

from optical_sweeps.commands.arguments import FOLDERS, add_json
from optical_sweeps.console import echo, echo_json, progress
from optical_sweeps.errors import UsageError


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("sweep", metavar="SWEEP", type=Path, nargs="?", help=FOLDERS["sweep"][1])
    parser.add_argument("--project", help="W&B project (default: the one that the sweep's runs were logged to)")
    parser.add_argument("--entity", help="W&B user or team (default: as for --project)")
    parser.add_argument("--group", help="without SWEEP: one sweep of the project (default: all runs)")
    parser.add_argument("--measure", default="nDCG@10", help="measure to show (default: nDCG@10)")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the content as JSON; with SWEEP, needs no network and no key",
    )
    add_json(parser)


def run(
    sweep: Path | None, project: str | None, entity: str | None, group: str | None, measure: str, dry_run: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Save the workspace and the report, and print their addresses."""
    from optical_sweeps.tracking.dashboards.reading import logged_by_project, logged_by_sweep

    if sweep is not None and group is not None:
        raise UsageError("dashboard: --group applies without SWEEP only; a sweep's folder names its group")
    if sweep is not None:
        logged = logged_by_sweep(sweep, project, entity, measure)
    elif project is not None:
        logged = logged_by_project(project, entity, group, measure)
    else:
        raise UsageError("dashboard: name a sweep's folder, such as multirun/demo, or --project")
    if dry_run:
        from optical_sweeps.tracking.dashboards.views import specifications

        echo(json.dumps(specifications(logged), indent=1, sort_keys=True))
        return
    from optical_sweeps.tracking.dashboards.saving import save

    with progress("dashboard"):
        saved = save(logged)
    if as_json:
        echo_json({"workspace": saved.workspace, "report": saved.report, "renewed": saved.replaced})
        return
    echo("updated" if saved.replaced else "created")
    echo(f"  workspace: {saved.workspace}")
    echo(f"  report:    {saved.report}")
