"""The sweeper through the command line: launchers, failures, two processes at once, plan, retry, Ctrl-C."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from optical_sweeps.runs.run_folder import RunFolder, write_json
from optical_sweeps.sweeps.grid import Grid
from tests.support.command_line import SWEEP, Command, Finished

FOLDER = Path("multirun/small")
QUICK = (*SWEEP, "logger.mode=disabled", "mixture.total=16")  # the experiment sets the mode to offline
FOUR = (*QUICK, "objective=contrastive", "mixture.ratio=0,1", "seed=1,2")
MEASURED = r"nDCG@10 high 0\.\d{3}  low 0\.\d{3}  all 0\.\d{3}, \d+\.\d s$"
SCORED = re.compile(r"\[(\d)/\d\] .*: nDCG@10 .* s$")


@pytest.fixture(scope="module")
def swept(study: Path, here: Command) -> tuple[Path, Finished]:
    """The folder after a sweep of four runs; no test may change it."""
    return study, here(study, *FOUR)


@pytest.fixture
def again(swept: tuple[Path, Finished], tmp_path: Path) -> Path:
    """A copy of it, for tests that go on."""
    folder, done = swept
    assert done.code == 0, done
    return Path(shutil.copytree(folder, tmp_path / "again"))


@pytest.fixture
def unswept(again: Path) -> Path:
    """The same with all that runs share, and without runs."""
    shutil.rmtree(again / "multirun")
    return again


def moments(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (folder / FOLDER).glob("*/record.json")}


def measures(folder: Path) -> dict[str, object]:
    paths = (folder / FOLDER).glob("*/record.json")
    return {path.parent.name: json.loads(path.read_text())["measures"] for path in paths}


def states(folder: Path) -> dict[str, str]:
    return dict(Grid.load(folder / FOLDER).states())


def test_a_grid_is_run_and_then_skipped(swept, here):
    folder, done = swept
    assert (done.code, done.err) == (0, "")
    assert done.lines[0] == f"4 grid points: 4 missing -> {FOLDER}"
    assert [found[1] for line in done.lines if (found := SCORED.fullmatch(line))] == ["1", "2", "3", "4"]
    assert done.lines[-1] == f"4 done in {FOLDER}"
    before = moments(folder)
    second = here(folder, *FOUR)
    assert second == Finished(0, f"4 grid points: 4 done -> {FOLDER}\n4 done in {FOLDER}\n", "")
    assert moments(folder) == before


def test_joblib_with_two_processes_gives_the_same(swept, unswept, there):
    pytest.importorskip("joblib")
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    done = there(unswept, *FOUR, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert done.code == 0, done
    assert done.lines[-1] == f"4 done in {FOLDER}"
    assert measures(unswept) == measures(swept[0])


def test_sigterm_ends_a_joblib_sweep_with_its_workers(swept, unswept, environment, here):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    long = ("training.epochs=2000", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    program = [sys.executable, "-m", "optical_sweeps", *FOUR, *long]
    process = subprocess.Popen(program, cwd=unswept, env=environment, **pipes)
    try:
        while len(list((unswept / FOLDER).glob("*/metrics.jsonl"))) < 2:
            assert process.poll() is None
            time.sleep(0.05)
        owners = [json.loads(path.read_text())["pid"] for path in (unswept / FOLDER).glob("*/owner.json")]
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=5)
        out, err = process.communicate(timeout=5)  # the workers have these pipes too
    finally:
        process.kill()
    assert (process.returncode, err) == (75, ""), out
    assert f"sweep stopped by SIGTERM: 2 interrupted, 2 missing in {FOLDER}; " in out
    assert len(owners) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in owners)
    assert set(states(unswept).values()) <= {"stale", "missing"}


def test_two_processes_at_once_do_no_run_twice(swept, unswept, environment):
    program = [sys.executable, "-m", "optical_sweeps", *FOUR]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    pair = [subprocess.Popen(program, cwd=unswept, env=environment, **pipes) for _ in range(2)]
    told = [process.communicate(timeout=300) for process in pair]
    assert [process.returncode for process in pair] == [0, 0], told
    lines = [line for out, _ in told for line in out.splitlines()]
    runs = [found[1] for line in lines if (found := SCORED.fullmatch(line))]
    assert sorted(runs) == ["1", "2", "3", "4"], lines
    assert measures(unswept) == measures(swept[0])


def test_a_failure_stops_no_other_unless_asked_to(unswept, here):
    rates = "training.learning_rate=1e30,1e-3"
    done = here(
        unswept, *QUICK, "objective=contrastive", "mixture.ratio=0", rates, "hydra.sweeper.fail_fast=true"
    )
    assert (done.code, done.err) == (1, "")
    assert done.lines[2] == "stopped after a failed run, since hydra.sweeper.fail_fast is true"
    assert done.lines[3] == f"1 failed, 1 missing in {FOLDER}"
    assert "failed (nan): " in done.lines[4]
    done = here(unswept, *QUICK, "objective=contrastive", "mixture.ratio=0", rates)
    assert done.code == 1
    assert done.lines[0] == f"2 grid points: 1 failed, 1 missing -> {FOLDER}"
    assert f"1 done, 1 failed in {FOLDER}" in done.lines


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hydra.sweeper.fail_fast=1", "hydra.sweeper.fail_fast: 1"),
        ("hydra.sweeper.batch_size=0", "hydra.sweeper.batch_size: 0"),
        ("seed=interval(0,1)", "has no list of values"),
        ("sweep.name=one,two", "sweep one folder at a time"),
        ("mixture.ratio=0,0.5,3", "mixture.ratio: 3 is not a number in [0, 1]; change it [grid point: "),
        ("objective=optical,opticel", "opticel"),
    ],
)
def test_bad_sweeps_are_refused_before_anything_is_written(unswept, here, override, message):
    done = here(unswept, *QUICK, "objective=contrastive", override)
    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not (unswept / "multirun").exists()


def test_plan_tells_what_a_sweep_would_do_and_does_nothing(again, here):
    before = sorted(again.rglob("*"))
    asked = (
        "--config-dir",
        "studies",
        *QUICK[4:],
        "objective=contrastive",
        "mixture.ratio=0,1,0.5",
        "seed=1,2,3",
    )
    plan = json.loads(here(again, "sweep", "plan", *asked, "--json").out)
    assert plan["counts"] == {"done": 4, "missing": 5}
    assert plan["axes"]["mixture.ratio"] == ["0", "1", "0.5"]
    assert plan["shared"] == [{"runs": 5, "in_store": True}]
    assert plan["estimate"]["records"] == 4
    assert plan["estimate"]["unknown"] == 0
    assert plan["estimate"]["hours"] > 0
    assert {run["run"] for run in plan["runs"] if run["state"] == "done"} == set(states(again))
    screen = here(again, "sweep", "plan", *asked).out
    for line in (
        "9 grid points -> multirun/small",
        "to do     5 missing",
        "in the store",
        "from 4 records of this",
    ):
        assert line in screen
    assert sorted(again.rglob("*")) == before


def test_retry_runs_what_failed_by_cause_from_anywhere(again, here, tmp_path):
    before = measures(again)
    one, other, *_ = states(again)
    for run, cause in {one: "memory", other: "disk"}.items():
        folder = RunFolder(again / FOLDER / run)
        folder.record_path.unlink()
        write_json(folder.failure_path, {"error": "X", "message": "it was so", "cause": cause})
    (tmp_path / "elsewhere").mkdir()
    retry = ("sweep", "retry", str(again / FOLDER), "--cause", "memory")
    refused = here(tmp_path / "elsewhere", *retry)  # a folder does not choose the user's config folder
    assert refused.code == 1
    assert "if you trust them, add --config-dir" in refused.err
    done = here(tmp_path / "elsewhere", *retry, "--config-dir", str(again / "studies"))
    assert (done.code, done.err) == (0, "")
    assert re.search(MEASURED, done.lines[-1])
    assert sorted(states(again).values()) == ["done", "done", "done", "failed"]
    told = here(again, "sweep", "retry", str(FOLDER), "--config-dir", "studies", "--json")
    result = json.loads(told.out)
    assert re.search(MEASURED, told.err)
    assert (result["runs"], [each["state"] for each in result["results"]]) == ([other], ["done"])
    assert measures(again) == before
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_hydras_own_sweeper_works_still(unswept, here):
    done = here(unswept, *FOUR, "hydra/sweeper=basic")
    assert (done.code, done.err) == (0, "")
    assert len(moments(unswept)) == 4


def test_ctrl_c_is_one_line_and_the_same_command_goes_on(swept, unswept, environment, here):
    program = [sys.executable, "-m", "optical_sweeps", *FOUR, "training.epochs=1"]
    process = subprocess.Popen(
        program,
        cwd=unswept,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not list((unswept / FOLDER).glob("*/metrics.jsonl")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode != 0
    assert err.splitlines() == ["interrupted; run the same command again to continue"], out
    assert "failed" not in states(unswept).values()
    assert here(unswept, *FOUR).code == 0
    assert measures(unswept) == measures(swept[0])
