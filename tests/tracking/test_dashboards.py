"""Dashboards as code: their content, that it is the same on every call, and what the service then stores."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.dashboards.logged_sweep import LoggedSweep, logged_sweep
from optical_sweeps.tracking.dashboards.saving import save
from optical_sweeps.tracking.dashboards.sections import Panel, sections
from optical_sweeps.tracking.dashboards.views import MARK, specifications
from optical_sweeps.tracking.run_log import RunLog
from tests.support.command_line import call
from tests.support.wandb_server import ENTITY, Fault, WandbServer

PROJECT = "study"
SLICES = ("ar", "de", "group:all", "group:high", "group:low")


def run_of(objective: str, ratio: float, seed: int, *metrics: str) -> RunLog:
    config = {
        "objective": {"_target_": f"optical_sweeps.objectives.{objective}", "temperature": 0.05},
        "mixture": {"ratio": ratio, "total": 80, "seed": seed},
        "seed": seed,
        "paths": {"sweeps": f"/home/{seed}"},
        "logger": {"project": PROJECT, "entity": None},
    }
    measured = [f"{split}/nDCG@10/{where}" for split in ("dev", "test") for where in SLICES]
    names = (*measured, "train/loss", "usage/hours", *metrics)
    return RunLog(f"{objective}{ratio}{seed}", config, dict.fromkeys(names, 0.5), group="demo", complete=True)


RUNS = [
    run_of("Optical", 0, 1, "train/plan_entropy", "train/plan_marginal_error", "train/plan_cost"),
    run_of("Optical", 1, 1, "train/plan_entropy"),
    run_of("Contrastive", 0, 2, "train/in_batch_accuracy"),
]


def logged(group: str | None = "demo", **changes: Any) -> LoggedSweep:
    found = logged_sweep(RUNS, project=PROJECT, entity=None, group=group, measure="nDCG@10")
    return replace(found, **changes)


def test_settings_are_the_keys_that_differ_between_runs() -> None:
    found = logged()
    assert found.settings == ("mixture.ratio", "objective._target_", "seed")
    assert found.axes == {"ratio": "mixture.ratio"}
    assert found.languages == ("ar", "de")
    assert found.groups == ("group:all", "group:high", "group:low")


def metrics_of(panel: Panel) -> tuple[str, ...]:
    return getattr(panel, "metrics", None) or ((panel.metric,) if hasattr(panel, "metric") else ())


def test_panels_only_name_logged_metrics() -> None:
    shown = {
        metric for section in sections(logged()) for panel in section.panels for metric in metrics_of(panel)
    }
    assert shown <= logged().metrics
    assert {"train/plan_entropy", "train/plan_marginal_error", "train/plan_cost", "usage/hours"} <= shown
    without = replace(logged(), metrics=frozenset(m for m in logged().metrics if "plan" not in m))
    assert "Transport plan" in [section.title for section in sections(logged())]
    assert "Transport plan" not in [section.title for section in sections(without)]


def test_diagnostics_of_a_combined_objective_are_shown() -> None:
    (section,) = [
        section
        for section in sections(logged(metrics=frozenset({"train/optical_plan_entropy", "train/loss"})))
        if section.title == "Transport plan"
    ]
    assert [metrics_of(panel) for panel in section.panels] == [("train/optical_plan_entropy",)]


def test_zero_shot_runs_have_no_curve() -> None:
    none = {**RUNS[0].config, "objective": {"_target_": "optical_sweeps.objectives.NoDistillation"}}
    zero_shot = replace(RUNS[0], id="zero", config=none, summary={"test/nDCG@10/ar": 0.5})
    found = logged_sweep([*RUNS[1:], zero_shot], project=PROJECT, entity=None, group="demo", measure="nDCG@10")
    assert found.objectives == ("optical_sweeps.objectives.Contrastive", "optical_sweeps.objectives.Optical")


def test_perturbed_queries_are_shown_next_to_the_original_ones() -> None:
    names = frozenset({"test/nDCG@10/group:low", "test+typing@0.1/nDCG@10/group:low", "dev/nDCG@10/group:low"})
    (section,) = [
        section for section in sections(logged(metrics=names)) if section.title == "Perturbed queries"
    ]
    assert [metrics_of(panel) for panel in section.panels] == [
        ("test/nDCG@10/group:low", "test+typing@0.1/nDCG@10/group:low")
    ]


def test_a_measure_that_was_not_logged_is_refused() -> None:
    with pytest.raises(UserError, match=r"no run logged nDCG@7; logged measures: nDCG@10"):
        logged_sweep(RUNS, project=PROJECT, entity=None, group=None, measure="nDCG@7")
    with pytest.raises(UserError, match="no run to show"):
        logged_sweep([], project=PROJECT, entity=None, group=None, measure="nDCG@10")


def filters_of(spec: dict[str, Any]) -> list[list[tuple[str, Any]]]:
    """(key, value) of the filters of every set of runs."""
    sets = spec["workspace"]["spec"]["section"]["runSets"]
    grids = [block for block in spec["report"]["spec"]["blocks"] if block["type"] == "panel-grid"]
    sets += [runs for grid in grids for runs in grid["metadata"]["runSets"]]
    return [[(item["key"]["name"], item["value"]) for item in leaves(runs["filters"])] for runs in sets]


def leaves(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict) and "key" in tree and tree.get("value") is not None:
        yield tree
    elif isinstance(tree, dict | list):
        for item in tree.values() if isinstance(tree, dict) else tree:
            yield from leaves(item)


@pytest.mark.parametrize("group", ["demo", "a=b<c>'d'\"e\" and f", None])
def test_a_sweep_shows_its_own_runs(group: str | None) -> None:
    sets = filters_of(specifications(logged(group)))
    assert all(([("group", group)] if group else []) == found[: bool(group)] for found in sets)
    objectives = {value for found in sets for name, value in found if name == "objective.value._target_"}
    assert objectives == {"optical_sweeps.objectives.Optical", "optical_sweeps.objectives.Contrastive"}


def test_parallel_coordinates_go_from_settings_to_scores() -> None:
    text = json.dumps(specifications(logged())["workspace"]["spec"])
    accessors = [part.split('"')[0] for part in text.split('"accessor": "')[1:]]
    assert accessors == [
        "config:mixture.value.ratio",
        "config:objective.value._target_",
        "config:seed.value",
        "summary:test/nDCG@10/group:all",
        "summary:test/nDCG@10/group:high",
        "summary:test/nDCG@10/group:low",
    ]


def test_the_specification_is_the_same_in_another_process() -> None:
    program = (
        "import json\nfrom tests.tracking.test_dashboards import logged, specifications\n"
        "print(json.dumps(specifications(logged()), sort_keys=True))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"},
        check=True,
    )
    assert json.loads(done.stdout) == json.loads(json.dumps(specifications(logged())))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbServer]:
    """A server to which the user is logged in."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "home/.netrc"))
    with WandbServer() as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        running.add_run(PROJECT, "run0", summary={"test/nDCG@10/ar": 0.5}, group="demo")
        yield running
        assert running.errors == []


