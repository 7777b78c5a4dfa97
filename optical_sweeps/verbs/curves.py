"""`curves`: from the W&B logs of a sweep to its table, curves and figures."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from optical_sweeps.console import progress, say
from optical_sweeps.errors import UserError, leave_on_user_error
from optical_sweeps.sweeps.plan import GRID_FILE, Grid, describe
from optical_sweeps.sweeps.run_spec import resolved
from optical_sweeps.tracking.run_log import RunLog
from optical_sweeps.tracking.sources import disagreements, read_offline, read_records


@leave_on_user_error
def run(config: DictConfig) -> None:
    """Hydra's task: read the logs, print the table, write table and figures, and say where."""
    from optical_sweeps.curves.bootstrap import Study
    from optical_sweeps.curves.figures import save_all_figures
    from optical_sweeps.curves.report_table import markdown_table, terminal_table
    from optical_sweeps.curves.table import language_groups, per_query_table, result_table, write_table

    settings = resolved(config)
    folder, output = Path(settings["sweep"]), Path(settings["output"])
    runs = _read(folder, settings["source"])
    study = Study(
        per_query_table(runs, measures=[settings["measure"]], splits=[settings["split"]]),
        language_groups(runs),
        measure=settings["measure"],
        split=settings["split"],
        x=settings["x"],
        replicates=settings["replicates"],
        confidence=settings["confidence"],
        seed=settings["seed"],
    )
    Console().print(terminal_table(study))
    with progress("figures"):
        figures = save_all_figures(study, output)
    tables = write_table(result_table(runs), output / "results")
    markdown = output / "table.md"
    markdown.write_text(markdown_table(study))
    say(f"from {len(runs)} runs in {_name(settings['source'])} under {folder}")
    for path in (*tables, markdown, *figures):
        say(f"  {path}")
    for line in _missing(folder):
        say(line)


def _read(folder: Path, source: str) -> list[RunLog]:
    """Finished runs of a sweep.

    Raises:
        UserError: no such source, no sweep, or none of its runs is finished.
    """
    readers: dict[str, Any] = {"offline": read_offline, "records": read_records}
    if source not in readers:
        raise UserError(f"source: {source!r} is none of {', '.join(readers)}")
    with progress(f"reading {folder}"):
        runs = [run for run in readers[source](folder, warn=say) if run.complete]
        doubts = disagreements(runs, read_records(folder, warn=say)) if source == "offline" else []
    if not runs:
        raise UserError(
            f"{folder}: no finished run in {_name(source)}; see `optical-sweeps status {folder}`, "
            "or source=records where runs were not logged to W&B"
        )
    for line in doubts:
        say(f"W&B log and record disagree: {line}")
    return runs


def _name(source: str) -> str:
    return {"offline": "W&B's offline logs", "records": "the runs' records"}[source]


def _missing(folder: Path) -> list[str]:
    """What the sweep's grid asks for and no finished run answers."""
    if not (folder / GRID_FILE).exists():
        return []
    grid = Grid.load(folder)
    unfinished = {run: state for run, state in grid.states().items() if state != "done"}
    lines = [f"  missing: {grid.labels()[run]} ({state})" for run, state in unfinished.items()]
    return [f"MISSING from the curves: {describe(unfinished)}", *lines] if lines else []
