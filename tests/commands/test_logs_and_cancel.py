"""`sweep logs` and `sweep cancel` without Slurm."""

import json
import os

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.slurm.run_logs import follow
from optical_sweeps.sweeps.grid import Grid, GridPoint
from tests.support.command_line import call


@pytest.fixture
def sweep(tmp_path):
    points = (GridPoint(("seed=1",), "a1", "one"), GridPoint(("seed=2",), "b2", "two"))
    return Grid(tmp_path / "demo", points).save().folder


def test_cancel_names_the_process_of_a_local_run(sweep, capsys):
    with RunFolder(sweep / "a1").claim():
        call("sweep cancel", str(sweep))
        assert capsys.readouterr().out == f"a1 is running outside Slurm; to stop it, kill {os.getpid()}\n"
        call("sweep cancel", str(sweep), "--run=b2", "--json")
        assert json.loads(capsys.readouterr().out) == {
            "tasks": [],
            "preparations": [],
            "runs": [],
            "processes": [],
        }
    call("sweep cancel", str(sweep))
    assert capsys.readouterr().out == "nothing to cancel: no run is queued or running\n"
    with pytest.raises(UserError, match="no run c3"):
        call("sweep cancel", str(sweep), "--run", "c3")


def test_logs_of_a_failed_run_include_the_failure(sweep, capsys):
    folder = RunFolder(sweep / "a1")
    with pytest.raises(ValueError, match="too bad"):
        fail(folder)
    call("sweep logs", str(folder.path))
    output = capsys.readouterr().out
    assert "a library warned" in output
    assert "ValueError: too bad" in output
    call("sweep logs", str(folder.path), "--json")
    facts = json.loads(capsys.readouterr().out)
    assert (facts["state"], facts["failure"]["message"]) == ("failed", "too bad")
    assert facts["files"] == [str(folder.path / "train.log")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "arguments are required: RUN"),
        (["{}/zz"], "no such run"),
        (["{}"], "a sweep; name one of its runs, which sweep status .* lists"),
        (["{}/a1"], "no such run"),
    ],
)
def test_runs_without_a_log_are_refused(sweep, words, message):
    with pytest.raises(UserError, match=message):
        call("sweep logs", *(word.format(sweep) for word in words))


def test_a_log_is_followed_as_it_grows_until_its_run_ends(tmp_path):
    path, more = tmp_path / "log", ["one\n", "two\n", "last\n"]
    ends = []

    def write_next(_: float) -> None:
        with path.open("a") as file:
            file.write(more.pop(0))
        if not more:
            ends.append(True)

    assert list(follow(path, lambda: bool(ends), write_next)) == ["one\n", "two\n", "last\n"]


def fail(folder: RunFolder) -> None:
    with folder.claim():
        (folder.path / "train.log").write_text("a library warned\n")
        raise ValueError("too bad")
