"""`evaluate`: search and measure with a finished run's student, or with any checkpoint, on any collection."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from optical_sweeps.checks import one_of, strings
from optical_sweeps.console import echo, progress
from optical_sweeps.errors import UserError, leave_on_user_error
from optical_sweeps.runs.spec.run_spec import resolved


@leave_on_user_error
def run(config: DictConfig) -> None:
    """Hydra's task: load the encoders, search, print a table, and write files where asked."""
    from optical_sweeps.corpora.ids import check_ids
    from optical_sweeps.corpora.perturbations.lexicon import check_perturbations
    from optical_sweeps.runs.distillation.query_encoders import load_encoders
    from optical_sweeps.runs.distillation.search_and_evaluate import (
        measure_collections,
        measure_perturbed,
        write_per_query,
        write_rankings,
    )

    settings = resolved(config)
    one_of("split", settings["split"], ("dev", "test"))
    encoders = load_encoders(settings)
    if encoders.spec is not None:
        groups: Mapping[str, Sequence[str]] = encoders.spec.languages.groups
    else:
        groups = {"all": tuple(encoders.corpus.languages)}
    if settings["query_languages"]:
        groups = _chosen(strings("query_languages", settings["query_languages"]), groups)
    evaluation = encoders.evaluation
    check_perturbations(evaluation.perturbations, encoders.corpus, groups["all"], evaluation.lexicon)
    if settings["output"]:
        check_ids(encoders.corpus.collection(name, settings["split"]) for name in groups["all"])
    search = (encoders.corpus, groups, encoders.queries, encoders.index_of, settings["split"], evaluation)
    with progress(encoders.name) as advance:
        measured = [measure_collections(*search, advance), *measure_perturbed(*search, advance)]
    for one in measured:
        Console().print(_table(encoders.name, one))
    if settings["output"]:
        output = Path(settings["output"])
        for one in measured:
            write_rankings(one, output / "runs", tag=encoders.tag)
        write_per_query(output / "per_query.parquet", *measured)
        echo(f"  {output}")


def _chosen(languages: tuple[str, ...], groups: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Groups cut down to some of their languages; without those that are left empty."""
    unknown = [language for language in languages if language not in groups["all"]]
    if unknown:
        known = ", ".join(groups["all"])
        raise UserError(f"query_languages: {', '.join(unknown)} not among the run's, {known}")
    chosen = {
        name: tuple(language for language in members if language in languages)
        for name, members in groups.items()
    }
    return {name: members for name, members in chosen.items() if members}


def _table(label: str, measured: Any) -> Table:
    measures = list(next(iter(measured.means.values())))
    table = Table("", *map(str, measures), title=f"{label}, {measured.split}", box=None)
    for where, means in measured.means.items():
        table.add_row(where, *(f"{means[measure]:.3f}" for measure in measures))
    return table
