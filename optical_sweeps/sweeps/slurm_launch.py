"""Submits points of a grid to Slurm, behind Hydra's launcher and `sweep submit`, and waits for their runs."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from math import nan
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from optical_sweeps.console import echo, progress
from optical_sweeps.errors import UserError
from optical_sweeps.runs.run import main_score
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.settings import from_mapping
from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.slurm.submission import submit
from optical_sweeps.slurm.waiting import End, wait_for
from optical_sweeps.sweeps.compose import Composer
from optical_sweeps.sweeps.grid import GRID_FILE, Grid, GridPoint
from optical_sweeps.sweeps.grid_planning import Planner
from optical_sweeps.sweeps.trusted_grid import trust_of
from optical_sweeps.terminal_text import count_text


def launch(
    loader: ConfigLoaderImpl, config: DictConfig, options: Mapping[str, object], jobs: Sequence[Sequence[str]]
) -> Sequence[JobReturn]:
    """Submit the points, wait for their runs if the settings say so, and return their results to Hydra."""
    settings = launcher_settings(options)
    sweep = Path(config.hydra.sweep.dir)
    known = Grid.load(sweep).points if (sweep / GRID_FILE).exists() else ()
    points = _points(known, Planner(Composer(loader, config), devices=False), jobs)
    runs = dict.fromkeys(point.run for point in points)
    open_runs = [run for run in runs if not RunFolder(sweep / run).record_path.exists()]
    with nullcontext() if set(points) <= set(known) else Grid(sweep, tuple(points)).saved():
        if open_runs:
            grid = Grid.load(sweep)
            shared, trust = grid.sharing_groups(open_runs), trust_of(grid)
            submit(sweep, open_runs, settings, shared, trust=trust.options())
    labels = {point.run: point.label for point in points}
    ends = _wait(sweep, open_runs, settings.poll_seconds, labels) if settings.wait else {}
    return [_result(sweep, config, point, ends.get(point.run)) for point in points]


def launcher_settings(options: Mapping[str, object] | DictConfig) -> SlurmSettings:
    """The settings under `hydra.launcher`.

    Raises:
        UserError: an unknown key, or a value that is not allowed.
    """
    plain = OmegaConf.to_container(OmegaConf.create(dict(options)), resolve=True)
    assert isinstance(plain, dict)
    return from_mapping(SlurmSettings, {str(key): value for key, value in plain.items() if key != "_target_"})


def slurm_settings(launcher: DictConfig, command: str) -> SlurmSettings:
    """The settings of a config's launcher.

    Raises:
        UserError: the launcher is not Slurm's.
    """
    target = str(launcher.get("_target_"))
    if not target.endswith(".SlurmLauncher"):
        raise UserError(f"{command}: {target} submits nothing; choose hydra/launcher=slurm_cpu or slurm_gpu")
    return launcher_settings(launcher)


def _points(known: Sequence[GridPoint], planner: Planner, jobs: Sequence[Sequence[str]]) -> list[GridPoint]:
    """The grid's points with these overrides; points that another sweeper chose are planned here."""
    by_overrides = {point.overrides: point for point in known}
    points = []
    for job in jobs:
        # a sweeper adds settings of Hydra's own to a point: its folder and its title
        overrides = tuple(text for text in job if not text.lstrip("+~").startswith(("hydra.", "hydra/")))
        points.append(by_overrides.get(overrides) or planner.point(overrides).point)
    return points


def _wait(sweep: Path, runs: Sequence[str], poll_seconds: float, labels: Mapping[str, str]) -> dict[str, End]:
    """How the runs ended; incomplete if the user stops waiting with Ctrl-C."""
    ends: dict[str, End] = {}

    def ended(run: str, end: End) -> None:
        ends[run] = end
        echo(f"{labels[run]}: {outcome(RunFolder(sweep / run), end)}")

    try:
        with progress("waiting for Slurm") as advance:
            wait_for(sweep, runs, poll_seconds, ended, lambda _: advance(len(ends), len(runs)))
    except KeyboardInterrupt:
        echo(
            f"no longer waiting for {count_text(len(runs) - len(ends), 'run')} in the queue; "
            f"status: optical-sweeps sweep status {sweep}, cancel: optical-sweeps sweep cancel {sweep}"
        )
    return ends


def outcome(folder: RunFolder, end: End) -> str:
    """How a run ended, in words."""
    if end == "done":
        return f"done in {folder.record()['timings']['total']:.1f} s"
    if end == "failed":
        return f"FAILED: {folder.failure().get('message', '')}"
    return f"LOST: killed, cancelled or never started; see optical-sweeps sweep logs {folder.path}"


def _result(sweep: Path, config: DictConfig, point: GridPoint, end: End | None) -> JobReturn:
    """For Hydra: the run's main score on dev, its error, or NaN if it has not ended."""
    folder = RunFolder(sweep / point.run)
    value: float | UserError = nan
    if folder.record_path.exists():
        value = main_score(folder.record(), "dev")
    elif end is not None:
        value = UserError(f"{point.label}: {outcome(folder, end)}")
    return JobReturn(
        overrides=list(point.overrides),
        cfg=None,
        hydra_cfg=config,
        working_dir=str(folder.path),
        task_name="train",
        status=JobStatus.FAILED if isinstance(value, UserError) else JobStatus.COMPLETED,
        _return_value=value,
    )
