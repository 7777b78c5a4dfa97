"""From the points of a grid to runs: every point is composed, checked and named before anything runs."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.conf import HydraConf
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from optical_sweeps.console import Advance, progress
from optical_sweeps.errors import UserError
from optical_sweeps.runs.run import Run, Workload, build_run
from optical_sweeps.sweeps.compose import Composer
from optical_sweeps.sweeps.conf_folder import conf_folder
from optical_sweeps.sweeps.expand import expand, swept_keys
from optical_sweeps.sweeps.grid import Grid, GridPoint
from optical_sweeps.sweeps.hydra_messages import hydra_message

SUBFOLDERS = ("${run_id:}", "${hydra.job.num}", "???", None)
"""`hydra.sweep.subdir` of conf/sweep_base.yaml, and of a config of your own that leaves it out."""


@dataclass(frozen=True)
class PlannedPoint:
    """A grid point, the folder of its sweep, its workload and demand, and the class of its run."""

    point: GridPoint
    sweep: Path
    workload: Workload
    demand: Hashable | None
    run_type: type[Run]


@dataclass(frozen=True)
class PlannedGrid:
    """A grid whose points all compose and pass their checks.

    Args:
        workloads: by run id.
        demands: by run id, what the runs need of shared data.
        run_type: the class of the runs.
    """

    grid: Grid
    workloads: Mapping[str, Workload]
    demands: Mapping[str, Hashable | None]
    run_type: type[Run]


class Planner:
    """Turns overrides into grid points.

    Args:
        devices: check this machine's devices; false if the runs are for other machines.
    """

    def __init__(self, composer: Composer, *, devices: bool = True) -> None:
        self._composer, self._devices = composer, devices
        self._demands: dict[Hashable, Hashable] = {}  # points with equal demands share one object

    def point(self, overrides: Sequence[str], swept: Sequence[str] = ()) -> PlannedPoint:
        """The point of these overrides, which passes all checks.

        Args:
            swept: keys whose values the label must show.

        Raises:
            UserError: the point cannot be composed, or would fail; the point is named.
        """
        try:
            return self.nameless_point(overrides, swept)
        except UserError as error:
            raise UserError(f"{error} {_named(overrides)}") from error

    def nameless_point(self, overrides: Sequence[str], swept: Sequence[str] = ()) -> PlannedPoint:
        """Like `point`, but an error does not name the point."""
        try:
            run = build_run(self._composer(overrides))
            run.check(devices=self._devices)
            note = run.shared_note()
            demand = run.demand()
            shown = [key for key in swept if key not in run.label_keys]
            others = [text for text in overrides if text.partition("=")[0] in shown]
            label = " ".join([run.label, *others])
            point = GridPoint(tuple(overrides), run.id, label, None if note is None else str(note))
        except (UserError, HydraException, OmegaConfBaseException) as error:
            raise UserError(hydra_message(error)) from error
        demand = self._demands.setdefault(demand, demand)
        return PlannedPoint(point, run.sweep, run.workload(run.config), demand, type(run))


def plan_points(
    points: Sequence[Sequence[str]],
    planner: Planner,
    advance: Advance = lambda done, total: None,
) -> list[PlannedPoint]:
    """The points' runs, in order.

    Raises:
        UserError: a point cannot be composed, would fail, or belongs to another sweep; the point is named.
    """
    swept = swept_keys(points)
    planned: list[PlannedPoint] = []
    for number, overrides in enumerate(points):
        if number % 64 == 0:
            advance(number, len(points))
        try:
            planned.append(planner.nameless_point(overrides, swept))
        except UserError as error:
            if _fails_alike(_most_different(overrides, points), planner, error):
                raise
            raise UserError(f"{error} {_named(overrides)}") from error
        if planned[-1].sweep != planned[0].sweep:
            raise UserError(
                f"paths.sweeps, sweep.name: {planned[-1].sweep}, but earlier points belong to "
                f"{planned[0].sweep}; sweep one folder at a time {_named(overrides)}"
            )
    return planned


def _named(overrides: Sequence[str]) -> str:
    return f"[grid point: {' '.join(overrides)}]"


def _most_different(overrides: Sequence[str], points: Sequence[Sequence[str]]) -> Sequence[str]:
    """The point that differs from another in the most overrides."""
    return max(points, key=lambda point: sum(a != b for a, b in zip(point, overrides, strict=False)))


def _fails_alike(overrides: Sequence[str], planner: Planner, error: UserError) -> bool:
    """Whether a point fails with the same message, which then depends on nothing in which the points differ."""
    try:
        planner.nameless_point(overrides)
    except UserError as other:
        return str(other) == str(error)
    return False


class _PlanningComposer(Composer):
    """Refuses what a point's config says of its whole sweep but cannot decide."""

    def __init__(self, loader: ConfigLoaderImpl, master: DictConfig, arguments: Sequence[str]) -> None:
        super().__init__(loader, master)
        keys = {text.partition("=")[0].lstrip("+~") for text in arguments}
        _check_subfolder(master)
        self._keys = keys
        self._params: Mapping[str, object] = master.hydra.sweeper.get("params") or {}

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        config = super().compose(overrides)
        _check_subfolder(config)
        params = OmegaConf.select(config, "hydra.sweeper.params") or {}
        lost = [
            key for key, value in params.items() if key not in self._keys and self._params.get(key) != value
        ]
        if lost:
            raise UserError(
                f"hydra.sweeper.params: a swept config has swept values of its own ({', '.join(lost)}), which "
                "a sweep over configs does not read; sweep one at a time, or write them on the command line"
            )
        names = [OmegaConf.select(config, key) for key in ("paths.sweeps", "sweep.name")]
        folder = OmegaConf.select(config, "hydra.sweep.dir")
        if None not in (*names, folder) and Path(str(folder)) != Path(*map(str, names)):
            raise UserError(
                f"hydra.sweep.dir: {folder}, but runs belong into <paths.sweeps>/<sweep.name>; leave it out, "
                "and set paths.sweeps and sweep.name"
            )
        return config


