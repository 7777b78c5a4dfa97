"""`compare`: the table of systems by languages, trained ones and baselines, on any collection."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from optical_sweeps.comparison.comparison_settings import OWN_KEYS, Comparison
from optical_sweeps.console import echo
from optical_sweeps.errors import UserError, leave_on_user_error
from optical_sweeps.runs.run_folder import write_json, write_text
from optical_sweeps.runs.spec.resolvers import register_resolvers
from optical_sweeps.runs.spec.run_spec import RunSpec, build_part, resolved

register_resolvers()

ENDINGS = {"markdown": "md", "latex": "tex", "csv": "csv"}


@leave_on_user_error
def run(config: DictConfig) -> None:
    """Hydra's task: check every system, do what is not done, write the table."""
    from hydra.core.hydra_config import HydraConfig

    from optical_sweeps.sweeps.sweeper import config_dir_of

    hydra = HydraConfig.get()
    compare(resolved(config), tuple(hydra.overrides.task), config_dir_of(hydra))


def compare(settings: Mapping[str, Any], overrides: Sequence[str], config_dir: str | None) -> Path:
    """The comparison of a resolved config; returns the folder of its tables.

    Args:
        overrides: those that composed it, for the runs of trained systems.
        config_dir: the folder that --config-dir named.

    Raises:
        UserError: a bad setting, or a system that cannot run; nothing was run.
    """
    from optical_sweeps.comparison.baseline_systems import Baselines
    from optical_sweeps.comparison.trained_systems import TrainedSystems

    run_config = {key: value for key, value in settings.items() if key not in OWN_KEYS}
    spec = RunSpec.from_plain(run_config)
    comparison = Comparison.of(settings, spec.evaluation)
    psq = settings["psq"]
    baselines = Baselines(
        comparison,
        spec,
        build_part("psq", psq["alignment"]),
        build_part("psq", psq["queries"]),
        build_part("translator", settings["translator"]) if settings.get("translator") else None,
    )
    spec.check()
    baselines.check()
    trained = TrainedSystems.planned(comparison.trained, comparison.seeds, overrides, config_dir, spec.sweep)
    echo(f"{len(comparison.systems)} systems, {len(spec.languages.all)} languages -> {spec.sweep}")
    folders: dict[str, tuple[Path, ...]] = {}
    for name in comparison.baselines:
        folders[name] = (baselines.folder(name),)
    trained.run()
    folders |= {name: trained.folders(name) for name in comparison.trained}
    output = Path(comparison.output) if comparison.output else spec.sweep / "comparison"
    _write(comparison, spec, {name: folders[name] for name in comparison.systems}, output)
    return output


def _write(comparison: Comparison, spec: RunSpec, folders: Mapping[str, Sequence[Path]], output: Path) -> None:
    """The table in every format, and where each system's scores are."""
    from optical_sweeps.curves.claims.systems_table import differences, systems_table

    languages = spec.languages.all
    cells = [
        cell
        for measure in comparison.measures
        for cell in differences(
            _scores(folders, str(measure), comparison.split), languages, comparison.reference, comparison.alpha
        )
    ]
    table = systems_table(cells, languages, comparison.reference, comparison.split, comparison.alpha)
    output.mkdir(parents=True, exist_ok=True)
    for kind, ending in ENDINGS.items():
        write_text(output / f"systems.{ending}", table.render(kind))
    places = {name: [str(folder) for folder in of] for name, of in folders.items()}
    write_json(output / "systems.json", {"systems": places, "reference": comparison.reference})
    echo()
    echo(table.render("markdown").rstrip())
    echo()
    echo(f"{output / 'systems'}.md, .tex, .csv, .json")


def _scores(folders: Mapping[str, Sequence[Path]], measure: str, split: str) -> Any:
    """Every system's per-query values of a measure, averaged over its runs."""
    import numpy as np

    from optical_sweeps.curves.claims.systems_table import SystemScores
    from optical_sweeps.report.query_scores import read_query_scores

    named = {str(folder): folder for of in folders.values() for folder in of}
    read = read_query_scores(named, measure, split)
    if unread := [run for run in named if run not in read.runs]:
        raise UserError(
            f"systems: {unread[0]} holds no per_query.parquet; delete that folder, and compare again"
        )
    row_of = {run: row for row, run in enumerate(read.runs)}
    values = np.stack([read.values[[row_of[str(folder)] for folder in of]].mean(0) for of in folders.values()])
    seeds = tuple(len(of) for of in folders.values())
    languages, ids = zip(*read.queries, strict=True)
    return SystemScores(measure, tuple(folders), seeds, languages, ids, values)
