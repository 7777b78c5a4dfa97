"""`evaluate`: search and evaluate with a finished run's student, or with any checkpoint, on any collection."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from omegaconf import DictConfig
from rich.table import Table

from optical_sweeps.checks import FilePath, Strings
from optical_sweeps.console import echo, progress, terminal
from optical_sweeps.runs.finished_run import check_source
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.settings import from_root, settings

if TYPE_CHECKING:
    from optical_sweeps.runs.distillation.search_and_evaluate import EvaluationResult


@settings("")
class EvaluateSettings:
    """See conf/evaluate.yaml."""

    split: Literal["dev", "test"] = "test"
    query_languages: Strings | None = None
    output: FilePath | None = None


def run(config: DictConfig, run: Path | None) -> None:
    """Load the encoders, search, print a table of measures, and write files if `output` is set."""
    content = {**resolved(config), "run": run}
    chosen = from_root(EvaluateSettings, content)
    check_source(content)
    with progress("loading"):
        from optical_sweeps.runs.distillation.query_encoders import load_encoders
        from optical_sweeps.runs.distillation.repeated_evaluation import evaluate_again
        from optical_sweeps.runs.distillation.search_and_evaluate import write_per_query, write_rankings

    encoders = load_encoders(content)
    output = chosen.output
    results = evaluate_again(encoders, chosen.split, chosen.query_languages, writes=output is not None)
    for result in results:
        terminal().print(_table(encoders.name, result))
    if output is not None:
        for result in results:
            write_rankings(result, output / "runs", tag=encoders.tag)
        write_per_query(output / "per_query.parquet", *results)
        echo(f"  {output}")


def _table(name: str, result: "EvaluationResult") -> Table:
    measures = list(next(iter(result.means.values())))
    table = Table("", *map(str, measures), title=f"{name}, {result.split}, {result.search} search", box=None)
    for language, means in result.means.items():
        table.add_row(language, *(f"{means[measure]:.3f}" for measure in measures))
    return table
