"""The verbs of `sweep` on sweeps made by hand: what they show, choose and hand over."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from optical_sweeps.commands import status as status_verb
from optical_sweeps.commands import sweep as dispatch
from optical_sweeps.commands import sweep_retry as retry
from optical_sweeps.commands import sweep_status as status
from optical_sweeps.commands import sweep_sync as sync
from optical_sweeps.commands.sweep_arguments import read
from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import RunFolder, write_json
from optical_sweeps.sweeps.grid import Grid, GridPoint


def said(*arguments: str) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        dispatch.run(list(arguments))
    return out.getvalue()


def begun(folder: RunFolder) -> RunFolder:
    with folder.claim():
        pass
    return folder


def failed(folder: RunFolder, message: str, cause: str) -> None:
    begun(folder)
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
        folder = begun(grid.runs[run])
        folder.write_record({"measures": {"test": {"nDCG@10": {"group:all": score}}}})
    failed(grid.runs["a2"], f"training: the loss is nan; see {grid.folder}/a2/wreck", "nan")
    failed(grid.runs["b0"], f"training: the loss is nan; see {grid.folder}/b0/wreck", "nan")
    failed(grid.runs["b1"], "No space\nleft", "disk")
    begun(grid.runs["b2"])
    return grid


def test_status_is_a_table_a_map_and_causes(sweep):
    out = said("status", str(sweep.folder))
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
    told = json.loads(said("status", str(sweep.folder), "--json"))
    assert told["counts"] == {"done": 2, "failed": 3, "stale": 1}
    assert [run["state"] for run in told["runs"]] == ["done", "done", "failed", "failed", "failed", "stale"]
    assert told["runs"][4]["cause"] == "disk"


def test_a_running_run_tells_its_step_and_its_process(sweep):
    with sweep.runs["b2"].claim():
        sweep.runs["b2"].metrics_path.write_text('{"step": 1}\n{"step": 41, "train/loss": 1}\n')
        told = json.loads(said("status", str(sweep.folder), "--json"))["runs"][5]
        assert (told["state"], told["step"]) == ("running", 41)
        assert told["where"].endswith(f"pid {os.getpid()}")


def test_many_done_runs_are_not_listed_unless_asked_for(tmp_path):
    points = tuple(GridPoint((f"seed={n}",), f"run{n:03}", f"seed={n}") for n in range(50))
    grid = Grid(tmp_path / "many", points).save()
    for run in list(grid.runs)[:-1]:
        begun(grid.runs[run]).write_record({})
    failed(grid.runs["run049"], "why", "error")
    out = said("status", str(grid.folder))
    assert "run049" in out
    assert "run000" not in out
    assert "49 done, 1 failed (49 not listed: --all)" in out
    assert "run000" in said("status", str(grid.folder), "--all")


def test_watching_a_finished_sweep_ends(sweep):
    begun(sweep.runs["b2"]).write_record({})
    assert said("status", str(sweep.folder), "--watch").endswith(" 3 done, 3 failed\n")


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_status_alone_is_the_same_verb(sweep, capsys, more):
    said = []
    for verb in (status, status_verb):
        verb.run([str(sweep.folder), *more])
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] != ""


def test_retry_chooses_by_cause_or_name(sweep):
    assert retry.chosen(sweep, (), ()) == ["a2", "b0", "b1"]
    assert retry.chosen(sweep, ("nan",), ()) == ["a2", "b0"]
    assert retry.chosen(sweep, ("nan", "disk"), ()) == ["a2", "b0", "b1"]
    assert retry.chosen(sweep, ("memory",), ()) == []
    assert retry.chosen(sweep, (), ("b2",)) == ["b2"]


@pytest.mark.parametrize(
    ("causes", "runs", "message"),
    [
        (("weather",), (), "weather is none of config, nan, memory, disk, error"),
        ((), ("zz",), "zz is no run of"),
        ((), ("a0",), "a0 is done"),
    ],
)
def test_retry_refuses(sweep, causes, runs, message):
    with pytest.raises(UserError, match=message):
        retry.chosen(sweep, causes, runs)


def test_nothing_to_retry(sweep):
    assert said("retry", str(sweep.folder), "--cause", "memory") == f"nothing to retry in {sweep.folder}\n"


def test_where_a_sweep_was_started(sweep, tmp_path):
    named = Grid(sweep.folder, (GridPoint(("sweep.name=six",), "x", ""),))
    assert retry.started_in(named) == tmp_path
    with pytest.raises(UserError, match="moved"):
        retry.started_in(Grid(sweep.folder, (GridPoint(("sweep.name=seven",), "x", ""),)))


def offline(grid: Grid, run: str, *attempts: str, synced: bool = False) -> list[Path]:
    folders = [grid.folder / run / "wandb" / f"offline-run-{attempt}-{run}" for attempt in attempts]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / f"run-{run}.wandb").write_bytes(b":W&B")
        if synced:
            (folder / f"run-{run}.wandb.synced").touch()
    return folders


def test_sync_hands_over_what_is_finished_and_not_marked(sweep):
    first = offline(sweep, "a0", "20260102", "20260101")
    offline(sweep, "a2", "20260101")  # failed: not yet
    begun(sweep.runs["b2"]).write_record({})
    offline(sweep, "b2", "20260101", synced=True)
    asked = []

    def client(arguments):
        """Does as `wandb sync` does: marks what it has uploaded."""
        asked.append(list(arguments))
        for folder in map(Path, arguments[1:]):
            (folder / f"{folder.parent.parent.name}.wandb.synced").touch()
        return subprocess.CompletedProcess(arguments, 0, "", "")

    done = sync.sync(sweep, client)
    assert asked == [["sync", str(first[1]), str(first[0])]]  # the attempts of a run in their order
    assert (done.uploaded, done.skipped, done.without, done.failed) == (("a0",), ("b2",), ("a1",), {})
    again = sync.sync(sweep, client)
    assert (again.uploaded, again.skipped, len(asked)) == ((), ("a0", "b2"), 1)


def test_sync_says_what_failed(sweep):
    offline(sweep, "a0", "1")
    offline(sweep, "a1", "1")

    def client(arguments):
        return subprocess.CompletedProcess(arguments, 1, "Syncing...\n", "wandb: ERROR permission denied\n\n")

    done = sync.sync(sweep, client)
    assert done.failed == dict.fromkeys(("a0", "a1"), "wandb: ERROR permission denied")


def test_the_installed_client_knows_the_verb():
    done = subprocess.run([sys.executable, "-m", "wandb", "sync", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "[PATHS]" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--frobnicate"], "--frobnicate is none of --all --json"),
        (["--json=1", "x"], "--json=1 is none"),
        (["x", "--cause"], "--cause needs a value"),
        (["x", "--all=1"], "none of"),
    ],
)
def test_arguments_that_are_none(arguments, message):
    with pytest.raises(UserError, match=message):
        read("sweep test", arguments, flags=("all",), options=("cause",) if "--cause" in arguments else ())


def test_arguments():
    given = read("v", ["a", "--cause", "x", "--cause=y", "--all"], flags=("all",), options=("cause",))
    assert (given.words, given.options, given.flags) == (("a",), {"cause": ("x", "y")}, {"all"})
    assert given.sweep() == Path("a")
    with pytest.raises(UserError, match="name one sweep folder"):
        read("v", []).sweep()


def test_help_names_every_verb_and_an_unknown_one_is_refused():
    text = said("--help")
    for name, verb in dispatch.SWEEP_COMMANDS.items():
        assert name in text
        assert verb.usage in said(name, "--help")
    with pytest.raises(UserError, match="sweep frob: no such verb; the verbs are plan, submit"):
        dispatch.run(["frob"])
