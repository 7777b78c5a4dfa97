"""The logs of a study: the runs that `curves`, `claims` and `figures` read, and those that are missing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optical_sweeps.checks import one_of, suggestion
from optical_sweeps.console import Advance, echo, progress
from optical_sweeps.curves.tables.result_tables import OF_TRAINING, ZERO_SHOT
from optical_sweeps.errors import UserError
from optical_sweeps.report.study_settings import StudySettings
from optical_sweeps.runs.run_folder import write_text
from optical_sweeps.sweeps.grid import GRID_FILE, Grid, describe
from optical_sweeps.terminal_text import count_text
from optical_sweeps.tracking.run_log import NoRuns, RunLog
from optical_sweeps.tracking.service import Selection, group_names
from optical_sweeps.tracking.sources import (
    SOURCES,
    disagreements,
    read_offline,
    read_records,
    read_wandb,
)
from optical_sweeps.tracking.wandb_api import NoAnswer, NoSuchProject, NotLoggedIn

if TYPE_CHECKING:
    import pandas

    from optical_sweeps.curves.tables.paper_table import PaperTable


def select_rows(per_query: "pandas.DataFrame", where: Mapping[str, object] | None) -> "pandas.DataFrame":
    """The rows of runs with these values.

    Zero-shot runs are kept for columns of training (a ratio, a budget), because they have no value there.

    Raises:
        UserError: no such column, or no trained run has the values.
    """
    for column, value in (where or {}).items():
        one_of("where", column, tuple(per_query.columns))
        zero_shot = per_query["objective"] == ZERO_SHOT
        has_no_value = zero_shot & (column in ("objective", *OF_TRAINING))
        rows = per_query[(per_query[column] == value) | has_no_value]
        if (rows["objective"] == ZERO_SHOT).all():
            known = ", ".join(map(str, per_query.loc[~zero_shot, column].dropna().unique().tolist()))
            raise UserError(f"where: no run of {column} {value}; the runs have: {known or 'none'}")
        per_query = rows
    return per_query


def read_study(settings: StudySettings) -> list[RunLog]:
    """The runs of a study: finished ones, and others if the settings include them.

    Raises:
        UserError: no sweep, or none of its runs is finished.
    """
    grid = _grid(settings)
    with progress(f"reading {source_text(settings)}") as advance:
        runs = _from_source(settings, advance)
        runs = [run for run in runs if run.complete or settings.unfinished]
        runs = [run for run in runs if grid is None or run.id in grid.runs]
        differences = _disagreements(settings, runs)
    if not any(run.complete for run in runs):
        raise UserError(_nothing_finished(settings))
    for line in differences:
        echo(f"W&B log and record disagree: {line}")
    return runs


def study_queries(runs: Sequence[RunLog], settings: StudySettings) -> "pandas.DataFrame":
    """The values of every query, of the settings' measure and split.

    Raises:
        UserError: no finished run has the measure.
    """
    from optical_sweeps.curves.tables.result_tables import per_query_table, result_table

    measure, split = settings.measure, settings.split
    table = per_query_table(runs, measures=[measure], splits=[split])
    if table.empty:
        results = result_table(runs)
        known = results.loc[results["split"] == split, "measure"].unique().tolist()
        raise UserError(
            f"measure: no finished run has {measure} of the queries of {split}; {suggestion(measure, known)}"
        )
    return table


def source_text(settings: StudySettings) -> str:
    """The source of the runs, for people."""
    name = SOURCES[settings.source]
    if settings.source != "wandb":
        return f"{name} under {settings.log_folder}"
    selection = _selection(settings)
    return f"{name} project {selection.path}" + (f" group {selection.group}" if selection.group else "")


def missing_lines(settings: StudySettings, runs: Sequence[RunLog], results: "pandas.DataFrame") -> list[str]:
    """Lines that list the runs of the grid without a result.

    Without a grid, the combinations of observed values that no run has.
    """
    from optical_sweeps.curves.tables.result_tables import describe_missing, missing_points

    grid = _grid(settings)
    finished = {run.id for run in runs if run.complete}
    if grid is None:
        lines = describe_missing(missing_points(results[results["run"].isin(finished)]))
        heading = f"MISSING from the curves: {count_text(len(lines), 'point')}"
        return [heading, *(f"  {line}" for line in lines)] if lines else []
    labels, absent = grid.labels(), {run: state for run, state in grid.states().items() if run not in finished}
    undone = {run: state for run, state in absent.items() if state != "done"}
    unlogged = [run for run in absent if run not in undone]
    parts = [describe(undone)] if undone else []
    parts += [f"{len(unlogged)} done, but not in {SOURCES[settings.source]}"] if unlogged else []
    lines = [f"  missing: {labels[run]} ({state})" for run, state in undone.items()]
    lines += [f"  missing: {labels[run]} (done, not logged)" for run in unlogged]
    return [f"MISSING from the curves: {', '.join(parts)}", *lines] if lines else []


def write_paper_table(table: "PaperTable", stem: Path) -> list[Path]:
    """Write a table as `<stem>.md`, `<stem>.tex` and `<stem>.csv`, each atomically."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind, ending in (("markdown", "md"), ("latex", "tex"), ("csv", "csv")):
        path = stem.with_name(f"{stem.name}.{ending}")
        write_text(path, table.render(kind))
        paths.append(path)
    return paths


