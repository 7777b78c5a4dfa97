"""The notebooks run from start to end, from either folder, and are committed as text without outputs."""

import re
from pathlib import Path

import jupytext
import nbclient
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
STARTED_IN = {"demo_study": "{empty}/notebooks", "scaling_fits": "{root}", "transport_plan": "{root}/notebooks"}
"""The first looks for sweeps beside that folder, finds none, and makes one."""


def test_they_are_as_jupytext_writes_them() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(STARTED_IN)
    for path in NOTEBOOKS:
        notebook = jupytext.read(path)
        assert notebook.metadata["jupytext"]["formats"] == "ipynb,py:percent"
        lines = jupytext.writes(notebook, "py:percent").splitlines()
        assert [line for line in lines if "_version: " not in line] == path.read_text().splitlines(), path.name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    notebook = jupytext.read(path)
    folder = Path(STARTED_IN[path.stem].format(root=ROOT, empty=tmp_path))
    folder.mkdir(exist_ok=True)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}}).execute()
    shown = [output for cell in cells for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in shown)
    errors = [output["text"] for output in shown if output.output_type == "stream" and output.name == "stderr"]
    assert not re.search("Traceback|Error", "".join(errors)), errors