def _check_subfolder(config: DictConfig) -> None:
    """Raises UserError if a config or an override names the folders of runs."""
    folders = OmegaConf.select(config, "hydra.sweep")
    plain = {} if folders is None else OmegaConf.to_container(folders, resolve=False)
    if isinstance(plain, dict) and plain.get("subdir") not in SUBFOLDERS:
        raise UserError("hydra.sweep.subdir: a run's folder is named by its id; leave it out")


def plan_grid(master: DictConfig, loader: ConfigLoaderImpl, arguments: Sequence[str]) -> PlannedGrid:
    """The grid that a multirun's config and overrides describe, every point composed and checked.

    Raises:
        UserError: a point cannot be composed, or would fail; the point is named.
    """
    points = expand(master.hydra.sweeper.get("params") or {}, arguments, loader)
    on_slurm = str(master.hydra.launcher.get("_target_")).endswith(".SlurmLauncher")
    planner = Planner(_PlanningComposer(loader, master, arguments), devices=not on_slurm)
    with progress("checking the grid") as advance:
        planned = plan_points(points, planner, advance)
    sweep = planned[-1].sweep
    if sweep != Path(str(master.hydra.sweep.dir)):  # swept recipes name their sweep themselves
        with read_write(master):
            master.hydra.sweep.dir = str(sweep)
    grid = Grid(
        sweep,
        tuple(each.point for each in planned),
        str(master.hydra.job.config_name),
        config_dir_of(master.hydra),
    )
    workloads = {each.point.run: each.workload for each in planned}
    demands = {each.point.run: each.demand for each in planned}
    return PlannedGrid(grid, workloads, demands, planned[-1].run_type)


def config_dir_of(hydra: DictConfig | HydraConf) -> str | None:
    """The folder of the user's configs: named by --config-dir, or that of the user's own Hydra program.

    Args:
        hydra: the section `hydra` of a composed config.
    """
    for source in hydra.runtime.config_sources:
        if source.schema != "file" or source.provider not in ("command-line", "main"):
            continue
        if (folder := Path(source.path).resolve()) != conf_folder().resolve():
            return str(folder)
    return None
