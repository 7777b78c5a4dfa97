"""`train`: one run, from its config to its record."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from optical_sweeps.console import echo
from optical_sweeps.errors import UserError, first_line, leave_on_user_error
from optical_sweeps.runs.distillation.pipeline import perform_unless_done
from optical_sweeps.runs.run_folder import RunFolder, RunIsTaken
from optical_sweeps.runs.spec.resolvers import register_resolvers
from optical_sweeps.runs.spec.run_spec import RunSpec

register_resolvers()  # here, because the worker processes of launchers import this module only


@leave_on_user_error
def run(config: DictConfig) -> float:
    """Do the run of a config unless it is done.

    A failed run does not stop a sweep: it writes `FAILED.json` and prints one line.

    Returns:
        The main measure over all languages on dev, or NaN if the run failed.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        spec = RunSpec.from_config(config)
        return _run_once(spec, spec.label)
    title = hydra.sweeper.get("title") if hydra.sweeper is not None else None
    try:
        spec = RunSpec.from_config(config)
        return _run_once(spec, title or spec.label)
    except Exception as error:
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        echo(f"{title or hydra.job.override_dirname}: FAILED: {kind}{first_line(error)}")
    return float("nan")


def _run_once(spec: RunSpec, name: str) -> float:
    folder = RunFolder(spec.folder)
    try:
        note = "" if perform_unless_done(spec, folder) else ", done before"
    except RunIsTaken:
        echo(f"{name}: another process is running it")
        return float("nan")
    record = folder.record()
    if not spec.machine.ranks().is_first:
        return _score(record, spec)
    main = record["measures"]["test"][str(spec.evaluation.main_measure)]
    groups = "  ".join(f"{group} {main[f'group:{group}']:.3f}" for group in spec.languages.groups)
    echo(f"{name}: {spec.evaluation.main_measure} {groups}, {record['timings']['total']:.1f} s{note}")
    return _score(record, spec)


def _score(record: Mapping[str, Any], spec: RunSpec) -> float:
    """The score for sweepers that optimise: it never uses the test split."""
    return float(record["measures"]["dev"][str(spec.evaluation.main_measure)]["group:all"])