def views(server: WandbServer) -> list[dict[str, Any]]:
    return sorted(server.store.project(ENTITY, PROJECT).views.values(), key=lambda view: str(view["type"]))


def without_projects(spec: Any) -> Any:
    """A specification without the project's number, which the service assigns."""
    if isinstance(spec, dict):
        return {key: without_projects(value) for key, value in spec.items() if key != "project"}
    return [without_projects(item) for item in spec] if isinstance(spec, list) else spec


def test_saved_twice_there_is_one_workspace_and_one_report(server: WandbServer) -> None:
    first, again = save(logged()), save(logged())
    assert (first.workspace, first.report) == (again.workspace, again.report)
    assert (first.replaced, again.replaced) == (False, True)
    workspace, report = views(server)
    assert (workspace["type"], report["type"]) == ("project-view", "runs")
    assert (workspace["displayName"], report["displayName"]) == ("Sweep demo: nDCG@10", "Sweep demo: nDCG@10")
    told = specifications(logged())
    assert workspace["name"] == told["workspace"]["name"]
    assert without_projects(json.loads(workspace["spec"])) == without_projects(told["workspace"]["spec"])
    assert without_projects(json.loads(report["spec"])) == without_projects(told["report"]["spec"])
    assert first.workspace.startswith(f"{server.url}/{ENTITY}/{PROJECT}?nw=")
    assert first.report.startswith(f"{server.url}/{ENTITY}/{PROJECT}/reports/")


