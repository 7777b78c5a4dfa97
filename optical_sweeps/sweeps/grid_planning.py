"""From the points that were asked for to runs: every point composed, checked and named before anything runs."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from omegaconf.errors import OmegaConfBaseException

from optical_sweeps.errors import UserError, hydra_message
from optical_sweeps.sweeps.compose import Composer
from optical_sweeps.sweeps.expand import swept_keys
from optical_sweeps.sweeps.grid import GridPoint
from optical_sweeps.sweeps.point_checks import PointChecks

TOLD_BY_LABEL = {"objective", "mixture", "seed", "mixture.ratio", "mixture.total", "mixture.multiple"}
"""Keys whose values a run's own label tells."""


class Planner:
    """Turns overrides into grid points; what points share is done once.

    Args:
        elsewhere: as of `PointChecks`.
    """

    def __init__(self, composer: Composer, *, elsewhere: bool = False) -> None:
        self._composer, self._checks = composer, PointChecks(elsewhere=elsewhere)

    def point(self, overrides: Sequence[str], told: Sequence[str] = ()) -> GridPoint:
        """The point of these overrides, which passes all checks.

        Args:
            told: keys whose values go into the label, beside the run's own.

        Raises:
            UserError: it cannot be composed, or would fail; the point is named.
        """
        return self.placed(overrides, told)[0]

    def placed(self, overrides: Sequence[str], told: Sequence[str] = ()) -> tuple[GridPoint, Path]:
        """The point, and the folder of its sweep."""
        from hydra.errors import HydraException

        try:
            sections = self._composer(overrides)
            spec = self._checks.spec(sections)
            run = self._checks.run(spec, sections)
        except (UserError, HydraException, OmegaConfBaseException) as error:
            line = hydra_message(error)
            raise UserError(f"{line} [grid point: {' '.join(overrides)}]") from error
        others = [text for text in overrides if text.partition("=")[0] in told]
        point = GridPoint(tuple(overrides), run, " ".join([spec.label, *others]))
        return point, spec.sweep


def plan_points(
    points: Sequence[Sequence[str]],
    composer: Composer,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    elsewhere: bool = False,
) -> Iterator[GridPoint]:
    """The points' runs, in their order.

    Args:
        elsewhere: as of `PointChecks`.

    Raises:
        UserError: a point cannot be composed, would fail, or belongs to another sweep; it is named.
    """
    planner = Planner(composer, elsewhere=elsewhere)
    told = [key for key in swept_keys(points) if key not in TOLD_BY_LABEL]
    sweep: Path | None = None
    for number, overrides in enumerate(points):
        if number % 64 == 0:
            progress(number, len(points))
        point, folder = planner.placed(overrides, told)
        if sweep not in (None, folder):
            raise UserError(
                f"paths.sweeps, sweep.name: {folder}, but points before are of {sweep}; sweep one folder at a "
                f"time [grid point: {' '.join(overrides)}]"
            )
        sweep = folder
        yield point
