"""`curves`: from the W&B logs of a sweep to its table, curves and figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from optical_sweeps.checks import number_between, one_of, whole_number
from optical_sweeps.console import progress, say
from optical_sweeps.curves.table import ZERO_SHOT
from optical_sweeps.errors import UserError, leave_on_user_error
from optical_sweeps.sweeps.ledger import write_text
from optical_sweeps.sweeps.plan import GRID_FILE, Grid, describe
from optical_sweeps.sweeps.run_spec import resolved
from optical_sweeps.tracking.run_log import RunLog
from optical_sweeps.tracking.sources import disagreements, read_offline, read_records

SOURCES: Mapping[str, Any] = {"offline": read_offline, "records": read_records}


@leave_on_user_error
def run(config: DictConfig) -> None:
    """Hydra's task: read the logs, print the table, write table and figures, and say where."""
    from optical_sweeps.curves.bootstrap import Study
    from optical_sweeps.curves.figures import save_all_figures
    from optical_sweeps.curves.report_table import markdown_table, terminal_table
    from optical_sweeps.curves.table import language_groups, per_query_table, result_table, write_table

    settings = resolved(config)
    _check(settings)
    folder, output = Path(settings["sweep"]), Path(settings["output"])
    runs = _read(folder, settings["source"])
    per_query = per_query_table(runs, measures=[settings["measure"]], splits=[settings["split"]])
    study = Study(
        _chosen(per_query, settings["where"]),
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
    write_text(markdown, markdown_table(study))
    say(f"from {len(runs)} runs in {_name(settings['source'])} under {folder}")
    for path in (*tables, markdown, *figures):
        say(f"  {path}")
    for line in _missing(folder):
        say(line)


def _check(settings: Mapping[str, Any]) -> None:
    one_of("source", settings["source"], tuple(SOURCES))
    one_of("split", settings["split"], ("dev", "test"))
    one_of("x", settings["x"], ("ratio", "multiple", "total"))
    whole_number("replicates", settings["replicates"], least=1)
    whole_number("seed", settings["seed"], least=0)
    if not 0 < number_between("confidence", settings["confidence"], 0.0, 1.0) < 1:
        raise UserError(f"confidence: {settings['confidence']} must lie between 0 and 1")


def _chosen(per_query: Any, where: Mapping[str, Any] | None) -> Any:
    """The rows of runs with these values; zero-shot runs have none and stay.

    Raises:
        UserError: no such column.
    """
    for column, value in (where or {}).items():
        one_of("where", column, tuple(per_query.columns))
        per_query = per_query[(per_query[column] == value) | (per_query["objective"] == ZERO_SHOT)]
    return per_query


def _read(folder: Path, source: str) -> list[RunLog]:
    """Finished runs of a sweep.

    Raises:
        UserError: no sweep, or none of its runs is finished.
    """
    wanted = _grid_runs(folder)
    with progress(f"reading {folder}"):
        runs = [run for run in SOURCES[source](folder, warn=say) if run.complete]
        runs = [run for run in runs if wanted is None or run.id in wanted]
        doubts = _doubts(runs, read_records(folder, warn=say)) if source == "offline" else []
    if not runs:
        raise UserError(
            f"{folder}: no finished run in {_name(source)}; see `optical-sweeps status {folder}`, "
            "or source=records where runs were not logged to W&B"
        )
    for line in doubts:
        say(f"W&B log and record disagree: {line}")
    return runs


def _doubts(runs: list[RunLog], records: list[RunLog]) -> list[str]:
    known = {run.id for run in runs}
    return disagreements(runs, [record for record in records if record.id in known])


def _grid_runs(folder: Path) -> set[str] | None:
    """The runs that the sweep's grid asks for; a folder of single runs has no grid."""
    return set(Grid.load(folder).runs) if (folder / GRID_FILE).exists() else None


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
