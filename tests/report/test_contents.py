"""A report contains what the run folders contain."""

import json

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.report.contents import gather
from optical_sweeps.report.sweep_runs import read_runs, varied_keys
from optical_sweeps.sweeps.grid import Grid, GridPoint
from tests.support.finished_sweeps import write_sweep


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweeps") / "small & <b>"
    folder.mkdir()
    write_sweep(folder)
    return folder


@pytest.fixture(scope="module")
def contents(sweep):
    return gather(Grid.load(sweep), sweep / "report.html")


def test_every_grid_point_is_listed_with_its_state(contents):
    states = {run["id"]: run["state"] for run in contents["runs"]}
    assert states.pop("broken") == "failed"
    assert states.pop("absent") == "missing"
    assert len(states) == 13
    assert set(states.values()) == {"done"}


def test_a_failure_has_its_cause(contents):
    (broken,) = (run for run in contents["runs"] if run["id"] == "broken")
    assert (broken["cause"], broken["message"]) == ("nan", "the loss is nan")


def test_scores_are_those_of_the_records(sweep, contents):
    for run in contents["runs"]:
        if run["state"] != "done":
            continue
        measures = json.loads((sweep / run["id"] / "record.json").read_text())["measures"]
        for s, split in enumerate(contents["splits"]):
            for m, measure in enumerate(contents["measures"]):
                for place, slice in enumerate(contents["slices"]):
                    assert run["scores"][s][m][place] == pytest.approx(
                        measures[split][measure][slice], abs=1e-5
                    )


def test_only_the_ratio_varies(sweep):
    """Neither seeds nor the parts of an objective are swept keys."""
    assert varied_keys(read_runs(Grid.load(sweep))) == ["mixture.ratio"]


def test_a_point_has_runs_that_only_differ_in_seed(contents):
    for point in contents["points"]:
        runs = [contents["runs"][number] for number in point["runs"]]
        assert len({(run["objective"], *run["values"]) for run in runs}) == 1
        assert len({run["seed"] for run in runs}) == len(runs)
    assert sorted(n for point in contents["points"] for n in point["runs"]) == [
        n for n, run in enumerate(contents["runs"]) if run["state"] == "done"
    ]


def test_intervals_contain_the_mean(contents):
    for point in contents["points"]:
        for place, bounds in enumerate(point["intervals"]):
            scores = [contents["runs"][n]["scores"][0][0][place] for n in point["runs"]]
            assert bounds[0] <= sum(scores) / len(scores) <= bounds[1]


def test_configs_are_restored_from_their_differences(sweep, contents):
    keys, base, differ = (contents["configs"][name] for name in ("keys", "base", "differ"))
    for run, changes in differ.items():
        config = json.loads((sweep / run / "record.json").read_text())["config"]
        found = dict(zip(keys, base, strict=True)) | {keys[change[0]]: change[1] for change in changes}
        solver = config["objective"].get("solver", {}).get("epsilon", {"absent": True})
        assert found["objective.solver.epsilon"] == solver
        assert found["mixture.ratio"] == config["mixture"]["ratio"]


def test_links_lead_from_the_page_to_the_folders(sweep):
    page = sweep.parent / "pages" / "a" / "report.html"
    contents = gather(Grid.load(sweep), page)
    assert contents["runs"][0]["href"] == "../../small%20%26%20%3Cb%3E/opt0s1/"


def test_a_sweep_without_a_finished_run_is_refused(tmp_path):
    Grid(tmp_path, (GridPoint((), "a", "optical"),)).save()
    with pytest.raises(UserError, match="no finished run"):
        gather(Grid.load(tmp_path), tmp_path / "report.html")


def test_a_broken_record_is_named(tmp_path):
    write_sweep(tmp_path, ratios=(0,), seeds=(1,))
    path = tmp_path / "zero" / "record.json"
    path.write_text(json.dumps({"schema": 1, "id": "zero", "label": "none"}))
    with pytest.raises(UserError, match=r"zero/record.json.*config"):
        gather(Grid.load(tmp_path), tmp_path / "report.html")


def test_runs_without_per_query_scores_are_reported(tmp_path):
    write_sweep(tmp_path, ratios=(0,), seeds=(1,))
    (tmp_path / "zero" / "per_query.parquet").unlink()
    contents = gather(Grid.load(tmp_path), tmp_path / "report.html")
    assert any("1 run:" in line for line in contents["left_out"])
    assert "zero" not in contents["queries"]["runs"]
