"""Which launchers perform runs one by one, so that the sweep can stop after the first failure."""

import importlib.util
import os
import signal
from pathlib import Path

import pytest
from hydra._internal.core_plugins import basic_launcher
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher

from optical_sweeps.interruption import Interrupted
from optical_sweeps.sweeps.grid import Grid, GridPoint
from optical_sweeps.sweeps.sweeper import _runs_here, _stopping, job_of


class OtherLauncher(Launcher):
    """A launcher that performs jobs in other processes."""

    def setup(self, **_):
        """Not called."""

    def launch(self, *_):
        """Not called."""


def test_hydras_launcher_is_recognised_although_hydra_loads_its_module_again():
    again = importlib.util.module_from_spec(basic_launcher.__spec__)
    basic_launcher.__spec__.loader.exec_module(again)  # as Hydra does when it looks for plugins
    assert again.BasicLauncher is not basic_launcher.BasicLauncher
    assert _runs_here(again.BasicLauncher())
    assert _runs_here(basic_launcher.BasicLauncher())
    assert not _runs_here(OtherLauncher())


def stop_in(grid: Grid, run: str) -> None:
    with _stopping(OtherLauncher(), grid), grid.runs[run].claim():
        os.kill(os.getpid(), signal.SIGTERM)


def test_the_run_that_a_signal_stops_is_counted_as_interrupted(tmp_path: Path, capsys):
    grid = Grid(tmp_path / "demo", tuple(GridPoint((f"seed={run}",), run, run) for run in "abc")).save()
    with grid.runs["a"].claim():
        grid.runs["a"].write_record({})
    with pytest.raises(Interrupted):
        stop_in(grid, "b")
    line = f"sweep stopped by SIGTERM: 1 done, 1 interrupted, 1 missing in {grid.folder}; run the same command"
    assert capsys.readouterr().out.startswith(line)


def test_the_launcher_that_hydra_finds_is_recognised():
    names = {plugin.__name__: plugin for plugin in Plugins.instance().discover(Launcher)}
    assert _runs_here(names["BasicLauncher"]())


def test_a_run_id_that_looks_like_a_number_stays_text():
    overrides = job_of(GridPoint(("seed=1",), "147146609e06", "a run"), 1, 1)
    (subdir,) = (word for word in overrides if word.startswith("hydra.sweep.subdir="))
    assert OverridesParser.create().parse_override(subdir).value() == "147146609e06"
