"""`train`: one run, from its config to its record."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from optical_sweeps.console import say
from optical_sweeps.errors import UserError, first_line, leave_on_user_error
from optical_sweeps.sweeps.ledger import RunFolder, RunIsTaken
from optical_sweeps.sweeps.plan import GRID_FILE, Grid
from optical_sweeps.sweeps.resolvers import register_resolvers
from optical_sweeps.sweeps.run_spec import RunSpec
from optical_sweeps.verbs.perform import perform

register_resolvers()  # a launcher's worker process comes in by importing this module


@leave_on_user_error
def run(config: DictConfig) -> float:
    """Hydra's task: do the run unless it is done; return its test score of all languages, NaN if it failed.

    In a sweep a failed run does not stop the others: it leaves `FAILED.json` and a line.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    spec = RunSpec.from_config(config)
    folder = RunFolder(spec.folder)
    sweeping = HydraConfig.get().mode == RunMode.MULTIRUN
    name = _name(spec, folder) if sweeping else spec.label
    if sweeping and folder.state() == "done" and _is_repeat(spec, folder, int(HydraConfig.get().job.num)):
        return _score(folder.record(), spec)  # another grid point of the same run, which has its line
    try:
        return _run_once(spec, folder, name)
    except RunIsTaken:
        say(f"{name}: another process works on it")
    except Exception as error:
        if not sweeping:
            raise
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        say(f"{name}: FAILED: {kind}{first_line(error)}")
    return float("nan")


def _run_once(spec: RunSpec, folder: RunFolder, name: str) -> float:
    before = "" if folder.state() != "done" else ", done before"
    if not before:
        with folder.claim():
            if folder.state() != "done":
                perform(spec, folder)
    record = folder.record()
    main = record["measures"]["test"][str(spec.evaluation.main_measure)]
    groups = "  ".join(f"{group} {main[f'group:{group}']:.3f}" for group in spec.languages.groups)
    say(f"{name}: {spec.evaluation.main_measure} {groups}, {record['timings']['total']:.1f} s{before}")
    return _score(record, spec)


def _score(record: Mapping[str, Any], spec: RunSpec) -> float:
    return float(record["measures"]["test"][str(spec.evaluation.main_measure)]["group:all"])


def _is_repeat(spec: RunSpec, folder: RunFolder, number: int) -> bool:
    """Whether an earlier point of the sweep's grid is the same run."""
    if not (folder.path.parent / GRID_FILE).exists():
        return False
    runs = [point.run for point in Grid.load(folder.path.parent).points]
    return spec.id in runs and runs.index(spec.id) < number < len(runs) and runs[number] == spec.id


def _name(spec: RunSpec, folder: RunFolder) -> str:
    """`[ 3/21] optical ratio=0.5 ...`: the run's place and label in the sweep's grid."""
    if not (folder.path.parent / GRID_FILE).exists():
        return spec.label
    labels = Grid.load(folder.path.parent).labels()
    if spec.id not in labels:
        return spec.label
    place = list(labels).index(spec.id) + 1
    return f"[{place:>{len(str(len(labels)))}}/{len(labels)}] {labels[spec.id]}"
