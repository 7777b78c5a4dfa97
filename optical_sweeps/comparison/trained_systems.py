"""Systems that are runs of the study's sweep: composed, checked, done or resumed like any other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.comparison.comparison_settings import OWN_KEYS
from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.sweeps.grid import Grid, GridPoint


@dataclass(frozen=True)
class TrainedSystems:
    """The runs of each trained system, all checked.

    Args:
        points: of each system, one a seed; those of a system that trains nothing are one run.
    """

    points: Mapping[str, tuple[GridPoint, ...]]
    folder: Path
    config_dir: str | None

    @classmethod
    def planned(
        cls,
        trained: Mapping[str, Sequence[str]],
        seeds: Sequence[int],
        overrides: Sequence[str],
        config_dir: str | None,
        folder: Path,
    ) -> "TrainedSystems":
        """Compose and check the runs of every system.

        Args:
            trained: name -> overrides of `train` that make the system.
            overrides: of the comparison; those that a system sets, and the comparison's own, do not count.
            folder: of the sweep.

        Raises:
            UserError: a point cannot be composed, or would fail; it is named.
        """
        from optical_sweeps.sweeps.compose import Composer, hydra_composition
        from optical_sweeps.sweeps.grid_planning import Planner
        from optical_sweeps.sweeps.hydra_app import hydra_app

        if not trained:
            return cls({}, folder, config_dir)
        points: dict[str, tuple[GridPoint, ...]] = {}
        with hydra_app("train", config_dir) as app:
            planner = Planner(Composer(hydra_composition(app.loader, app.master)))
            for name, own in trained.items():
                shared = overrides_of_run(overrides, [*own, "seed=0"])
                points[name] = tuple(planner.point([*shared, *own, f"seed={seed}"], told=()) for seed in seeds)
        return cls(points, folder, config_dir)

    def run(self) -> None:
        """Do what is not done; the sweep's grid knows of it.

        Raises:
            UserError: a run failed, or another process works on it.
        """
        from optical_sweeps.sweeps.points import run_points

        asked = tuple(point for points in self.points.values() for point in points)
        if not asked:
            return
        Grid(self.folder, asked, config_dir=self.config_dir).save()
        distinct = list({point.run: point.overrides for point in asked}.values())
        for result in run_points(distinct, config_dir=self.config_dir):
            if result.state != "done":
                why = next(iter((result.error or "").splitlines()), f"its state is {result.state}")
                raise UserError(f"systems: run {result.run} is not done: {why}; see {self.folder / result.run}")

    def folders(self, name: str) -> tuple[Path, ...]:
        """The distinct runs of a system."""
        return tuple(dict.fromkeys(self.folder / point.run for point in self.points[name]))

    def undone(self) -> int:
        """How many distinct runs are still to be done."""
        runs = {point.run for points in self.points.values() for point in points}
        return sum(RunFolder(self.folder / run).state() != "done" for run in runs)


def overrides_of_run(overrides: Sequence[str], replaced: Sequence[str]) -> list[str]:
    """Those of a comparison's overrides that `train` takes, without keys that `replaced` sets."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create()
    taken = {parsed.get_key_element().lstrip("+~") for parsed in parser.parse_overrides(list(replaced))}
    kept = []
    for text, parsed in zip(overrides, parser.parse_overrides(list(overrides)), strict=True):
        root = (parsed.package or parsed.key_or_group).partition(".")[0]
        if root not in OWN_KEYS and parsed.get_key_element().lstrip("+~") not in taken:
            kept.append(text)
    return kept
