"""`sweep status`, `retry` and `sync` on sweeps written by hand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import RunFolder, write_json
from optical_sweeps.sweeps.grid import Grid, GridPoint
from optical_sweeps.sweeps.retry import runs_to_retry, start_folder
from optical_sweeps.sweeps.wandb_upload import upload
from optical_sweeps.terminal_text import count_text
from tests.support.command_line import printed


def started(folder: RunFolder) -> RunFolder:
    with folder.claim():
        pass
    return folder


def failed(folder: RunFolder, message: str, cause: str) -> None:
    started(folder)
    write_json(folder.failure_path, {"error": "X", "message": message, "cause": cause})


@pytest.fixture
def sweep(tmp_path, monkeypatch) -> Grid:
    """Six runs: three ratios of two objectives; 2 done, 3 failed, 1 stale."""
    monkeypatch.setenv("COLUMNS", "160")
    points = tuple(
        GridPoint((f"objective={o}", f"mixture.ratio={r}"), f"{o}{r}", f"{o} ratio={r}")
        for o in "ab"
        for r in "012"
    )
    grid = Grid(tmp_path / "multirun" / "six", points).save()
    for run, score in {"a0": 0.25, "a1": 0.5}.items():
        folder = started(grid.runs[run])
        folder.write_record({"measures": {"test": {"nDCG@10": {"group:all": score}}}})
    failed(grid.runs["a2"], f"training: the loss is nan; see {grid.folder}/a2/wreck", "nan")
    failed(grid.runs["b0"], f"training: the loss is nan; see {grid.folder}/b0/wreck", "nan")
    failed(grid.runs["b1"], "No space\nleft", "disk")
    started(grid.runs["b2"])
    return grid


def test_status_is_a_table_a_map_and_causes(sweep):
    out = printed("sweep status", str(sweep.folder))
    lines = [line.split() for line in out.splitlines()]
    assert ["a0", "■", "done", "a", "ratio=0", "0.250"] in lines
    assert ["a2", "✗", "failed", "a", "ratio=2", "nan"] in lines
    assert ["b2", "!", "stale", "b", "ratio=2"] in lines
    assert ["mixture.ratio", "0", "1", "2"] in lines
    assert ["a", "■", "■", "✗"] in lines
    assert ["b", "✗", "✗", "!"] in lines
    assert f"2 failed: nan  optical-sweeps sweep retry {sweep.folder} --cause nan" in out
    assert "  2 x training: the loss is nan; see" in out
    assert "  No space left" in out
    assert out.splitlines()[-1] == "2 done, 3 failed, 1 stale"


def test_status_for_programs(sweep):
    facts = json.loads(printed("sweep status", str(sweep.folder), "--json"))
    assert facts["counts"] == {"done": 2, "failed": 3, "stale": 1}
    assert [run["state"] for run in facts["runs"]] == ["done", "done", "failed", "failed", "failed", "stale"]
    assert facts["runs"][4]["cause"] == "disk"


def test_a_running_run_shows_its_step_and_process(sweep):
    with sweep.runs["b2"].claim():
        sweep.runs["b2"].metrics_path.write_text('{"step": 1}\n{"step": 41, "train/loss": 1}\n')
        facts = json.loads(printed("sweep status", str(sweep.folder), "--json"))["runs"][5]
        assert (facts["state"], facts["step"]) == ("running", 41)
        assert facts["where"].endswith(f"pid {os.getpid()}")


def test_done_runs_of_a_large_sweep_are_listed_on_request(tmp_path):
    points = tuple(GridPoint((f"seed={n}",), f"run{n:03}", f"seed={n}") for n in range(50))
    grid = Grid(tmp_path / "many", points).save()
    for run in list(grid.runs)[:-1]:
        started(grid.runs[run]).write_record({})
    failed(grid.runs["run049"], "why", "error")
    out = printed("sweep status", str(grid.folder))
    assert "run049" in out
    assert "run000" not in out
    assert "49 done, 1 failed (49 not listed: --all)" in out
    assert "run000" in printed("sweep status", str(grid.folder), "--all")


def test_watching_a_finished_sweep_ends(sweep):
    started(sweep.runs["b2"]).write_record({})
    assert printed("sweep status", str(sweep.folder), "--watch").endswith(" 3 done, 3 failed\n")


def test_retry_chooses_by_cause_or_name(sweep):
    assert runs_to_retry(sweep, (), ()) == ["a2", "b0", "b1"]
    assert runs_to_retry(sweep, ("nan",), ()) == ["a2", "b0"]
    assert runs_to_retry(sweep, ("nan", "disk"), ()) == ["a2", "b0", "b1"]
    assert runs_to_retry(sweep, ("memory",), ()) == []
    assert runs_to_retry(sweep, (), ("b2",)) == ["b2"]


@pytest.mark.parametrize(
    ("causes", "runs", "message"),
    [
        (("weather",), (), "weather is none of config, nan, memory, disk, error"),
        ((), ("zz",), "no run zz"),
        ((), ("a0",), "a0 is done"),
    ],
)
def test_retry_refuses(sweep, causes, runs, message):
    with pytest.raises(UserError, match=message):
        runs_to_retry(sweep, causes, runs)


def test_nothing_to_retry(sweep):
    assert printed("sweep retry", str(sweep.folder), "--cause", "memory") == (
        f"nothing to retry: no failed run of {sweep.folder} has the cause memory; the causes are: "
        "2 nan, 1 disk; 1 run killed or interrupted: the train -m command of the sweep runs it again\n"
    )
    for run in ("a2", "b0", "b1", "b2"):
        started(sweep.runs[run]).failure_path.unlink(missing_ok=True)
    (sweep.folder / "submissions").mkdir()
    assert printed("sweep retry", str(sweep.folder)) == (
        f"nothing to retry: no run of {sweep.folder} has failed; "
        "4 runs killed or interrupted: the sweep submit command of the sweep runs them again\n"
    )


def test_numbers_of_one_are_singular(sweep):
    assert printed("sweep sync", str(sweep.folder)).startswith("0 runs uploaded")
    offline(sweep, "a0", "20260101", synced=True)
    assert upload(sweep).skipped == ("a0",)
    assert [count_text(number, "run") for number in (0, 1, 2, 1_000)] == [
        "0 runs",
        "1 run",
        "2 runs",
        "1,000 runs",
    ]


def test_the_folder_in_which_a_sweep_was_started(sweep, tmp_path):
    named = Grid(sweep.folder, (GridPoint(("sweep.name=six",), "x", ""),))
    assert start_folder(named) == tmp_path
    with pytest.raises(UserError, match="moved"):
        start_folder(Grid(sweep.folder, (GridPoint(("sweep.name=seven",), "x", ""),)))


def offline(grid: Grid, run: str, *attempts: str, synced: bool = False) -> list[Path]:
    folders = [grid.folder / run / "wandb" / f"offline-run-{attempt}-{run}" for attempt in attempts]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / f"run-{run}.wandb").write_bytes(b":W&B")
        if synced:
            (folder / f"run-{run}.wandb.synced").touch()
    return folders


def test_upload_passes_finished_runs_without_a_mark_to_the_client(sweep):
    first = offline(sweep, "a0", "20260102", "20260101")
    offline(sweep, "a2", "20260101")  # failed: not yet
    started(sweep.runs["b2"]).write_record({})
    offline(sweep, "b2", "20260101", synced=True)
    asked = []

    def client(arguments):
        """Like `wandb sync`: marks what it has uploaded."""
        asked.append(list(arguments))
        for folder in map(Path, arguments[1:]):
            (folder / f"{folder.parent.parent.name}.wandb.synced").touch()
        return subprocess.CompletedProcess(arguments, 0, "", "")

    done = upload(sweep, client)
    assert asked == [["sync", str(first[1]), str(first[0])]]  # the attempts of a run in their order
    assert (done.uploaded, done.skipped, done.without, done.failed) == (("a0",), ("b2",), ("a1",), {})
    again = upload(sweep, client)
    assert (again.uploaded, again.skipped, len(asked)) == ((), ("a0", "b2"), 1)


def test_upload_reports_the_message_of_a_failure(sweep):
    offline(sweep, "a0", "1")
    offline(sweep, "a1", "1")

    def client(arguments):
        return subprocess.CompletedProcess(arguments, 1, "Syncing...\n", "wandb: ERROR permission denied\n\n")

    done = upload(sweep, client)
    assert done.failed == dict.fromkeys(("a0", "a1"), "wandb: ERROR permission denied")


def test_the_installed_client_has_the_sync_command():
    done = subprocess.run([sys.executable, "-m", "wandb", "sync", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "[PATHS]" in done.stdout
