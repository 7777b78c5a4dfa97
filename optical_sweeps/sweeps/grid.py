"""The requested grid of a sweep, as `grid.json` stores it, and the states of its runs."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from filelock import FileLock

from optical_sweeps.errors import UserError
from optical_sweeps.limits import read_json
from optical_sweeps.runs.run_folder import RunFolder, State, check_run_id, write_text
from optical_sweeps.slurm.submission import queued_runs
from optical_sweeps.slurm.submission_plan import FOLDER, SharingGroup
from optical_sweeps.sweeps.stored_overrides import check_overrides, config_name

GRID_FILE = "grid.json"
GRID_SCHEMA = 3
ORDER: tuple[State, ...] = ("done", "running", "queued", "failed", "stale", "missing")
"""The order in which states are listed."""
assert set(ORDER) == set(get_args(State))


@dataclass(frozen=True)
class GridPoint:
    """One combination of swept values, and its run; several points may be the same run.

    Args:
        run: the run's id.
        note: the path of the note that says that what the run shares is built; None if it shares nothing.
    """

    overrides: tuple[str, ...]
    run: str
    label: str
    note: str | None = None

    def __post_init__(self) -> None:
        check_overrides(self.overrides)


@dataclass(frozen=True)
class Grid:
    """The requested points of a sweep.

    Args:
        folder: the sweep's folder, which holds the folders of its runs.
        config: the name of the config that the overrides apply to.
        config_dir: the folder that `--config-dir` named.
    """

    folder: Path
    points: tuple[GridPoint, ...]
    config: str = "train"
    config_dir: str | None = None

    @cached_property
    def point_of(self) -> dict[str, GridPoint]:
        """The last requested point of each run, in the order of the runs' first points."""
        return {point.run: point for point in self.points}

    @cached_property
    def runs(self) -> dict[str, RunFolder]:
        """The folders of the distinct runs, in the order of their first points."""
        return {run: RunFolder(self.folder / run) for run in self.point_of}

    @cached_property
    def place_of(self) -> dict[str, int]:
        """The number of each run among the distinct runs, from 1."""
        return {run: place for place, run in enumerate(self.point_of, start=1)}

    def labels(self) -> dict[str, str]:
        return {run: point.label for run, point in self.point_of.items()}

    @property
    def was_submitted(self) -> bool:
        """Whether any of its runs was submitted to Slurm."""
        return (self.folder / "submissions").is_dir()

    def states(self) -> dict[str, State]:
        """The current state of every run, from its folder and from Slurm's queue."""
        scheduled = queued_runs(self.folder) if self.was_submitted else {}
        return {run: _state(folder.state(), scheduled.get(run)) for run, folder in self.runs.items()}

    def sharing_groups(self, runs: Collection[str]) -> list[SharingGroup]:
        """Those of the runs that share something, grouped by what they share."""
        groups: dict[str, list[str]] = {}
        for run, point in self.point_of.items():
            if run in runs and point.note is not None:
                groups.setdefault(point.note, []).append(run)
        return [SharingGroup(note, tuple(members)) for note, members in groups.items()]

    def save(self) -> "Grid":
        """Write the points into the sweep's folder, after those requested earlier; returns the whole grid."""
        with self._locked():
            return self._added()

    @contextmanager
    def saved(self) -> Iterator["Grid"]:
        """Like `save`, for a block that submits runs.

        If the block raises a UserError and has submitted nothing, the file is as before.

        The file stays if somebody else saved the sweep or submitted runs of it in the meantime.
        """
        path = self.folder / GRID_FILE
        with self._locked():
            before = path.read_text(encoding="utf-8") if path.exists() else None
            whole = self._added()
            version, submissions = _version(path), _submissions(self.folder)
        try:
            yield whole
        except UserError:
            with self._locked():
                if (_version(path), _submissions(self.folder)) == (version, submissions):
                    path.unlink() if before is None else write_text(path, before)
            raise

    def _locked(self) -> FileLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / ".grid.lock")

    def _added(self) -> "Grid":
        """Write the points after those that the file has; the caller holds the lock."""
        path = self.folder / GRID_FILE
        earlier = Grid.load(self.folder).points if path.exists() else ()
        known = {point.overrides: point for point in (*earlier, *self.points)}
        whole = replace(self, points=tuple(known.values()))
        write_text(path, _text(whole))
        return whole

    @classmethod
    def load(cls, folder: Path) -> "Grid":
        """Read a sweep's grid.

        Raises:
            UserError: the folder holds no sweep, or its grid file is broken or of another version.
        """
        path = folder / GRID_FILE
        try:
            content = read_json(path)
            schema = content["schema"]
            if schema == GRID_SCHEMA:
                config = config_name(content["config"])
                points = tuple(_point(p) for p in content["points"])
                folder_of_configs = content["config_dir"]
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(f"{folder}: no {GRID_FILE}, so no sweep; name a folder under multirun/") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path}: not a sweep's grid ({error}); delete it and run the sweep again: "
                "finished runs are kept"
            ) from error
        if schema != GRID_SCHEMA:
            raise UserError(
                f"{path}: schema {schema!r}, but this version reads {GRID_SCHEMA}; delete it and run the sweep "
                "again: finished runs are kept"
            )
        return cls(folder, points, config, None if folder_of_configs is None else str(folder_of_configs))


def _point(content: Mapping[str, object]) -> GridPoint:
    overrides, note = content["overrides"], content["note"]
    if not isinstance(overrides, list) or not isinstance(note, str | None):
        raise TypeError("a point without overrides")
    run, label = str(content["run"]), " ".join(str(content["label"]).split())
    check_run_id(run)
    return GridPoint(tuple(map(str, overrides)), run, label, note)


def describe(states: Mapping[str, State | Literal["interrupted"]]) -> str:
    """Counts of states in words, such as `19 done, 2 missing`.

    Args:
        states: those of runs that the caller has just stopped can be `interrupted`.
    """
    counts: Counter[str] = Counter(states.values())
    done, *others = ORDER
    return ", ".join(f"{counts[state]:,} {state}" for state in (done, "interrupted", *others) if counts[state])


def values_of(overrides: Sequence[str]) -> dict[str, str]:
    """The keys that a point sets, with their values as written."""
    pairs = (text.partition("=") for text in overrides)
    return {key.lstrip("+"): value for key, _, value in pairs}


def _state(state: State, scheduled: str | None) -> State:
    """A submitted run is queued until its task reaches it; a run that failed in a running task stays failed."""
    waits = state in ("missing", "stale") or (state == "failed" and scheduled == "queued")
    return "queued" if scheduled is not None and waits else state


def _version(path: Path) -> tuple[int, int] | None:
    """Changes whenever the file is saved, even with equal content: every save writes a new file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _submissions(sweep: Path) -> set[str]:
    """The names of the sweep's submissions, of which a refused one leaves none."""
    folder = sweep / FOLDER
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _text(grid: Grid) -> str:
    """JSON with one line per point, for people and for diffs."""
    head = {"schema": GRID_SCHEMA, "config": grid.config, "config_dir": grid.config_dir}
    rows = (json.dumps(asdict(point), ensure_ascii=False) for point in grid.points)
    return f'{json.dumps(head, ensure_ascii=False)[:-1]}, "points": [\n' + ",\n".join(rows) + "\n]}\n"
