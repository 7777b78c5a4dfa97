"""What names no finished run is refused before torch is imported."""

import subprocess
import sys

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.runs.finished_run import finished_folder

PROGRAM = """
import sys
from optical_sweeps.cli import main
try:
    main()
finally:
    print(sorted({"torch", "transformers"} & set(sys.modules)))
"""
SWEEP = "multirun/bazaar"
A_SWEEP = f"{SWEEP} is a sweep, not a run"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("search --query hola", "give a run's folder, such as"),
        ("search multirun/bazaar --query hola", f"{A_SWEEP}; name one of its runs, such as {SWEEP}/done"),
        ("search multirun/bazaar/half --query hola", "multirun/bazaar/half is stale, not done"),
        ("search nowhere --query hola", "{here}/nowhere is missing, not done"),
        ("search multirun/bazaar/done", "--query, --queries: give one of them"),
        ("search checkpoint=x --query hola", "data: a checkpoint has no collection"),
        ("evaluate", "give a run's folder, such as"),
        ("evaluate multirun/bazaar", "multirun/bazaar is a sweep"),
        ("inspect multirun/bazaar/half", "multirun/bazaar/half is stale, not done"),
        ("inspect multirun/bazaar/done", "nothing to inspect"),
        ("export to=out", "give a run's folder, such as"),
        ("export multirun/bazaar to=out", "multirun/bazaar is a sweep"),
        ("export multirun/bazaar/done to=multirun", "to: multirun exists already"),
    ],
)  # fmt: skip
def test_a_command_refuses_before_it_imports_torch(line, message, tmp_path):
    sweep = tmp_path / "multirun" / "bazaar"
    for run, file in (("done", "record.json"), ("half", ".lock")):
        (sweep / run).mkdir(parents=True)
        (sweep / run / file).write_text("{}")
    (sweep / "grid.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *line.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message.format(here=tmp_path)}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == "[]\n"


def test_a_sweep_without_a_finished_run_names_none(tmp_path):
    (tmp_path / "grid.json").write_text("{}")
    with pytest.raises(UserError, match="is a sweep, not a run; and none of its runs is done"):
        finished_folder(tmp_path)
