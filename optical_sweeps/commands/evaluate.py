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
    from optical_sweeps.runs.distillation.query_encoders import load_all_encoders
    from optical_sweeps.runs.distillation.search_and_evaluate import (
        measure_collections,
        measure_perturbed,
        write_per_query,
        write_rankings,
    )
    from optical_sweeps.runs.distillation.student_search import joined

    settings = resolved(config)
    one_of("split", settings["split"], ("dev", "test"))
    found = load_all_encoders(settings)
    encoders = found[0]
    if encoders.spec is not None:
        groups: Mapping[str, Sequence[str]] = encoders.spec.languages.groups
    else:
        groups = {"all": tuple(encoders.corpus.languages)}
    if settings["query_languages"]:
        groups = _chosen(strings("query_languages", settings["query_languages"]), groups)
    evaluation = encoders.evaluation
    check_perturbations(evaluation.perturbations, encoders.corpus, groups["all"], evaluation.lexicon)
    shared_out = _shared_out(found, groups)
    if settings["output"]:
        split = settings["split"]
        check_ids(one.corpus.collection(name, split) for one, own in shared_out for name in own["all"])
    parts = []
    with progress(encoders.name) as advance:
        for one, own in shared_out:
            what = (one.corpus, own, one.queries, one.index_of, settings["split"], evaluation)
            parts.append([measure_collections(*what, advance), *measure_perturbed(*what, advance)])
    measured = parts[0] if len(parts) == 1 else [joined(of, groups) for of in zip(*parts, strict=True)]
    for one in measured:
        Console().print(_table(encoders.name, one))
    if settings["output"]:
        output = Path(settings["output"])
        for one in measured:
            write_rankings(one, output / "runs", tag=encoders.tag)
        write_per_query(output / "per_query.parquet", *measured)
        echo(f"  {output}")


def _shared_out(
    found: Sequence[Any], groups: Mapping[str, Sequence[str]]
) -> list[tuple[Any, Mapping[str, Sequence[str]]]]:
    """Encoders with the languages that they are for."""
    if len(found) == 1:
        return [(found[0], groups)]
    known = {language for encoders in found for language in encoders.languages}
    if unknown := [language for language in groups["all"] if language not in known]:
        raise UserError(
            f"query_languages: the run has no student for {', '.join(unknown)}; choose among "
            f"{', '.join(sorted(known))}"
        )
    each = ((one, [name for name in groups["all"] if name in one.languages]) for one in found)
    return [(one, {"all": languages}) for one, languages in each if languages]


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
