"""A small part of the demo gives the scores that conf/expected_demo.yaml holds, by the command it names."""

import json
import shlex
from pathlib import Path

import yaml

from optical_sweeps.cli import conf_folder
from tests.support.command_line import Command


def test_the_demo_has_the_scores_that_it_should(there: Command, tmp_path: Path) -> None:
    file = Path(conf_folder()) / "expected_demo.yaml"
    expected = yaml.safe_load(file.read_text())
    _, *arguments = shlex.split(expected["command"])
    trained = there(tmp_path, *arguments, "logger.mode=disabled")
    assert trained.code == 0, trained
    verified = there(tmp_path, "verify", "multirun/check", "--expected", str(file), "--json")
    told = json.loads(verified.out)
    assert verified.code == 0, [cell for cell in told["cells"] if cell["verdict"] == "FAIL"]
    assert len(told["cells"]) == sum(len(run["scores"]) for run in expected["runs"])
