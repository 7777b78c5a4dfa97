"""Trials in the shared storage: each is drawn once, ended once, and the same for every process."""

import optuna
import pytest

from optical_sweeps.tuning.search_space import Choice, Interval, SearchSpace
from optical_sweeps.tuning.trial_store import STORAGE_FILE, TrialStore, by_turns
from optical_sweeps.tuning.tuning_settings import TuningSettings

SPACE = {"objective.temperature": Interval(0.01, 1.0, log=True), "objective.symmetric": Choice([False, True])}


def make_store(folder, trials=3, sampler="random", seed=1):
    settings = TuningSettings(objectives=["mse", "optical"], trials=trials, sampler=sampler, seed=seed)
    return TrialStore(folder, settings, {name: SearchSpace(name, SPACE) for name in settings.objectives})


def draw_all(store):
    for name in store.settings.objectives:
        with store.locked():
            while store.draw(name) is not None:
                pass
    return {(trial.objective, trial.number): trial.values for trial in by_turns(store)}


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_every_objective_gets_as_many_trials_with_values_of_its_space(tmp_path, sampler):
    values = draw_all(make_store(tmp_path, sampler=sampler))
    assert len(values) == 6
    for drawn in values.values():
        assert 0.01 <= drawn["objective.temperature"] <= 1
        assert drawn["objective.temperature"] == float(f"{drawn['objective.temperature']:.4g}")
        assert isinstance(drawn["objective.symmetric"], bool)


def test_shared_and_continued_tunings_draw_the_trials_of_an_uninterrupted_one(tmp_path):
    expected = draw_all(make_store(tmp_path / "alone"))
    first, second = make_store(tmp_path / "shared"), make_store(tmp_path / "shared")
    for store in (first, second, second, first):
        with store.locked():
            store.draw("mse")
    assert draw_all(make_store(tmp_path / "shared")) == expected
    assert draw_all(make_store(tmp_path / "other seed", seed=2)) != expected


def test_more_trials_keep_the_earlier_ones(tmp_path):
    few = draw_all(make_store(tmp_path, trials=2))
    more = draw_all(make_store(tmp_path, trials=4))
    assert len(more) == 8
    assert {key: more[key] for key in few} == few


def test_a_trial_of_a_process_killed_while_drawing_is_drawn_again(tmp_path):
    expected = draw_all(make_store(tmp_path / "alone"))
    store = make_store(tmp_path / "killed")
    store.trials("mse")
    backend = optuna.storages.journal.JournalFileBackend(str(store.folder / STORAGE_FILE))
    study = optuna.load_study(study_name="mse", storage=optuna.storages.JournalStorage(backend))
    study.ask()  # without values
    assert draw_all(make_store(tmp_path / "killed")) == expected


def test_a_trial_ends_once(tmp_path):
    one, other = make_store(tmp_path), make_store(tmp_path)
    with one.locked():
        trial, failing = one.draw("mse"), one.draw("optical")
    one.end(trial, 0.5)
    other.end(trial, 0.9)
    other.end(failing, None)
    one.end(failing, 0.7)
    states = {each.objective: (each.state, each.score) for each in by_turns(make_store(tmp_path))}
    assert states == {"mse": ("done", 0.5), "optical": ("failed", None)}
