"""The example of the sweep engine on its own: swept, killed, resumed, listed, its curves drawn."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas
import pytest

pytest.importorskip("sklearn")

EXAMPLE = Path(__file__).parents[2] / "examples" / "any_lightning_module"
SWEEP = (
    "train", "--config-dir", ".", "--config-name", "digits", "-m",
    "objective.name=cross_entropy,squared_error", "mixture.ratio=0.1,1",
)  # fmt: skip


def copy_of_example(folder: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture(scope="module")
def swept(tmp_path_factory, there) -> Path:
    folder = copy_of_example(tmp_path_factory.mktemp("example") / "digits")
    done = there(folder, *SWEEP, "training.epochs=3")
    assert done.code == 0, done.err
    assert "4 grid points: 4 missing -> multirun/digits" in done.lines
    assert done.lines[-1] == "4 done in multirun/digits"
    return folder


def scores(folder: Path) -> dict[str, float]:
    records = [json.loads(path.read_text()) for path in folder.glob("multirun/digits/*/record.json")]
    return {each["label"]: each["measures"]["test"]["accuracy"]["group:all"] for each in records}


def test_the_same_command_finds_every_run_done(swept, there):
    done = there(swept, *SWEEP, "training.epochs=3")
    assert done.lines == ["4 grid points: 4 done -> multirun/digits", "4 done in multirun/digits"]


def test_status_and_plan_show_the_sweep(swept, there):
    status = there(swept, "sweep", "status", "multirun/digits")
    assert "cross_entropy ratio=0.1 seed=1" in status.out
    assert status.lines[-1] == "4 done"
    plan = there(swept, "sweep", "plan", *SWEEP[1:5], *SWEEP[6:], "training.epochs=3", "seed=1,2")
    assert "8 grid points -> multirun/digits" in plan.out
    assert "4 missing" in plan.out


def test_curves_are_drawn_from_the_offline_logs(swept, there):
    done = there(swept, "curves", "multirun/digits", "measure=accuracy", "replicates=20")
    assert done.code == 0, done.err
    table = pandas.read_parquet(swept / "multirun" / "digits" / "curves" / "results.parquet")
    logged = table[table["slice"] == "group:all"].set_index("run")["value"].to_dict()
    assert sorted(logged.values()) == pytest.approx(sorted(scores(swept).values()))
    assert list((swept / "multirun" / "digits" / "curves").glob("*.pdf"))


def test_a_killed_sweep_resumes_at_the_same_numbers(tmp_path, there, environment):
    command = ("train", "--config-dir", ".", "--config-name", "digits", "-m", "seed=1", "training.epochs=60")
    killed, alone = copy_of_example(tmp_path / "killed"), copy_of_example(tmp_path / "alone")
    program = [str(Path(sys.executable).with_name("optical-sweeps")), *command]
    process = subprocess.Popen(program, cwd=killed, env=environment, stdout=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while not list(killed.glob("multirun/digits/*/checkpoints/last.ckpt")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 75
    assert there(killed, "sweep", "status", "multirun/digits").lines[-1] == "1 stale"
    resumed = there(killed, *command)
    assert resumed.lines[-1] == "1 done in multirun/digits", resumed.err
    assert there(alone, *command).code == 0
    assert scores(killed) == scores(alone)
