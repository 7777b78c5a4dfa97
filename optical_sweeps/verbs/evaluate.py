"""`evaluate`: search and measure again with a finished run's student."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from optical_sweeps.checks import strings
from optical_sweeps.console import progress, say
from optical_sweeps.errors import UserError, leave_on_user_error
from optical_sweeps.sweeps.ledger import RunFolder
from optical_sweeps.sweeps.run_spec import Languages, RunSpec, resolved


@leave_on_user_error
def run(config: DictConfig) -> None:
    """Hydra's task: load the student, search, print a table, and write files where asked."""
    from optical_sweeps.encoders.checkpoints import load_difference
    from optical_sweeps.verbs.search_and_measure import search_and_measure, write_per_query, write_rankings
    from optical_sweeps.verbs.shared import prepare

    settings = resolved(config)
    if settings["split"] not in ("dev", "test"):
        raise UserError(f"split: {settings['split']!r} is neither dev nor test")
    folder = RunFolder(Path(settings["run"]))
    if folder.state() != "done":
        raise UserError(f"run: {folder.path} is {folder.state()}, not done; name the folder of a finished run")
    record = folder.record()
    spec = RunSpec.from_config(OmegaConf.create({**record["config"], "machine": settings["machine"]}))
    if spec.id != record["id"]:
        raise UserError(
            f"run: {folder.path} is run {record['id']}, but its config now describes {spec.id}: its data or "
            "backbone changed since; call from the folder it was run in, or run it again"
        )
    spec.machine.prepare()
    shared = prepare(spec)
    student = load_difference(folder.path / "checkpoints" / "student.safetensors", shared.teacher)
    if settings["query_languages"]:
        spec = replace(spec, languages=_chosen(strings("query_languages", settings["query_languages"]), spec))
    with progress(record["label"]) as advance:
        measured = search_and_measure(spec, student, shared.index, settings["split"], advance)
    Console().print(_table(record["label"], measured))
    if settings["output"]:
        output = Path(settings["output"])
        write_rankings(measured, output / "runs", tag=record["id"])
        write_per_query(output / "per_query.parquet", measured)
        say(f"  {output}")


def _chosen(languages: tuple[str, ...], spec: RunSpec) -> Languages:
    """The run's groups, cut down to some of its languages."""
    unknown = [language for language in languages if language not in spec.languages.all]
    if unknown:
        known = ", ".join(spec.languages.all)
        raise UserError(f"query_languages: {', '.join(unknown)} not among the run's, {known}")
    chosen = {
        group: tuple(language for language in getattr(spec.languages, group) if language in languages)
        for group in ("high", "low")
    }
    return Languages(**chosen)


def _table(label: str, measured: Any) -> Table:
    measures = list(next(iter(measured.means.values())))
    table = Table("", *map(str, measures), title=f"{label}, {measured.split}", box=None)
    for where, means in measured.means.items():
        table.add_row(where, *(f"{means[measure]:.3f}" for measure in measures))
    return table
