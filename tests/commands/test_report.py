"""`report` writes one page and says where; what it cannot do it says in one line."""

import json

import pytest

from optical_sweeps.commands.report import run
from optical_sweeps.errors import UserError
from tests.support.finished_sweeps import write_sweep


@pytest.fixture
def sweep(tmp_path):
    write_sweep(tmp_path / "small", ratios=(0, 1), seeds=(1,))
    return tmp_path / "small"


def test_the_page_lands_in_the_sweeps_folder(sweep, capsys):
    run([str(sweep), "--no-texts"])
    page = (sweep / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert len(page.encode()) < 5_000_000
    out = capsys.readouterr().out.splitlines()
    assert f"{sweep}/report.html" in out[0]
    assert "texts of queries" in out[1]


def test_json_says_where(sweep, tmp_path, capsys):
    run([str(sweep), "--no-texts", "--json", "--output", str(tmp_path / "new" / "page.html")])
    said = json.loads(capsys.readouterr().out)
    assert said["report"] == str(tmp_path / "new" / "page.html")
    assert said["bytes"] == (tmp_path / "new" / "page.html").stat().st_size
    assert said["runs"] == 7


def test_a_corpus_that_is_not_at_hand_costs_the_texts_alone(sweep, capsys):
    """The made sweeps name no corpus that can be built."""
    run([str(sweep)])
    assert "ids" in capsys.readouterr().out
    assert (sweep / "report.html").exists()


def test_no_sweep_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no grid.json"):
        run([str(tmp_path)])
    with pytest.raises(UserError, match="name one sweep folder"):
        run([])
