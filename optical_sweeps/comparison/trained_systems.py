"""Systems that are runs of the study's sweep: composed, checked, and done or resumed like any other run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.comparison.comparison_settings import COMPARISON_KEYS
from optical_sweeps.errors import UserError
from optical_sweeps.sweeps.grid import Grid, GridPoint


@dataclass(frozen=True)
class TrainedSystems:
    """The checked runs of each trained system.

    Args:
        points: the points of each system, one per seed and per choice of swept values; the points of a system
            that trains nothing are one run.
        folder: of the sweep.
        config_dir: the folder that `--config-dir` named.
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
            trained: overrides of `train` that make each system; they may sweep, such as over languages.
            overrides: of the comparison; a system's own overrides and its seed replace them.

        Raises:
            UserError: a point cannot be composed, or would fail; the message names it.
        """
        from optical_sweeps.sweeps.compose import Composer
        from optical_sweeps.sweeps.expand import expand
        from optical_sweeps.sweeps.grid_planning import Planner
        from optical_sweeps.sweeps.hydra_app import hydra_app

        if not trained:
            return cls({}, folder, config_dir)
        points: dict[str, tuple[GridPoint, ...]] = {}
        with hydra_app("train", config_dir) as app:
            planner = Planner(Composer(app.loader, app.master))
            for name, own in trained.items():
                shared = overrides_of_run(overrides, [*own, "seed=0"])
                points[name] = tuple(
                    planner.point([*shared, *choice, f"seed={seed}"]).point
                    for choice in expand({}, own, app.loader)
                    for seed in seeds
                )
        return cls(points, folder, config_dir)

    def run(self) -> None:
        """Do the runs that are not done, and add all of them to the sweep's grid.

        Raises:
            UserError: a run failed, or another process is running it.
        """
        from optical_sweeps.sweeps.points import run_points

        points = tuple(point for of_system in self.points.values() for point in of_system)
        if not points:
            return
        Grid(self.folder, points, config_dir=self.config_dir).save()
        distinct = list({point.run: point.overrides for point in points}.values())
        for result in run_points(distinct, config_dir=self.config_dir):
            if result.state != "done":
                reason = next(iter((result.error or "").splitlines()), f"its state is {result.state}")
                raise UserError(
                    f"systems: run {result.run} is not done: {reason}; see {self.folder / result.run}"
                )

    def folders(self, name: str) -> tuple[Path, ...]:
        """The folders of a system's distinct runs."""
        return tuple(dict.fromkeys(self.folder / point.run for point in self.points[name]))


def overrides_of_run(overrides: Sequence[str], replaced: Sequence[str]) -> list[str]:
    """The overrides of a comparison that `train` accepts, without the keys that `replaced` sets."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create()
    keys = {parsed.get_key_element().lstrip("+~") for parsed in parser.parse_overrides(list(replaced))}
    kept = []
    for text, parsed in zip(overrides, parser.parse_overrides(list(overrides)), strict=True):
        root = (parsed.package or parsed.key_or_group).partition(".")[0]
        if root not in COMPARISON_KEYS and parsed.get_key_element().lstrip("+~") not in keys:
            kept.append(text)
    return kept
