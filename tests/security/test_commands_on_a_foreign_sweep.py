"""Every command that opens a sweep, on a stranger's: nothing runs that the stranger chose."""

import contextlib
import json
import sys
from pathlib import Path

import pytest

from optical_sweeps import cli, config_classes
from optical_sweeps.errors import UserError
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.runs.run_folder import RunFolder
from tests.support.configs import compose

SECTIONS = (
    "data",
    "encoder",
    "backbone",
    "teacher",
    "objective",
    "mixture",
    "training",
    "evaluation",
    "search",
)
RUN = "0123456789ab"


@pytest.fixture(scope="module")
def config() -> dict[str, object]:
    return resolved(compose("train"))


@pytest.fixture(params=["stranger.Thing", "os.system"])
def sweep(request, config, tmp_path, monkeypatch) -> Path:
    """A sweep of one run in the working folder, which asks for a class in every place."""
    code = f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\nclass Thing:\n    pass\n"
    (tmp_path / "stranger.py").write_text(code)
    monkeypatch.setattr(config_classes, "_allowed", set())
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("stranger", None)
    call = {"_target_": request.param, "_args_": [f"touch {tmp_path / 'ran'}"]}
    if request.param != "os.system":
        del call["_args_"]
    hostile = {**config, "run_type": request.param, "allow_foreign_classes": [request.param]}
    hostile |= {name: call for name in SECTIONS if name in config}
    folder = RunFolder(tmp_path / "multirun" / "x" / RUN)
    record = {
        "id": RUN,
        "label": "x",
        "config": hostile,
        "measures": {},
        "facts": {"corpus": call},
        "schema": 1,
    }
    folder.write_record(record)
    overrides = [f"allow_foreign_classes=[{request.param}]", f"data._target_={request.param}"]
    point = {"overrides": overrides, "run": RUN, "label": "x", "note": None}
    grid = {"schema": 3, "config": "train", "config_dir": None, "points": [point, {**point, "run": "failed"}]}
    (tmp_path / "multirun" / "x" / "grid.json").write_text(json.dumps(grid))
    (tmp_path / "multirun" / "x" / "failed").mkdir()
    (tmp_path / "multirun" / "x" / "failed" / "FAILED.json").write_text('{"cause": "error", "message": "x"}')
    return tmp_path / "multirun" / "x"


@pytest.mark.parametrize(
    "command",
    [
        "evaluate {run}",
        "search {run} query=text",
        "inspect {run}",
        "export {run} to=out",
        "verify {sweep}",
        "report {sweep}",
        "curves {sweep}",
        "claims {sweep}",
        "figures {sweep}",
        "sweep status {sweep}",
        "sweep logs {sweep}",
        "sweep retry {sweep}",
        "sweep cancel {sweep}",
        "sweep sync {sweep}",
    ],
)
def test_no_command_runs_what_a_sweep_names(command, sweep, capsys):
    words = command.format(run=sweep / RUN, sweep=sweep).split()
    with contextlib.suppress(UserError, SystemExit):
        cli._dispatch(words)
    assert not (sweep.parents[1] / "ran").exists()
    assert "stranger" not in sys.modules
    assert "Traceback" not in capsys.readouterr().err
