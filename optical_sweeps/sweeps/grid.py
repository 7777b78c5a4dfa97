"""The grid of a sweep as it was asked for, and what its runs' folders and the scheduler tell of it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from filelock import FileLock

from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import RunFolder, State, write_text

GRID_FILE = "grid.json"
GRID_SCHEMA = 2
ORDER: tuple[State, ...] = ("done", "running", "queued", "failed", "stale", "missing")
"""Of states, as they are told."""
assert set(ORDER) == set(get_args(State))


@dataclass(frozen=True)
class GridPoint:
    """One combination of swept values and the run that answers it; several points may be one run."""

    overrides: tuple[str, ...]
    run: str
    label: str


@dataclass(frozen=True)
class Grid:
    """A sweep as it was asked for.

    Args:
        folder: where its runs land.
        config: the name of the config that the overrides apply to.
        config_dir: a folder of further configs that was asked for with `--config-dir`.
    """

    folder: Path
    points: tuple[GridPoint, ...]
    config: str = "train"
    config_dir: str | None = None

    @cached_property
    def point_of(self) -> dict[str, GridPoint]:
        """By run, in the order of the runs' first points, the point that was asked for last."""
        return {point.run: point for point in self.points}

    @cached_property
    def runs(self) -> dict[str, RunFolder]:
        """The folders of the distinct runs, in the order of their first points."""
        return {run: RunFolder(self.folder / run) for run in self.point_of}

    @cached_property
    def place_of(self) -> dict[str, int]:
        """Which of the distinct runs each is, from 1."""
        return {run: place for place, run in enumerate(self.point_of, start=1)}

    def labels(self) -> dict[str, str]:
        return {run: point.label for run, point in self.point_of.items()}

    @property
    def was_submitted(self) -> bool:
        """Whether runs of it were ever given to Slurm."""
        return (self.folder / "submissions").is_dir()

    def states(self) -> dict[str, State]:
        """The state of every run, as folders and scheduler tell it now."""
        scheduled = _scheduled(self.folder) if self.was_submitted else {}
        return {run: _state(folder.state(), scheduled.get(run)) for run, folder in self.runs.items()}

    def save(self) -> "Grid":
        """Write the grid into the sweep's folder, beside points asked for earlier; returns all of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".grid.lock"):
            earlier = Grid.load(self.folder).points if (self.folder / GRID_FILE).exists() else ()
            known = {point.overrides: point for point in (*earlier, *self.points)}
            whole = replace(self, points=tuple(known.values()))
            write_text(self.folder / GRID_FILE, _text(whole))
        return whole

    @classmethod
    def load(cls, folder: Path) -> "Grid":
        """Read a sweep's grid.

        Raises:
            UserError: the folder holds no sweep, or a broken or newer one.
        """
        path = folder / GRID_FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            schema = content.get("schema", 1)
            points = tuple(
                GridPoint(tuple(map(str, p["overrides"])), str(p["run"]), str(p["label"]))
                for p in content["points"]
            )
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(f"{folder}: no {GRID_FILE}, so no sweep; name a folder under multirun/") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path}: not a sweep's grid ({error}); delete it, and ask for the sweep again: its runs stay"
            ) from error
        if schema not in (1, GRID_SCHEMA):
            raise UserError(f"{path}: schema {schema!r}, this version reads {GRID_SCHEMA}; use a newer version")
        return cls(folder, points, content.get("config", "train"), content.get("config_dir"))


def describe(states: Mapping[str, State]) -> str:
    """Counts of states in words, such as `19 done, 2 missing`."""
    counts = Counter(states.values())
    return ", ".join(f"{counts[state]:,} {state}" for state in ORDER if counts[state])


def values_of(overrides: Sequence[str]) -> dict[str, str]:
    """The keys that a point sets, and to what, as written."""
    pairs = (text.partition("=") for text in overrides)
    return {key.lstrip("+"): value for key, _, value in pairs}


def _scheduled(sweep: Path) -> Mapping[str, str]:
    """What the scheduler tells of submitted runs: `queued` or `running`."""
    from optical_sweeps.slurm.submission import queued_runs

    return dict(queued_runs(sweep))


def _state(state: State, scheduled: str | None) -> State:
    """A submitted run waits until its turn comes; within a task that runs, failed is failed."""
    waits = state in ("missing", "stale") or (state == "failed" and scheduled == "queued")
    return "queued" if scheduled is not None and waits else state


def _text(grid: Grid) -> str:
    """JSON with a line a point: to be read by people and compared by tools."""
    head: dict[str, Any] = {"schema": GRID_SCHEMA, "config": grid.config, "config_dir": grid.config_dir}
    rows = (
        json.dumps({"overrides": p.overrides, "run": p.run, "label": p.label}, ensure_ascii=False)
        for p in grid.points
    )
    return f'{json.dumps(head, ensure_ascii=False)[:-1]}, "points": [\n' + ",\n".join(rows) + "\n]}\n"
