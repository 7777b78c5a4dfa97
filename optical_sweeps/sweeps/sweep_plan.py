"""What `train -m` would do for given overrides, and what it would cost; nothing is run."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from omegaconf import OmegaConf

from optical_sweeps.runs.prepared_note import is_prepared
from optical_sweeps.runs.run import PlanNotes
from optical_sweeps.runs.run_folder import State
from optical_sweeps.sweeps.estimate import Estimate, estimate, past_runs_near
from optical_sweeps.sweeps.grid import ORDER, Grid
from optical_sweeps.sweeps.grid_map import axes
from optical_sweeps.sweeps.grid_planning import plan_grid
from optical_sweeps.sweeps.hydra_app import hydra_app


@dataclass(frozen=True)
class SharingSummary:
    """How many runs share parts that are built once, and whether these are in the store."""

    runs: int
    in_store: bool


@dataclass(frozen=True)
class SweepPlan:
    """A grid, the states of its runs and their cost.

    Args:
        axes: values of each swept key.
        notes: what the unfinished runs need of shared data.
        launcher: settings of the Hydra launcher, with its `_target_`.
    """

    grid: Grid
    states: Mapping[str, State]
    axes: Mapping[str, tuple[str, ...]]
    shared: tuple[SharingSummary, ...]
    estimate: Estimate
    notes: PlanNotes
    launcher: Mapping[str, object]

    @property
    def unfinished(self) -> int:
        """The number of runs that are not done."""
        return sum(state != "done" for state in self.states.values())

    def as_dict(self) -> dict[str, object]:
        """The plan for programs."""
        counts = Counter(self.states.values())
        return {
            "sweep": str(self.grid.folder),
            "points": len(self.grid.points),
            "runs": [
                {"run": run, "label": self.grid.point_of[run].label, "state": state}
                for run, state in self.states.items()
            ],
            "counts": {state: counts[state] for state in ORDER if counts[state]},
            "axes": {key: list(values) for key, values in self.axes.items()},
            "shared": [asdict(parts) for parts in self.shared],
            "estimate": asdict(self.estimate),
            **self.notes.facts,
        }


def plan_sweep(overrides: Sequence[str], config: str = "train", config_dir: str | None = None) -> SweepPlan:
    """Compose and check every point of a sweep, and estimate its cost from earlier records.

    Args:
        overrides: as for `train -m`.
        config: name of the root config.
        config_dir: a further folder of configs.

    Raises:
        UserError: a point cannot be composed, or would fail; the message names it.
    """
    with hydra_app(config, config_dir, overrides) as app:
        planned = plan_grid(app.master, app.loader, app.overrides)
        grid = planned.grid
        states = grid.states()
        unfinished = [run for run, state in states.items() if state != "done"]
        past, source = past_runs_near(grid.folder, planned.run_type)
        demands = {planned.demands[run] for run in unfinished} - {None}
        notes = planned.run_type.plan_notes(demands)
        launcher = OmegaConf.to_container(app.master.hydra.launcher, resolve=True)
    assert isinstance(launcher, dict)
    return SweepPlan(
        grid=grid,
        states=states,
        axes=axes(grid),
        shared=tuple(
            SharingSummary(len(group.runs), is_prepared(Path(group.note)))
            for group in grid.sharing_groups(unfinished)
        ),
        estimate=estimate([planned.workloads[run] for run in unfinished], past, source),
        notes=notes,
        launcher={str(key): value for key, value in launcher.items()},
    )
