"""`curves`: write nDCG@10 curves and tables of a sweep from its W&B logs."""

from pathlib import Path

from omegaconf import DictConfig

from optical_sweeps.console import echo, progress, terminal
from optical_sweeps.terminal_text import count_text


def run(config: DictConfig, sweep: Path | None) -> None:
    """Read the logs, print the table, and write tables and figures."""
    with progress("loading"):
        from optical_sweeps.curves.figures.curve_figures import save_all_figures
        from optical_sweeps.curves.statistics.study import Study
        from optical_sweeps.curves.statistics.study_tables import markdown_table, terminal_table
        from optical_sweeps.curves.tables.result_tables import (
            language_groups,
            result_table,
            write_table,
        )
        from optical_sweeps.report.study_logs import (
            missing_lines,
            read_study,
            select_rows,
            source_text,
            study_queries,
        )
        from optical_sweeps.report.study_settings import StudySettings
        from optical_sweeps.runs.resolved_config import resolved
        from optical_sweeps.runs.run_folder import write_text
        from optical_sweeps.settings import from_root

    settings = from_root(StudySettings, {**resolved(config), "sweep": sweep})
    runs, output = read_study(settings), settings.output_folder("curves")
    per_query = study_queries(runs, settings)
    study = Study(
        select_rows(per_query, settings.where),
        language_groups(runs),
        measure=settings.measure,
        split=settings.split,
        x=settings.x,
        replicates=settings.replicates,
        confidence=settings.confidence,
        seed=settings.seed,
    )
    results = result_table(runs, include_unfinished=settings.unfinished)
    for line in missing_lines(settings, runs, results):
        echo(line)
    terminal().print(terminal_table(study))
    with progress("figures"):
        figures = save_all_figures(study, output)
    tables = write_table(results, output / "results")
    markdown = output / "table.md"
    write_text(markdown, markdown_table(study))
    echo(f"from {count_text(len(runs), 'run')} in {source_text(settings)}")
    for path in (*tables, markdown, *figures):
        echo(f"  {path}")
