"""`sweep logs` and `sweep cancel` where there is no Slurm."""

import json
import os

import pytest

from optical_sweeps.commands import sweep_cancel as cancel
from optical_sweeps.commands import sweep_logs as logs
from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.sweeps.grid import Grid, GridPoint


@pytest.fixture
def sweep(tmp_path):
    points = (GridPoint(("seed=1",), "a1", "one"), GridPoint(("seed=2",), "b2", "two"))
    return Grid(tmp_path / "demo", points).save().folder


def test_of_a_run_at_work_here_cancel_tells_the_process(sweep, capsys):
    with RunFolder(sweep / "a1").claim():
        cancel.run([str(sweep)])
        assert capsys.readouterr().out == f"a1 is at work outside Slurm; to end it, kill {os.getpid()}\n"
        cancel.run([str(sweep), "--run=b2", "--json"])
        assert json.loads(capsys.readouterr().out) == {"tasks": [], "runs": [], "processes": []}
    cancel.run([str(sweep)])
    assert capsys.readouterr().out == "nothing to cancel: no run is queued or running\n"
    with pytest.raises(UserError, match="run c3 is not of this sweep"):
        cancel.run([str(sweep), "--run", "c3"])


def test_a_failed_run_tells_its_log_and_why(sweep, capsys):
    folder = RunFolder(sweep / "a1")
    with pytest.raises(ValueError, match="too bad"):
        fail(folder)
    logs.run([str(folder.path)])
    told = capsys.readouterr().out
    assert "a library warned" in told
    assert "ValueError: too bad" in told
    logs.run([str(folder.path), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["state"], told["failure"]["message"]) == ("failed", "too bad")
    assert told["files"] == [str(folder.path / "train.log")]


@pytest.mark.parametrize(
    ("words", "told"), [([], "name one run"), (["{}/zz"], "no such run"), (["{}"], "no log")]
)
def test_what_there_is_no_log_of(sweep, words, told):
    with pytest.raises(UserError, match=told):
        logs.run([word.format(sweep) for word in words])


def test_a_log_is_followed_as_it_grows_until_its_run_ends(tmp_path):
    path, more = tmp_path / "log", ["one\n", "two\n", "last\n"]
    ends = []

    def write_next(_: float) -> None:
        with path.open("a") as file:
            file.write(more.pop(0))
        if not more:
            ends.append(True)

    assert list(logs.follow(path, lambda: bool(ends), write_next)) == ["one\n", "two\n", "last\n"]


def fail(folder: RunFolder) -> None:
    with folder.claim():
        (folder.path / "train.log").write_text("a library warned\n")
        raise ValueError("too bad")
