"""`report` writes one page, and prints its path or one line about bad input."""

import json

import pytest

from optical_sweeps.errors import UserError
from tests.support.command_line import call
from tests.support.finished_sweeps import write_sweep


@pytest.fixture
def sweep(tmp_path):
    write_sweep(tmp_path / "small", ratios=(0, 1), seeds=(1,))
    return tmp_path / "small"


def test_the_page_is_written_into_the_sweeps_folder(sweep, capsys):
    call("report", str(sweep), "--no-texts")
    page = (sweep / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert len(page.encode()) < 5_000_000
    out = capsys.readouterr().out.splitlines()
    assert f"{sweep}/report.html" in out[0]
    assert "texts of queries" in out[1]


def test_json_has_the_path(sweep, tmp_path, capsys):
    call("report", str(sweep), "--no-texts", "--json", "--output", str(tmp_path / "new" / "page.html"))
    facts = json.loads(capsys.readouterr().out)
    assert facts["report"] == str(tmp_path / "new" / "page.html")
    assert facts["bytes"] == (tmp_path / "new" / "page.html").stat().st_size
    assert facts["runs"] == 7


def test_without_the_corpus_queries_are_shown_by_their_ids(sweep, capsys):
    """The corpus of the written sweeps cannot be built."""
    call("report", str(sweep))
    assert "ids" in capsys.readouterr().out
    assert (sweep / "report.html").exists()


def test_no_sweep_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no grid.json"):
        call("report", str(tmp_path))
    with pytest.raises(UserError, match="arguments are required: SWEEP"):
        call("report")
