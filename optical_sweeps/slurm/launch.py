"""Points to Slurm: found in the grid, submitted, and waited for; behind Hydra's launcher and `sweep submit`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optical_sweeps.console import echo, progress
from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.slurm.submission import submit
from optical_sweeps.slurm.submission_plan import Shared
from optical_sweeps.slurm.waiting import End, wait_for
from optical_sweeps.sweeps.grid import Grid, GridPoint

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from omegaconf import DictConfig

    from optical_sweeps.sweeps.compose import Composer


def launch(
    loader: Any, config: "DictConfig", given: Mapping[str, Any], jobs: Sequence[Sequence[str]]
) -> "Sequence[JobReturn]":
    """Submit the points, wait for their runs if the settings say so, and tell Hydra how they ended."""
    from omegaconf import OmegaConf

    from optical_sweeps.sweeps.compose import Composer, hydra_composition

    plain: Any = OmegaConf.to_container(OmegaConf.create(dict(given)), resolve=True)
    settings = SlurmSettings.from_config(plain)
    sweep = Path(config.hydra.sweep.dir)
    composer = Composer(hydra_composition(loader, config))
    points = _points(sweep, composer, jobs)
    left = [
        run for run in dict.fromkeys(p.run for p in points) if not RunFolder(sweep / run).record_path.exists()
    ]
    if left:
        submit(sweep, left, settings, shared_by(composer, points, left))
    ends = _wait(sweep, left, settings, {point.run: point.label for point in points}) if settings.wait else {}
    return [_returned(sweep, config, point, ends.get(point.run)) for point in points]


def shared_by(composer: "Composer", points: Sequence[GridPoint], runs: Sequence[str]) -> list[Shared]:
    """What the runs share, by the configs of their points."""
    from optical_sweeps.sweeps.preparation import shared_among

    wanted = set(runs)
    return shared_among((point.run, composer(point.overrides)) for point in points if point.run in wanted)


def _points(sweep: Path, composer: "Composer", jobs: Sequence[Sequence[str]]) -> list[GridPoint]:
    """The grid's points for these overrides; those that another sweeper chose are planned and saved now."""
    from optical_sweeps.sweeps.grid import GRID_FILE
    from optical_sweeps.sweeps.grid_planning import Planner

    known = Grid.load(sweep).points if (sweep / GRID_FILE).exists() else ()
    by_overrides = {point.overrides: point for point in known}
    planner = Planner(composer, elsewhere=True)
    points = []
    for job in jobs:
        # a sweeper adds settings of Hydra's own to a point: where it lands, what it is called
        overrides = tuple(text for text in job if not text.lstrip("+~").startswith(("hydra.", "hydra/")))
        points.append(by_overrides.get(overrides) or planner.point(overrides))
    if any(point.overrides not in by_overrides for point in points):
        Grid(sweep, tuple(points)).save()
    return points


def _wait(
    sweep: Path, runs: Sequence[str], settings: SlurmSettings, labels: Mapping[str, str]
) -> dict[str, End]:
    """How the runs ended; empty where the user would not wait for it."""
    ends: dict[str, End] = {}

    def ended(run: str, end: End) -> None:
        ends[run] = end
        echo(f"{labels[run]}: {told(RunFolder(sweep / run), end)}")

    try:
        with progress("in Slurm's hands") as advance:
            wait_for(sweep, runs, settings.poll_seconds, ended, lambda _: advance(len(ends), len(runs)))
    except KeyboardInterrupt:
        echo(
            f"{len(runs) - len(ends)} runs go on without this program; "
            f"look: optical-sweeps sweep status {sweep}, cancel: optical-sweeps sweep cancel {sweep}"
        )
    return ends


def told(folder: RunFolder, end: End) -> str:
    """How a run ended, in words."""
    if end == "done":
        return f"done in {folder.record()['timings']['total']:.1f} s"
    if end == "failed":
        return f"FAILED: {folder.failure().get('message', '')}"
    return f"LOST: killed, cancelled or never begun; optical-sweeps sweep logs {folder.path} tells more"


def _returned(sweep: Path, config: "DictConfig", point: GridPoint, end: End | None) -> "JobReturn":
    """For Hydra: the run's dev score, what it failed of, or NaN where nobody waited for it."""
    from hydra.core.utils import JobReturn, JobStatus

    from optical_sweeps.evaluation.measures import Measure

    folder = RunFolder(sweep / point.run)
    value: Any = float("nan")
    if folder.record_path.exists():
        record = folder.record()
        main = str(Measure.parse(record["config"]["evaluation"]["measures"][0]))
        value = record["measures"]["dev"][main]["group:all"]
    elif end is not None:
        value = UserError(f"{point.label}: {told(folder, end)}")
    done = not isinstance(value, Exception)
    return JobReturn(
        overrides=list(point.overrides),
        cfg=None,
        hydra_cfg=config,
        working_dir=str(folder.path),
        task_name="train",
        status=JobStatus.COMPLETED if done else JobStatus.FAILED,
        _return_value=value,
    )
