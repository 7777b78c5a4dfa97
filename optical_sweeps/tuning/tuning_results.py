"""The results of a tuning: chosen settings as configs, every trial, and the effort."""

from collections.abc import Callable, Mapping

import yaml

from optical_sweeps.console import echo
from optical_sweeps.curves.statistics.effort_table import effort_table
from optical_sweeps.curves.statistics.tuning_effort import Effort
from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import RunFolder, write_json, write_text
from optical_sweeps.tuning.search_space import Value, nested_values, shown
from optical_sweeps.tuning.trial_store import Trial, TrialStore

TUNED_FOLDER = "tuned_settings"
TRIALS_FILE = "trials.json"


RunOf = Callable[[Trial], tuple[RunFolder | None, str]]
"""Trial -> the folder of its run, None if it cannot be composed, and why it failed."""


def write_results(store: TrialStore, run_of: RunOf) -> None:
    """Write the settings of each objective's best trial, every trial, and the effort; print the best ones.

    Raises:
        UserError: all trials of an objective failed.
    """
    with store.locked():
        facts = [_facts(trial, run_of) for name in store.settings.objectives for trial in store.trials(name)]
        write_json(store.folder / TRIALS_FILE, {"trials": facts})
        efforts = {name: _write_best(store, name, run_of) for name in store.settings.objectives}
        table = effort_table(efforts)
        for kind, suffix in (("markdown", "md"), ("latex", "tex"), ("csv", "csv")):
            write_text(store.folder / f"effort.{suffix}", table.render(kind))


def _write_best(store: TrialStore, objective: str, run_of: RunOf) -> Effort:
    trials = store.trials(objective)
    done = [trial for trial in trials if trial.score is not None]
    if not done:
        first = next((error for trial in trials if (error := run_of(trial)[1])), "no trial ended")
        raise UserError(f"{objective}: all {len(trials)} trials failed; the first: {first}")
    best = max(done, key=lambda trial: (trial.score or 0.0, -trial.number))
    records = [_record(trial, run_of) for trial in done]
    effort = Effort(
        scores=tuple(float(trial.score or 0.0) for trial in done),
        failed=sum(trial.state == "failed" for trial in trials),
        pairs=_pairs(records[0]),
        seconds=sum(_seconds(record) for record in records),
        sampler=store.settings.sampler,
        chosen=", ".join(shown(best.values)),
    )
    content = {**nested_values(best.values), "tuned": {"study": store.folder.name, **effort.as_dict()}}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    comment = f"# {objective}: trial {best.number} of {len(trials)}, dev score {best.score:.4f}."
    path = store.folder / TUNED_FOLDER / f"{objective}.yaml"
    path.parent.mkdir(exist_ok=True)
    write_text(path, f"# @package _global_\n{comment}\n{text}")
    echo(f"{objective}: dev {best.score:.4f} with {effort.chosen}")
    return effort


def _facts(trial: Trial, run_of: RunOf) -> Mapping[str, object]:
    folder, error = run_of(trial)
    record = _record(trial, run_of)
    return {
        "objective": trial.objective, "number": trial.number, "state": trial.state, "score": trial.score,
        "values": dict[str, Value](trial.values), "run": folder and folder.path.name, "error": error,
        "pairs": _pairs(record), "seconds": _seconds(record),
    }  # fmt: skip


def _record(trial: Trial, run_of: RunOf) -> Mapping[str, object]:
    folder, _ = run_of(trial)
    return folder.record() if folder is not None and trial.state == "done" else {}


def _pairs(record: Mapping[str, object]) -> int:
    training = record.get("training")
    pairs = training.get("pairs") if isinstance(training, Mapping) else None
    return pairs if isinstance(pairs, int) else 0


def _seconds(record: Mapping[str, object]) -> float:
    timings = record.get("timings")
    seconds = timings.get("total") if isinstance(timings, Mapping) else None
    return float(seconds) if isinstance(seconds, int | float) else 0.0
