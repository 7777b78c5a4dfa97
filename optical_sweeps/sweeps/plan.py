"""The grid of a sweep: checked as a whole before its first run, written down, and summed up at its end."""

import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from optical_sweeps.console import progress, say
from optical_sweeps.errors import UserError, leave_on_error
from optical_sweeps.sweeps.ledger import RunFolder, State, write_json
from optical_sweeps.sweeps.run_spec import RunSpec

GRID_FILE = "grid.json"


@dataclass(frozen=True)
class GridPoint:
    """One combination of swept values and the run that answers it; several points may be one run."""

    overrides: tuple[str, ...]
    run: str
    label: str


@dataclass(frozen=True)
class Grid:
    """A sweep as it was asked for."""

    folder: Path
    points: tuple[GridPoint, ...]

    @property
    def runs(self) -> dict[str, RunFolder]:
        """The distinct runs, in the order of their first grid point."""
        return {point.run: RunFolder(self.folder / point.run) for point in self.points}

    def states(self) -> dict[str, State]:
        return {run: folder.state() for run, folder in self.runs.items()}

    def labels(self) -> dict[str, str]:
        return {point.run: point.label for point in self.points}

    def save(self) -> None:
        """Write the grid into the sweep's folder, beside points asked for earlier."""
        self.folder.mkdir(parents=True, exist_ok=True)
        earlier = Grid.load(self.folder).points if (self.folder / GRID_FILE).exists() else ()
        known = {point.overrides: point for point in (*earlier, *self.points)}
        points = [{"overrides": list(p.overrides), "run": p.run, "label": p.label} for p in known.values()]
        write_json(self.folder / GRID_FILE, {"points": points})

    @classmethod
    def load(cls, folder: Path) -> "Grid":
        """Read a sweep's grid.

        Raises:
            UserError: the folder holds no sweep.
        """
        try:
            content = json.loads((folder / GRID_FILE).read_text())
        except FileNotFoundError:
            raise UserError(f"{folder}: no {GRID_FILE}, so no sweep; name a folder under multirun/") from None
        points = (GridPoint(tuple(p["overrides"]), p["run"], p["label"]) for p in content["points"])
        return cls(folder, tuple(points))


class CheckedGrid(Callback):
    """Hydra callback: every point is checked before the first run starts."""

    def __init__(self) -> None:
        self.grid: Grid | None = None

    @leave_on_error
    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        RunSpec.from_config(config).check()

    @leave_on_error
    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        points = _expand(config)
        if points is None:
            return
        with progress("checking the grid") as advance:
            checked, swept = [], _swept(points)
            for number, point in enumerate(points):
                advance(number, len(points))
                checked.append(_checked(config, point, swept))
        self.grid = Grid(Path(config.hydra.sweep.dir), tuple(checked))
        self.grid.save()
        distinct = len(self.grid.runs)
        same = f" ({distinct} distinct runs)" if distinct < len(points) else ""
        say(f"{len(points)} grid points{same}: {describe(self.grid.states())} -> {self.grid.folder}")

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        if self.grid is None:
            return
        states = self.grid.states()
        say(f"{describe(states)} in {self.grid.folder}")
        failed = [run for run, state in states.items() if state == "failed"]
        for run in failed:
            say(f"  failed: {self.grid.labels()[run]}: see {self.grid.runs[run].failure_path}")
        if failed:
            raise SystemExit(1)


def describe(states: Mapping[str, State]) -> str:
    """Counts of states in words, such as `19 done, 2 missing`."""
    counts = Counter(states.values())
    order: Sequence[State] = ("done", "running", "failed", "stopped", "missing")
    return ", ".join(f"{counts[state]} {state}" for state in order if counts[state])


def _checked(master: DictConfig, overrides: Sequence[str], swept: set[str]) -> GridPoint:
    try:
        spec = RunSpec.from_config(_compose(master, overrides))
        spec.check()
    except UserError as error:
        raise UserError(f"{error} [grid point: {' '.join(overrides)}]") from error
    return GridPoint(tuple(overrides), spec.id, _label(spec, overrides, swept))


def _swept(points: Sequence[Sequence[str]]) -> set[str]:
    """The keys that take more than one value."""
    values: dict[str, set[str]] = {}
    for text in itertools.chain.from_iterable(points):
        values.setdefault(text.partition("=")[0], set()).add(text)
    return {key for key, texts in values.items() if len(texts) > 1}


def _label(spec: RunSpec, overrides: Sequence[str], swept: set[str]) -> str:
    """The run's own label, and what else is swept, for people."""
    told = {"objective", "mixture", "seed", "mixture.ratio", "mixture.total"}
    other = [text for text in overrides if text.partition("=")[0] in swept - told]
    return " ".join([spec.label, *other])


def _compose(master: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The config of one grid point, composed as Hydra's launchers compose it."""
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    return hydra.config_loader.load_sweep_config(master, list(overrides))


def _expand(config: DictConfig) -> list[tuple[str, ...]] | None:
    """Every combination of the swept values; none where the sweeper chooses values by itself."""
    if not config.hydra.sweeper._target_.endswith("BasicSweeper"):
        return None
    params = config.hydra.sweeper.params or {}
    texts = [f"{key}={value}" for key, value in params.items()] + list(config.hydra.overrides.task)
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    parsed = OverridesParser.create(config_loader=hydra.config_loader).parse_overrides(texts)
    by_key = {override.get_key_element(): _values(override) for override in parsed}
    return list(itertools.product(*by_key.values()))


def _values(override: Override) -> list[str]:
    key = override.get_key_element()
    if override.is_sweep_override():
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    return [f"{key}={override.get_value_element_as_str()}"]
