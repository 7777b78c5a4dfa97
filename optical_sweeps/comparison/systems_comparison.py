"""The table of systems by languages: runs what is missing, and writes the table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from optical_sweeps.comparison.baseline_systems import Baselines
from optical_sweeps.comparison.comparison_settings import COMPARISON_KEYS, ComparisonSettings
from optical_sweeps.comparison.trained_systems import TrainedSystems
from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import write_json, write_text
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.settings import from_root

if TYPE_CHECKING:
    from optical_sweeps.curves.claims.systems_table import SystemScores

ENDINGS = {"markdown": "md", "latex": "tex", "csv": "csv"}


def compare(config: Mapping[str, object], overrides: Sequence[str], config_dir: str | None) -> Path:
    """Compare the systems of a resolved config.

    Args:
        overrides: the overrides of `config`, for the runs of trained systems.
        config_dir: the folder that `--config-dir` named.

    Returns:
        The folder of the tables.

    Raises:
        UserError: a bad setting, or a system that cannot run; nothing was run.
    """
    spec = RunSpec.from_plain({key: value for key, value in config.items() if key not in COMPARISON_KEYS})
    settings = from_root(ComparisonSettings, config)
    settings.check_measures(spec.evaluation)
    baselines = Baselines.of(settings, spec, config)
    spec.check()
    baselines.check()
    trained = TrainedSystems.planned(
        settings.trained_systems, settings.seeds, overrides, config_dir, spec.sweep
    )
    echo(f"{len(settings.systems)} systems, {len(spec.languages.all)} languages -> {spec.sweep}")
    folders: dict[str, tuple[Path, ...]] = {name: (baselines.folder(name),) for name in settings.baselines}
    trained.run()
    folders |= {name: trained.folders(name) for name in settings.trained_systems}
    output = settings.output or spec.sweep / "comparison"
    _write(settings, spec, {name: folders[name] for name in settings.systems}, output)
    return output


def _write(
    settings: ComparisonSettings, spec: RunSpec, folders: Mapping[str, Sequence[Path]], output: Path
) -> None:
    """Write and print the table, and write the folders of the systems."""
    from optical_sweeps.curves.claims.systems_table import differences, systems_table
    from optical_sweeps.curves.tables.search_note import search_note

    languages, reference = spec.languages.all, settings.reference_system
    cells = [
        cell
        for measure in settings.measures
        for cell in differences(_scores(folders, measure, settings.split), languages, reference, settings.alpha)
    ]
    table = systems_table(cells, languages, reference, settings.split, settings.alpha)
    note = search_note([spec.config], settings.split)
    table = replace(table, caption=table.caption + note)
    output.mkdir(parents=True, exist_ok=True)
    for kind, ending in ENDINGS.items():
        write_text(output / f"systems.{ending}", table.render(kind))
    paths = {name: [str(folder) for folder in members] for name, members in folders.items()}
    write_json(output / "systems.json", {"systems": paths, "reference": reference})
    echo()
    echo(table.render("markdown").rstrip())
    echo()
    echo(f"{output / 'systems'}.md, .tex, .csv, .json")


def _scores(folders: Mapping[str, Sequence[Path]], measure: str, split: str) -> "SystemScores":
    """Each system's value of a measure for every query, averaged over the runs that searched the query."""
    from optical_sweeps.curves.claims.systems_table import SystemScores
    from optical_sweeps.report.query_scores import read_query_scores

    runs = {str(folder): folder for members in folders.values() for folder in members}
    scores = read_query_scores(runs, measure, split)
    if missing := [run for run in runs if run not in scores.runs]:
        raise UserError(
            f"systems: {missing[0]} has no per_query.parquet; delete that folder, and compare again"
        )
    row_of = {run: row for row, run in enumerate(scores.runs)}
    means, seeds = [], []
    for members in folders.values():
        values = scores.values[[row_of[str(folder)] for folder in members]]
        counts = (~np.isnan(values)).sum(0)  # a system with a student per language has other runs per query
        with np.errstate(invalid="ignore"):  # NaN, which SystemScores refuses, if no run has the query
            means.append(np.nansum(values, 0) / counts)
        seeds.append(int(counts.max()))
    languages, ids = zip(*scores.queries, strict=True)
    return SystemScores(measure, tuple(folders), tuple(seeds), languages, ids, np.stack(means))
