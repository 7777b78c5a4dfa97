"""`curves`: from the W&B logs of a sweep to its table, curves and figures."""

from omegaconf import DictConfig
from rich.console import Console

from optical_sweeps.console import echo, progress
from optical_sweeps.errors import leave_on_user_error
from optical_sweeps.report.study_logs import check, chosen, missing_lines, output_folder, place, read
from optical_sweeps.runs.run_folder import write_text
from optical_sweeps.runs.spec.run_spec import resolved


@leave_on_user_error
def run(config: DictConfig) -> None:
    """Hydra's task: read the logs, print the table, write table and figures, and say where."""
    from optical_sweeps.curves.figures.curve_figures import save_all_figures
    from optical_sweeps.curves.statistics.study import Study
    from optical_sweeps.curves.statistics.study_tables import markdown_table, terminal_table
    from optical_sweeps.curves.tables.result_tables import (
        language_groups,
        per_query_table,
        result_table,
        write_table,
    )

    settings = resolved(config)
    check(settings)
    runs, output = read(settings), output_folder(settings, "curves")
    per_query = per_query_table(runs, measures=[settings["measure"]], splits=[settings["split"]])
    study = Study(
        chosen(per_query, settings["where"]),
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
    results = result_table(runs, include_unfinished=settings["unfinished"])
    tables = write_table(results, output / "results")
    markdown = output / "table.md"
    write_text(markdown, markdown_table(study))
    echo(f"from {len(runs)} runs in {place(settings)}")
    for path in (*tables, markdown, *figures):
        echo(f"  {path}")
    for line in missing_lines(settings, runs, results):
        echo(line)
