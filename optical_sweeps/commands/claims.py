"""`claims`: test differences, equivalences and crossings between objectives."""

from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from optical_sweeps.console import echo, progress, terminal
from optical_sweeps.terminal_text import count_text

WIDTH = 240
"""Columns of a table; a narrower terminal wraps its lines."""


def run(config: DictConfig, sweep: Path | None) -> None:
    """Read the logs, test, and print and write the tables."""
    from optical_sweeps.curves.statistics.study_tables import terminal_paper_table
    from optical_sweeps.curves.statistics.tuning_effort import efforts_of
    from optical_sweeps.curves.tables.result_tables import result_table
    from optical_sweeps.curves.tables.search_note import search_note
    from optical_sweeps.report.study_claims import claims_tables, objectives_of, study_strata
    from optical_sweeps.report.study_logs import (
        missing_lines,
        read_study,
        source_text,
        study_queries,
        write_paper_table,
    )
    from optical_sweeps.report.study_settings import ClaimsSettings
    from optical_sweeps.runs.resolved_config import resolved
    from optical_sweeps.settings import from_root

    settings = from_root(ClaimsSettings, {**resolved(config), "sweep": sweep})
    runs, output = read_study(settings), settings.output_folder("claims")
    per_query = study_queries(runs, settings)
    with progress("tests"):
        efforts = efforts_of(runs, objectives_of(per_query, settings))
        tables = claims_tables(study_strata(per_query, runs, settings), settings, efforts)
    note = search_note((run.config for run in runs), settings.split)
    claims, crossings = (
        replace(table, caption=table.caption + note) for table in (tables.claims, tables.crossings)
    )
    for line in missing_lines(settings, runs, result_table(runs)):
        echo(line)
    for table in (claims, crossings):
        if table.rows:
            terminal(WIDTH).print(terminal_paper_table(table), soft_wrap=True)
            echo(table.caption)
            echo()
    echo(f"from {count_text(len(runs), 'run')} in {source_text(settings)}")
    for stem, table in (("claims", claims), ("crossings", crossings)):
        for path in write_paper_table(table, output / stem):
            echo(f"  {path}")
