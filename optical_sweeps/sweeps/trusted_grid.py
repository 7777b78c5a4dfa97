"""What the user confirms again before a stored grid is run: folders of configs and foreign classes.

Both can run code, so neither is taken from `grid.json` alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser

from optical_sweeps.config_classes import ALLOW_FLAG, ALLOW_KEY, allow_foreign_classes, check_allowed
from optical_sweeps.errors import UserError
from optical_sweeps.sweeps.grid import GRID_FILE, Grid


@dataclass(frozen=True)
class Trust:
    """What the user of a command accepts to run.

    Args:
        config_dir: a folder of configs; None: only those of this package.
        classes: foreign classes.
    """

    config_dir: str | None = None
    classes: tuple[str, ...] = ()

    def check(self, grid: Grid, runs: Sequence[str]) -> None:
        """Refuse a grid that needs more than this, and accept the classes in this process.

        Raises:
            UserError: naming the folder or the class, and the option that accepts it.
        """
        if grid.config_dir is not None and self.config_dir is None:
            raise UserError(
                f"{grid.folder / GRID_FILE}: its configs are in {grid.config_dir}, and configs can run code; "
                f"if you trust them, add --config-dir {grid.config_dir}"
            )
        for run in runs:
            names = stored_classes(grid.point_of[run].overrides)
            check_allowed(names, self.classes, str(grid.folder / GRID_FILE))
        allow_foreign_classes(self.classes)

    def options(self) -> list[str]:
        """The options of a command that accept the same."""
        folder = [] if self.config_dir is None else ["--config-dir", str(Path(self.config_dir).resolve())]
        return [*folder, *(word for name in self.classes for word in (ALLOW_FLAG, name))]


def stored_classes(overrides: Sequence[str]) -> list[str]:
    """The foreign classes that stored overrides accept.

    Raises:
        UserError: they change the list in another way than by setting it.
    """
    names: list[str] = []
    for text in overrides:
        key = text.partition("=")[0].lstrip("+~")
        if ALLOW_KEY not in key:
            continue
        value = OverridesParser.create().parse_override(text).value() if key == ALLOW_KEY else None
        if not isinstance(value, list):
            raise UserError(f"{text}: write it as {ALLOW_KEY}=[my_module.MyClass]")
        names.extend(map(str, value))
    return names


def trust_of(grid: Grid) -> Trust:
    """What a grid that this process has planned from the user's command line needs."""
    names = dict.fromkeys(name for point in grid.points for name in stored_classes(point.overrides))
    return Trust(grid.config_dir, tuple(names))
