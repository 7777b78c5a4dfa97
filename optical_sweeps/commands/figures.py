"""`figures`: write every figure and table of a study at paper size, and an index of them."""

from pathlib import Path

from omegaconf import DictConfig

from optical_sweeps.console import echo, progress
from optical_sweeps.terminal_text import count_text


def run(config: DictConfig, sweep: Path | None) -> None:
    """Read the logs, draw and write everything, and print the paths."""
    from optical_sweeps.curves.tables.result_tables import result_table
    from optical_sweeps.report.study_figures import StudyFigures, index_text
    from optical_sweeps.report.study_logs import missing_lines, read_study, source_text, study_queries
    from optical_sweeps.report.study_settings import FiguresSettings
    from optical_sweeps.runs.resolved_config import resolved
    from optical_sweeps.runs.run_folder import write_text
    from optical_sweeps.settings import from_root

    settings = from_root(FiguresSettings, {**resolved(config), "sweep": sweep})
    runs, output = read_study(settings), settings.output_folder("figures")
    per_query = study_queries(runs, settings)
    results = result_table(runs, include_unfinished=settings.unfinished)
    missing = missing_lines(settings, runs, results)
    for line in missing:
        echo(line)
    with progress("figures"):
        entries = list(StudyFigures(settings, runs, per_query, results, output).write())
    index = output / "index.md"
    write_text(index, index_text(entries, output, settings, runs, missing))
    echo(f"from {count_text(len(runs), 'run')} in {source_text(settings)}")
    for path in (index, *(path for entry in entries for path in entry.files)):
        echo(f"  {path}")
    for entry in entries:
        if not entry.files:
            echo(f"  {entry.name}: {entry.caption}")
