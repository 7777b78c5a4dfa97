"""The trials of a tuning in Optuna's storage, shared by all processes that work on it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filelock import FileLock

from optical_sweeps.errors import UserError, first_line
from optical_sweeps.seeds import derive_seed
from optical_sweeps.tuning.search_space import SearchSpace, Value
from optical_sweeps.tuning.tuning_settings import TuningSettings

if TYPE_CHECKING:
    import optuna

STORAGE_FILE = "optuna.log"
DRAWN = "drawn"
"""The attribute of a trial that has all of its values; a process can be killed before."""

TrialState = Literal["open", "done", "failed"]


@dataclass(frozen=True)
class Trial:
    """One trial of an objective.

    Args:
        number: from 0, among the objective's trials.
        stored: its number in Optuna's storage.
        values: what it sets, by dotted config key.
        score: its main score on dev, if it is done.
    """

    objective: str
    number: int
    stored: int
    values: Mapping[str, Value]
    state: TrialState
    score: float | None = None


@dataclass(frozen=True)
class TrialStore:
    """The trials of each objective, at most `settings.trials` of them.

    Args:
        folder: folder of the tuning; several processes may use it at once.
    """

    folder: Path
    settings: TuningSettings
    spaces: Mapping[str, SearchSpace]
    _studies: dict[str, "optuna.Study"] = field(default_factory=dict, init=False, repr=False)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """No other process draws or ends a trial meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".tuning.lock"):
            yield

    def trials(self, objective: str) -> list[Trial]:
        """The trials that were drawn so far; those of a process that was killed while drawing do not count.

        Raises:
            UserError: the storage is damaged, or a trial sets what its search space does not have.
        """
        with self._readable():
            stored = [
                trial
                for trial in self._study(objective).get_trials(deepcopy=False)
                if DRAWN in trial.user_attrs
            ]
        trials = [_trial(objective, number, trial) for number, trial in enumerate(stored)]
        for trial in trials:
            for key, value in trial.values.items():
                # the file can be a stranger's, and a trial's values become overrides of a run
                if not self.spaces[objective].may_set(key, value):
                    raise UserError(
                        f"{self.folder / STORAGE_FILE}: trial {trial.number} of {objective} has "
                        f"{key}={value!r}, which search_space.{objective} does not contain; add it there, or "
                        "choose another tuning.name"
                    )
        return trials

    def draw(self, objective: str) -> Trial | None:
        """Draw the next trial; None if all are drawn. Call it with the lock held.

        With the sampler `random`, the values depend only on the seed, the objective and the trial's number, so
        a continued tuning and one that several processes share draw the trials of an uninterrupted one.
        """
        import optuna

        number, study = len(self.trials(objective)), self._study(objective)
        if number >= self.settings.trials:
            return None
        seed = derive_seed(f"tuning/{objective}/{number}", self.settings.seed) % 2**32
        samplers = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
        study.sampler = samplers[self.settings.sampler](seed=seed)
        drawn = study.ask(self.spaces[objective].distributions())
        drawn.set_user_attr(DRAWN, True)
        return self.trials(objective)[number]

    def end(self, trial: Trial, score: float | None) -> None:
        """Store how a trial ended, unless another process has; a trial without a score has failed."""
        import optuna

        with self.locked():
            current = self.trials(trial.objective)[trial.number]
            if current.state != "open":
                return
            study = self._study(trial.objective)
            if score is None:
                study.tell(trial.stored, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial.stored, score)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Turn the errors of Optuna's reader, which are of many types, into one line."""
        try:
            yield
        except OSError:
            raise
        except Exception as error:
            raise UserError(
                f"{self.folder / STORAGE_FILE}: not the storage of a tuning ({type(error).__name__}: "
                f"{first_line(error)}); choose another tuning.name, or remove the file to draw all trials again"
            ) from error

    def _study(self, objective: str) -> "optuna.Study":
        if objective not in self._studies:
            import optuna
            from optuna.storages import JournalStorage
            from optuna.storages.journal import JournalFileBackend

            optuna.logging.set_verbosity(optuna.logging.WARNING)
            self.folder.mkdir(parents=True, exist_ok=True)
            self._studies[objective] = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(self.folder / STORAGE_FILE))),
                study_name=objective,
                direction="maximize",
                load_if_exists=True,
            )
        return self._studies[objective]


def _trial(objective: str, number: int, stored: "optuna.trial.FrozenTrial") -> Trial:
    states: dict[str, TrialState] = {"COMPLETE": "done", "FAIL": "failed"}
    return Trial(
        objective,
        number,
        stored.number,
        {key: _rounded(value) for key, value in stored.params.items()},
        states.get(stored.state.name, "open"),
        stored.value if stored.state.name == "COMPLETE" else None,
    )


def _rounded(value: Value) -> Value:
    """Four significant digits of a float, which people can read and which is what the run gets."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def by_turns(store: TrialStore) -> Sequence[Trial]:
    """All trials, the first of every objective first."""
    trials = [trial for objective in store.settings.objectives for trial in store.trials(objective)]
    return sorted(trials, key=lambda trial: trial.number)
