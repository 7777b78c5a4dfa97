"""Files of expected scores: reading, refusals, and comparison with a sweep."""

import json

import pytest
import yaml

from optical_sweeps.cli import conf_folder
from optical_sweeps.errors import UserError
from optical_sweeps.report.expected import check_expected, read_expected
from optical_sweeps.report.sweep_runs import read_runs
from optical_sweeps.sweeps.grid import Grid
from tests.support.finished_sweeps import write_sweep

SCORE = "test/nDCG@10/group:low"


@pytest.fixture
def sweep(tmp_path):
    write_sweep(tmp_path, ratios=(0, 0.5), seeds=(1,))
    return tmp_path


def _file(folder, *runs, **tolerances):
    path = folder / "expected.yaml"
    path.write_text(
        yaml.safe_dump({"tolerances": tolerances or {"near": {"ok": 0.01, "close": 0.03}}, "runs": list(runs)})
    )
    return path


def _entry(score, **where):
    return {"where": {"objective": "optical", **where}, "tolerance": "near", "scores": {SCORE: score}}


def _verdicts(sweep, *entries):
    return [
        cell.verdict
        for cell in check_expected(read_expected(_file(sweep, *entries)), read_runs(Grid.load(sweep)))
    ]


def test_verdicts_follow_the_tolerances(sweep):
    score = json.loads((sweep / "opt0_5s1" / "record.json").read_text())["measures"]["test"]["nDCG@10"][
        "group:low"
    ]
    entries = [_entry(score + off, **{"mixture.ratio": 0.5}) for off in (0.009, -0.02, 0.04)]
    assert _verdicts(sweep, *entries) == ["OK", "close", "FAIL"]


@pytest.mark.parametrize(
    ("where", "note"),
    [({"mixture.ratio": 0.75}, "0 runs"), ({}, "2 runs"), ({"mixture.ratio": 2}, "failed")],
    ids=["none", "several", "failed"],
)
def test_an_entry_that_does_not_match_one_finished_run_fails(sweep, where, note):
    if not where:
        where = {"mixture.total": 80}
    (cell,) = check_expected(read_expected(_file(sweep, _entry(0.3, **where))), read_runs(Grid.load(sweep)))
    assert cell.verdict == "FAIL"
    assert note in cell.note


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "not YAML"),
        ("[]", "tolerances and runs"),
        ("{tolerances: {}, runs: []}", "tolerances and runs"),
        ("{tolerances: {}, runs: [{where: {a: 1}, tolerance: near, scores: {b: 1}}]}", "entry 1"),
        (
            "{tolerances: {near: {ok: 1, close: 0}}, runs: [{where: {a: 1}, tolerance: near, scores: {b: 1}}]}",
            "not between",
        ),
        (
            "{tolerances: {near: {ok: 0, close: 0}}, runs: [{where: {a: 1}, tolerance: near, scores: {b: x}}]}",
            "not a number",
        ),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "expected.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as refusal:
        read_expected(path)
    assert "\n" not in str(refusal.value)


def test_the_file_of_the_demo_is_valid():
    entries = read_expected(conf_folder() / "expected_demo.yaml")
    assert {entry.where["objective"] for entry in entries} >= {"none", "contrastive"}
