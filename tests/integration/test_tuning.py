"""`tune` on a small study: a failing trial, two processes, a kill, and a sweep that takes the result."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from optical_sweeps.runs.run_folder import RunFolder
from tests.support.command_line import Command, Finished

FOLDER = Path("multirun/small_tuning")
STUDY = ("--config-dir", "studies", "experiment=small", "logger.mode=disabled", "mixture.total=16")
TUNE = ("tune", *STUDY, "tuning.objectives=[contrastive,mse]", "tuning.trials=2")
FAILING = "search_space.mse.objective.english_weight.values=[-1.0,1.0]"


@pytest.fixture(scope="module")
def tuned(study: Path, here: Command) -> tuple[Path, Finished]:
    """The folder after a tuning in which a trial of mse fails; no test may change it."""
    return study, here(study, *TUNE, FAILING)


def trials_of(folder: Path) -> list[dict]:
    return json.loads((folder / FOLDER / "trials.json").read_text())["trials"]


def best_trial(folder: Path, objective: str) -> dict:
    done = (
        trial for trial in trials_of(folder) if trial["objective"] == objective and trial["state"] == "done"
    )
    return max(done, key=lambda trial: trial["score"])


@pytest.fixture
def untuned(tuned, tmp_path) -> Path:
    """The same folder with all that runs share, and without runs."""
    folder = Path(shutil.copytree(tuned[0], tmp_path / "untuned"))
    shutil.rmtree(folder / "multirun")
    return folder


def test_a_failed_trial_does_not_end_a_tuning_and_the_best_of_each_objective_is_chosen(tuned):
    folder, done = tuned
    assert done.code == 0, done
    trials = trials_of(folder)
    assert [trial["objective"] for trial in trials] == ["contrastive", "contrastive", "mse", "mse"]
    (failed,) = (trial for trial in trials if trial["state"] == "failed")
    assert "objective.english_weight: -1.0" in failed["error"]
    finished = [trial for trial in trials if trial["state"] == "done"]
    assert {trial["pairs"] for trial in finished} == {16}
    for trial in finished:
        record = RunFolder(folder / FOLDER / trial["run"]).record()
        assert record["measures"]["dev"]["nDCG@10"]["group:all"] == trial["score"]
        assert record["config"]["mixture"]["ratio"] == 0.5
    for objective in ("contrastive", "mse"):
        best = max(
            (trial for trial in finished if trial["objective"] == objective), key=lambda trial: trial["score"]
        )
        chosen = yaml.safe_load((folder / FOLDER / "tuned_settings" / f"{objective}.yaml").read_text())
        assert chosen["training"]["learning_rate"] == best["values"]["training.learning_rate"]
    assert "best of 2" in (folder / FOLDER / "effort.md").read_text()


def test_a_finished_tuning_is_not_performed_again(tuned, here):
    folder, done = tuned
    again = here(folder, *TUNE, FAILING)
    assert again.code == 0
    assert again.lines[-4:] == done.lines[-4:]
    assert not any("nDCG@10" in line for line in again.lines)


def test_a_sweep_takes_each_objective_s_own_settings_and_they_count_as_values(tuned, tmp_path, here):
    folder = Path(shutil.copytree(tuned[0], tmp_path / "swept"))
    shutil.copytree(folder / FOLDER / "tuned_settings", folder / "studies" / "tuned_settings")
    done = here(folder, "train", "-m", *STUDY, "mixture.ratio=0.5", "objective=contrastive,mse,none")
    assert done.code == 0, done
    records = [json.loads(path.read_text()) for path in folder.glob("multirun/small/*/record.json")]
    runs = {record["label"].split()[0]: record for record in records}
    for objective in ("contrastive", "mse"):
        best = best_trial(folder, objective)
        assert runs[objective]["id"] == best["run"]  # identity: the values, not their origin
        assert runs[objective]["config"]["tuned"]["study"] == "small_tuning"
        assert runs[objective]["measures"]["dev"]["nDCG@10"]["group:all"] == best["score"]
    assert not runs["none"]["config"].get("tuned")
    figures = here(folder, "figures", "multirun/small", "source=records")
    assert figures.code == 0, figures
    index = (folder / "multirun/small/figures/index.md").read_text()
    assert "effort" in index
    assert here(folder, "report", "multirun/small").code == 0
    assert '"tuning":[{"objective":' in (folder / "multirun/small/report.html").read_text(encoding="utf-8")


def test_tuned_names_the_folder_of_a_tuning(tuned, here):
    folder, _ = tuned
    words = (
        "data=synthetic",
        "languages=synthetic",
        "backbone=tiny",
        "objective=mse",
        f"tuned={FOLDER}",
        "mixture.total=16",
    )
    plan = here(folder, "sweep", "plan", *words)
    assert plan.code == 0, plan
    wrong = here(folder, "train", "-m", "tuned=multirun/small", "objective=mse")
    assert wrong.err == "error: tuned: multirun/small has no tuned_settings; name a folder that `tune` wrote\n"
    both = here(folder, "train", *STUDY, f"tuned={FOLDER}")
    assert both.err.startswith("error: tuned: --config-dir is given too")


def test_a_killed_tuning_continues_and_two_processes_share_one(tuned, untuned, environment, here):
    program = [sys.executable, "-m", "optical_sweeps", *TUNE, FAILING]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    options = {"cwd": untuned, "env": environment, **pipes}
    killed = subprocess.Popen(program, **options)
    try:
        while not list((untuned / FOLDER).glob("*/metrics.jsonl")):
            assert killed.poll() is None, killed.communicate()
            time.sleep(0.01)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    processes = [subprocess.Popen(program, **options) for _ in range(2)]
    outputs = [process.communicate(timeout=600)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    scored = [line for output in outputs for line in output.splitlines() if "nDCG@10 high" in line]
    assert sum("done before" not in line for line in scored) <= 4  # no trial is performed twice
    without_time = [{**trial, "seconds": 0} for trial in trials_of(untuned)]
    assert without_time == [{**trial, "seconds": 0} for trial in trials_of(tuned[0])]
