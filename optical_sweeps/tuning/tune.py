"""The tuning of a study: trials are drawn and performed as ordinary runs of a sweep."""

import importlib.util
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.runs.run import main_score
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.settings import from_mapping
from optical_sweeps.sweeps.compose import Composer
from optical_sweeps.sweeps.grid import Grid
from optical_sweeps.sweeps.grid_planning import PlannedPoint, Planner
from optical_sweeps.sweeps.hydra_app import HydraApp, hydra_app
from optical_sweeps.sweeps.points import run_planned
from optical_sweeps.tuning.search_space import SearchSpace, Value, override
from optical_sweeps.tuning.trial_store import Trial, TrialStore, by_turns
from optical_sweeps.tuning.tuning_results import write_results
from optical_sweeps.tuning.tuning_settings import TuningSettings

OWN_SECTIONS = ("tuning.", "search_space.")
WAIT_SECONDS = 2.0


def tune(overrides: Sequence[str], config_dir: str | None = None) -> Path:
    """Perform the trials that are missing and write the results; returns the tuning's folder.

    Several processes may share one tuning. If all trials that are left are performed elsewhere, this one waits
    for them, and takes over those of a process that died.

    Raises:
        UserError: a setting is wrong, or the first trial of an objective cannot be composed.
        Interrupted: the process received a signal; the same command continues.
    """
    if importlib.util.find_spec("optuna") is None:
        raise UserError("tune: optuna is not installed; pip install 'optical-sweeps[tune]'")
    with hydra_app("tune", config_dir, overrides) as app:
        config = resolved(app.master)
        settings = from_mapping(TuningSettings, _section(config, "tuning"))
        spaces = _section(config, "search_space")
        sweep = str(_section(config, "sweep")["name"])
    shared = [text for text in overrides if not text.lstrip("+~").startswith(OWN_SECTIONS)]
    with hydra_app("train", config_dir) as app:
        tuning = Tuning(
            app, settings, settings.name or f"{sweep}_tuning", shared, config_dir,
            {name: SearchSpace.from_config(name, spaces) for name in settings.objectives},
        )  # fmt: skip
        tuning.perform()
        write_results(tuning.store, tuning.run_of)
    return tuning.store.folder


def _section(config: Mapping[str, object], name: str) -> dict[str, object]:
    section = config.get(name)
    if not isinstance(section, dict):
        raise UserError(f"{name}: {section!r} is not a section of settings")
    return section


@dataclass
class Tuning:
    """The trials of a study, performed in this process.

    Args:
        sweep: name of the sweep whose runs are the trials.
        shared: overrides of every trial.
    """

    app: HydraApp
    settings: TuningSettings
    sweep: str
    shared: Sequence[str]
    config_dir: str | None
    spaces: Mapping[str, SearchSpace]
    store: TrialStore = field(init=False)

    def __post_init__(self) -> None:
        self.planner = Planner(Composer(self.app.loader, self.app.master))
        # before anything is drawn: the objectives compose, and pass their checks
        points = [self.planner.point(self.overrides(name, {})) for name in self.settings.objectives]
        self.store = TrialStore(points[0].sweep, self.settings, self.spaces)

    def overrides(self, objective: str, values: Mapping[str, Value]) -> list[str]:
        """The overrides of `train` for a trial."""
        settings = self.settings
        fixed: dict[str, Value | None] = {
            "sweep.name": self.sweep, "objective": objective, "seed": settings.seed,
            "mixture.ratio": settings.ratio, "mixture.total": settings.pairs,
        }  # fmt: skip
        chosen = [override(key, value) for key, value in {**fixed, **values}.items() if value is not None]
        return [*self.shared, *chosen, "++tuned=null"]  # the tuning that an experiment has by now is not theirs

    def perform(self) -> None:
        """Perform trials until every objective has all of its own."""
        taken: set[tuple[str, int]] = set()  # performed by other processes, when last tried
        while True:
            trial = self._next(taken)
            if trial is not None:
                if not self._ended(trial):
                    taken.add((trial.objective, trial.number))
            elif any(trial.state == "open" for trial in by_turns(self.store)):
                time.sleep(WAIT_SECONDS)
                taken.clear()
            else:
                return

    def _next(self, taken: set[tuple[str, int]]) -> Trial | None:
        """An open trial that nobody performs, or a new one; None if there is neither."""
        with self.store.locked():
            for trial in by_turns(self.store):
                if trial.state == "open" and (trial.objective, trial.number) not in taken:
                    folder, _ = self.run_of(trial)
                    if folder is None or folder.state() != "running":
                        return trial
            fewest = sorted(self.settings.objectives, key=lambda name: len(self.store.trials(name)))
            return next((new for name in fewest if (new := self.store.draw(name))), None)

    def _ended(self, trial: Trial) -> bool:
        """Perform a trial; False if another process performs it."""
        number = trial.number * len(self.spaces) + list(self.spaces).index(trial.objective) + 1
        total = self.settings.trials * len(self.spaces)
        try:
            planned = self._planned(trial)
        except UserError as error:
            echo(f"[{number}/{total}] {trial.objective}: FAILED: {error}")
            self.store.end(trial, None)
            return True
        Grid(planned.sweep, (planned.point,), config_dir=self.config_dir).save()
        result = run_planned(self.app, planned, number, total)
        if result.state == "running":
            return False
        record = RunFolder(planned.sweep / result.run).record() if result.state == "done" else {}
        score = main_score(record, "dev")
        self.store.end(trial, score if isfinite(score) else None)
        return True

    def run_of(self, trial: Trial) -> tuple[RunFolder | None, str]:
        """The folder of a trial's run, None if it cannot be composed, and why it failed."""
        try:
            planned = self._planned(trial)
        except UserError as error:
            return None, str(error)
        folder = RunFolder(planned.sweep / planned.point.run)
        return folder, str(folder.failure().get("message", "")) if folder.state() == "failed" else ""

    def _planned(self, trial: Trial) -> PlannedPoint:
        return self.planner.point(self.overrides(trial.objective, trial.values), list(trial.values))