def _from_source(settings: StudySettings, advance: Advance) -> list[RunLog]:
    cache, incremental = settings.cache_folder, settings.incremental
    if settings.source == "wandb":
        try:
            return read_wandb(
                _selection(settings), cache, history=False, incremental=incremental, warn=echo, progress=advance
            )
        except NoSuchProject as error:
            raise UserError(f"{error}; set project=NAME, or entity=TEAM") from error
        except (NotLoggedIn, NoAnswer) as error:
            raise UserError(f"{error}, or use source=offline or source=records") from error
    read = read_records if settings.source == "records" else read_offline
    try:
        return read(settings.log_folder or Path(), warn=echo, history=False)
    except NoRuns:
        return []


def _nothing_finished(settings: StudySettings) -> str:
    """Why there is nothing to show, and what to do."""
    text = f"{source_text(settings)}: no finished run"
    if settings.source == "wandb":
        selection = _selection(settings)
        groups = group_names(selection)
        if selection.group and selection.group not in groups:
            known = suggestion(selection.group, groups)
            return f"W&B project {selection.path}: no group {selection.group}; set group=NAME; {known}"
        return (
            f"{text}{' that meets the filters' * bool(settings.filters)}; wait for one, or set group or filters"
        )
    advice = [f"see `optical-sweeps sweep status {settings.sweep}`"] * bool(_grid(settings))
    advice += ["use source=records if runs were not logged to W&B"] * (settings.source == "offline")
    return f"{text}; {', or '.join(advice) or 'name the folder of a sweep'}"


def _selection(settings: StudySettings) -> Selection:
    return Selection(
        project=settings.project,
        entity=settings.entity,
        group=settings.group or (settings.sweep.name if settings.sweep else None),
        filters=settings.filters,
        unfinished=settings.unfinished,
    )


def _disagreements(settings: StudySettings, runs: Sequence[RunLog]) -> list[str]:
    """Where W&B's logs and the records in the folder differ."""
    folder = settings.sweep or settings.dir
    if settings.source == "records" or folder is None or not folder.is_dir():
        return []
    complete = {run.id: run for run in runs if run.complete}
    try:
        records = read_records(folder, warn=echo, history=False)
    except NoRuns:
        return []
    return disagreements(complete.values(), [record for record in records if record.id in complete])


def _grid(settings: StudySettings) -> Grid | None:
    """The sweep's grid; a folder of single runs has none."""
    folder = settings.sweep
    return Grid.load(folder) if folder and (folder / GRID_FILE).exists() else None
