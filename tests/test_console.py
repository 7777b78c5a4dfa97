"""Progress where output is no terminal: lines about work that takes long, and none about quick work."""

import pytest

from optical_sweeps import console
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds


@pytest.fixture
def wait(monkeypatch):
    """Moves the clock by some seconds."""
    now = [100.0]
    monkeypatch.setattr(console, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def test_quick_work_prints_nothing(wait, capsys):
    with console.progress("optical seed=1") as advance:
        for done in range(10):
            wait(5)
            advance(done, 9)
    assert capsys.readouterr().out == ""


def test_long_work_prints_a_line_after_a_minute_and_then_every_ten(wait, capsys):
    with console.progress("optical seed=1") as advance:
        for done in range(1, 130):
            wait(10)
            advance(done, 2000)
    assert capsys.readouterr().out.splitlines() == [
        "optical seed=1: 6 of 2,000 after 60 s",
        "optical seed=1: 66 of 2,000 after 11 min",
        "optical seed=1: 126 of 2,000 after 21 min",
    ]


def test_a_shared_build_prints_a_line_after_ten_seconds(wait, capsys, tmp_path):
    with ArtifactBuilds.at(tmp_path).progress("teacher") as advance:
        wait(9)
        advance(1, 300)
        wait(1)
        advance(2, 300)
    assert capsys.readouterr().out == "teacher: 2 of 300 after 10 s\n"


def test_finished_work_prints_nothing(wait, capsys):
    with console.progress("index") as advance:
        wait(100)
        advance(300, 300)
    assert capsys.readouterr().out == ""


def test_with_json_the_lines_go_to_standard_error(wait, capsys):
    with console.json_alone(), console.progress("report") as advance:
        wait(60)
        advance(1, 4)
    assert capsys.readouterr() == ("", "report: 1 of 4 after 60 s\n")
