"""The logs of a study as its settings name them: what `curves`, `claims` and `figures` begin with."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optical_sweeps.checks import number_between, one_of, true_or_false, whole_number
from optical_sweeps.console import Advance, echo, progress
from optical_sweeps.curves.tables.result_tables import OF_TRAINING, ZERO_SHOT
from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import write_text
from optical_sweeps.sweeps.grid import GRID_FILE, Grid, describe
from optical_sweeps.tracking.run_log import RunLog
from optical_sweeps.tracking.service import Selection
from optical_sweeps.tracking.sources import (
    SOURCES,
    disagreements,
    read_offline,
    read_records,
    read_wandb,
)

if TYPE_CHECKING:
    from optical_sweeps.curves.tables.paper_table import PaperTable


def check(settings: Mapping[str, Any]) -> None:
    """Refuse what cannot be, before anything is read.

    Raises:
        UserError: a bad value; its key is named.
    """
    one_of("source", settings["source"], tuple(SOURCES))
    for key in ("unfinished", "incremental"):
        true_or_false(key, settings[key])
    if settings["source"] != "wandb" and not settings["dir"]:
        raise UserError("sweep: no value; give one, for example sweep=multirun/demo")
    one_of("split", settings["split"], ("dev", "test"))
    if not isinstance(settings["where"], Mapping | None):
        raise UserError(f"where: {settings['where']!r} is no mapping; write where={{total: 3200}}")
    one_of("x", settings["x"], ("ratio", "multiple", "total"))
    whole_number("replicates", settings["replicates"], least=1)
    whole_number("seed", settings["seed"], least=0)
    if not 0 < number_between("confidence", settings["confidence"], 0.0, 1.0) < 1:
        raise UserError(f"confidence: {settings['confidence']} must lie between 0 and 1")


def chosen(per_query: Any, where: Mapping[str, Any] | None) -> Any:
    """The rows of runs with these values; zero-shot runs stay where they can have none (a ratio, a budget).

    Raises:
        UserError: no such column; no run that trained has the values.
    """
    for column, value in (where or {}).items():
        one_of("where", column, tuple(per_query.columns))
        zero_shot = per_query["objective"] == ZERO_SHOT
        stays = zero_shot & (column in ("objective", *OF_TRAINING))
        kept = per_query[(per_query[column] == value) | stays]
        if (kept["objective"] == ZERO_SHOT).all():
            known = ", ".join(map(str, per_query.loc[~zero_shot, column].dropna().unique().tolist()))
            raise UserError(f"where: no run of {column} {value}; the runs have: {known or 'none'}")
        per_query = kept
    return per_query


def read(settings: Mapping[str, Any]) -> list[RunLog]:
    """Runs of a sweep: the finished ones, and the others where they are asked for.

    Raises:
        UserError: no sweep, or none of its runs is finished.
    """
    grid = _grid(settings)
    with progress(f"reading {place(settings)}") as advance:
        runs = _from_source(settings, advance)
        runs = [run for run in runs if run.complete or settings["unfinished"]]
        runs = [run for run in runs if grid is None or run.id in grid.runs]
        doubts = _doubts(settings, runs)
    if not any(run.complete for run in runs):
        status = f"see `optical-sweeps status {settings['sweep']}`, or " if settings["sweep"] else ""
        raise UserError(
            f"{place(settings)}: no finished run; {status}use source=records where runs were not logged to W&B"
        )
    for line in doubts:
        echo(f"W&B log and record disagree: {line}")
    return runs


def _from_source(settings: Mapping[str, Any], advance: Advance) -> list[RunLog]:
    cache = _cache(settings)
    if settings["source"] == "wandb":
        return read_wandb(
            _selection(settings),
            cache,
            history=False,
            incremental=settings["incremental"],
            warn=echo,
            progress=advance,
        )
    if settings["source"] == "records":
        return read_records(Path(settings["dir"]), warn=echo, history=False)
    return read_offline(Path(settings["dir"]), warn=echo, history=False)


def _selection(settings: Mapping[str, Any]) -> Selection:
    sweep = settings["sweep"]
    return Selection(
        project=settings["project"],
        entity=settings["entity"],
        group=settings["group"] or (Path(sweep).name if sweep else None),
        filters=settings["filters"],
        unfinished=settings["unfinished"],
    )


def _doubts(settings: Mapping[str, Any], runs: list[RunLog]) -> list[str]:
    """Where W&B and the records beside differ."""
    folder = settings["sweep"] or settings["dir"]
    if settings["source"] == "records" or not folder or not Path(folder).is_dir():
        return []
    known = {run.id for run in runs if run.complete}
    records = read_records(Path(folder), warn=echo, history=False)
    return disagreements(
        [run for run in runs if run.complete], [record for record in records if record.id in known]
    )


def _grid(settings: Mapping[str, Any]) -> Grid | None:
    """What the sweep asks for; a folder of single runs has no grid."""
    folder = settings["sweep"]
    return Grid.load(Path(folder)) if folder and (Path(folder) / GRID_FILE).exists() else None


def output_folder(settings: Mapping[str, Any], verb: str) -> Path:
    """Where a verb writes: as told, or a folder of its name in the sweep's, or here."""
    return Path(settings["output"] or Path(settings["sweep"] or "", verb))


def _cache(settings: Mapping[str, Any]) -> Path:
    return Path(settings["cache"] or Path(settings["sweep"] or settings["output"] or "curves", ".cache"))


def place(settings: Mapping[str, Any]) -> str:
    """Where the runs are read from, for people."""
    name = SOURCES[settings["source"]]
    if settings["source"] != "wandb":
        return f"{name} under {settings['dir']}"
    selection = _selection(settings)
    return f"{name} project {selection.path}" + (f" group {selection.group}" if selection.group else "")


def missing_lines(settings: Mapping[str, Any], runs: list[RunLog], results: Any) -> list[str]:
    """What the grid asks for and no run that was read answers.

    Without a grid, what is missing from the product of the values seen.
    """
    from optical_sweeps.curves.tables.result_tables import describe_missing, missing_points

    grid = _grid(settings)
    finished = {run.id for run in runs if run.complete}
    if grid is None:
        lines = describe_missing(missing_points(results[results["run"].isin(finished)]))
        return (
            [f"MISSING from the curves: {len(lines)} points", *(f"  {line}" for line in lines)] if lines else []
        )
    labels, absent = grid.labels(), {run: state for run, state in grid.states().items() if run not in finished}
    undone = {run: state for run, state in absent.items() if state != "done"}
    unlogged = [run for run in absent if run not in undone]
    parts = [describe(undone)] if undone else []
    parts += [f"{len(unlogged)} done, but not in {SOURCES[settings['source']]}"] if unlogged else []
    lines = [f"  missing: {labels[run]} ({state})" for run, state in undone.items()]
    lines += [f"  missing: {labels[run]} (done, not logged)" for run in unlogged]
    return [f"MISSING from the curves: {', '.join(parts)}", *lines] if lines else []


def write_paper_table(table: "PaperTable", stem: Path) -> list[Path]:
    """Write a table as `<stem>.md`, `<stem>.tex` and `<stem>.csv`, each whole or not at all."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind, ending in (("markdown", "md"), ("latex", "tex"), ("csv", "csv")):
        path = stem.with_name(f"{stem.name}.{ending}")
        write_text(path, table.render(kind))
        paths.append(path)
    return paths