def test_another_sweep_and_another_report_are_left_alone(server: WandbServer) -> None:
    save(logged())
    theirs = {
        "entityName": ENTITY,
        "projectName": PROJECT,
        "type": "runs",
        "displayName": "Sweep demo: nDCG@10",
    }
    mine = server.operations.upsertView({**theirs, "name": "mine", "description": "", "spec": "{}"})["view"]
    save(logged("other"))
    save(logged())
    assert len(views(server)) == 5
    assert server.store.project(ENTITY, PROJECT).views[mine["id"]]["spec"] == "{}"
    assert [view["description"] for view in views(server)].count(MARK) == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("*", disconnect="before"), "does not answer at http://127.0.0.1:"),
        (
            Fault("graphql:*", status=401, body='{"errors": [{"message": "invalid api key"}]}'),
            "invalid api key",
        ),
        (Fault("graphql:UpsertView2", status=400, body='{"errors": [{"message": "no room"}]}'), "no room"),
    ],
    ids=["no answers", "key refused", "not taken"],
)
def test_errors_are_one_line(server: WandbServer, fault: Fault, said: str) -> None:
    server.inject(fault)
    with pytest.raises(UserError) as refused:
        save(logged(), timeout=2.0 if fault.disconnect else 30.0)
    line = str(refused.value)
    assert said in line
    assert "\n" not in line
    assert ("check the network" if fault.disconnect else "check its name, the key and the network") in line
    assert server.key not in line


def test_a_project_without_runs_is_refused(server: WandbServer) -> None:
    with pytest.raises(UserError, match=r"tester/empty: does not exist yet; synchronise the sweep first"):
        save(logged(project="empty"))
    assert views(server) == []


def test_without_a_key_it_says_so(server: WandbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    with pytest.raises(UserError, match="not logged in"):
        save(logged())
    assert server.requests == []


def test_a_project_is_read_from_the_service(
    server: WandbServer, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for run in RUNS:
        server.add_run(PROJECT, run.id, config=run.config, summary=run.summary, group="demo")
    call("dashboard", "--project", PROJECT, "--group", "demo", "--dry-run")
    told = json.loads(capsys.readouterr().out)
    assert told["workspace"] == json.loads(json.dumps(specifications(logged())["workspace"]))
    call("dashboard", "--project", PROJECT, "--group", "demo")
    assert capsys.readouterr().out.splitlines()[0] == "created"
    call("dashboard", "--project", PROJECT, "--group", "demo", "--json")
    assert json.loads(capsys.readouterr().out)["renewed"] is True
    assert len(views(server)) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a sweep's folder, such as multirun/demo, or --project"),
        (["--entity", "me"], "name a sweep's folder, such as multirun/demo, or --project"),
        (["--colour", "red"], "unrecognized arguments: --colour"),
        (["x", "--group", "demo"], "--group applies without SWEEP only"),
        (["project=x", "group=y"], "optical-sweeps dashboard --project x --group y"),
        (["/not/there"], "/not/there: no such folder"),
    ],
)
def test_words_that_name_nothing_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(UserError) as refused:
        call("dashboard", *words)
    assert said in str(refused.value)
