"""A sweep logged by the real client to a server: service, log files and records give the same result."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas
import pytest

from optical_sweeps.commands import claims, curves
from optical_sweeps.curves.tables.result_tables import per_query_table, result_table
from optical_sweeps.curves.tables.robustness_tables import robustness_table
from optical_sweeps.errors import UserError
from optical_sweeps.sweeps.grid import Grid, GridPoint
from optical_sweeps.tracking.run_log import RunLog
from optical_sweeps.tracking.service import Selection, read_wandb
from optical_sweeps.tracking.sources import disagreements, read_offline, read_records
from optical_sweeps.tracking.wandb_api import require_service
from tests.support.configs import compose
from tests.support.wandb_server import WandbServer

RunClient = Callable[..., subprocess.CompletedProcess[str]]

LOG_A_SWEEP = """
import json, pandas, random
from optical_sweeps.runs.metrics_log import MetricsLog

def config_of(name, ratio, seed):
    return {"seed": seed, "objective": {"name": name}, "backbone": {"name": "tiny"},
            "data": {"name": "synthetic"}, "mixture": {"name": "fixed_total", "ratio": ratio, "total": 80},
            "languages": {"high": ["de"], "low": ["ar", "fa"]}}

def rows_of(draw):
    for step in range(1, 11):
        yield step, {"train/loss": draw.random(), "train/one": 1.0}
        if step % 5 == 0:
            yield step, {"dev/nDCG@10/ar": draw.random()}

def scores_of(draw, path):
    scores = [("test", language, f"q{number}", "nDCG@10", draw.random())
              for language in ("de", "ar", "fa") for number in range(4)]
    table = pandas.DataFrame(scores, columns=["split", "language", "query_id", "measure", "value"])
    table.to_parquet(path)
    means = table.groupby("language")["value"].mean().to_dict()
    return {**means, "group:low": (means["ar"] + means["fa"]) / 2, "group:all": 1.0}

def sweep(points, **settings):
    for name, ratio, seed in points:
        draw = random.Random(f"{name} {ratio} {seed}")
        run_id = f"{name}{int(10 * ratio)}{seed}"
        folder = SWEEP / "demo" / run_id
        folder.mkdir(parents=True)
        config, code = config_of(name, ratio, seed), {"commit": "abc", "dirty": False}
        run = WandbRun(WandbSettings(mode="online", upload_interval=1, **settings), print)
        run.start(run_id=run_id, group="demo", job_type="train", name=run_id, config=config, folder=folder,
                  code_version=code)
        log = MetricsLog(folder / "metrics.jsonl")
        for step, row in rows_of(draw):
            log.append(step, row)
            run.log(step, row)
        scores = folder / "per_query.parquet"
        means = scores_of(draw, scores)
        summary = {f"test/nDCG@10/{where}": value for where, value in means.items()}
        summary |= {f"test+typing@0.1/nDCG@10/{where}": value / 3 for where, value in means.items()}
        run.finish(summary, [scores], artifact=[scores])
        perturbed = {where: value / 3 for where, value in means.items()}
        measures = {"test": {"nDCG@10": means}, "test+typing@0.1": {"nDCG@10": perturbed}}
        record = {"schema": 1, "id": run_id, "config": config, "code": code, "measures": measures}
        (folder / "record.json").write_text(json.dumps(record))
        (folder / ".lock").touch()
"""

POINTS = [
    ("optical", 0.0, 1),
    ("optical", 0.5, 1),
    ("optical", 1.0, 1),
    ("contrastive", 0.0, 1),
    ("contrastive", 1.0, 1),
]


@pytest.fixture(scope="module")
def server() -> Iterator[WandbServer]:
    with WandbServer() as running:
        yield running
        assert running.errors == []


@pytest.fixture(scope="module")
def sweep(server: WandbServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep logged online; the server has the scores of one run only as an artifact."""
    from tests.support.wandb_client import client_in

    folder = tmp_path_factory.mktemp("study")
    program = f"sweep({POINTS[:4]})\nsweep({POINTS[4:]}, artifacts=True)\n"
    done = client_in(folder)(LOG_A_SWEEP + program, **server.environment())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    del server.run("optical-sweeps", "contrastive101").stored["per_query.parquet"]
    return folder / "demo"


@pytest.fixture
def logged_in(server: WandbServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    server.forget_requests()


def same_runs(first: list[RunLog], second: list[RunLog]) -> bool:
    told = [
        [{key: value for key, value in vars(run).items() if key not in ("files", "tags")} for run in runs]
        for runs in (first, second)
    ]
    assert told[0] == told[1]
    return True


def test_all_three_sources_agree(sweep: Path, logged_in: None, tmp_path: Path) -> None:
    service = read_wandb(Selection("optical-sweeps", group="demo"), tmp_path / "kept")
    logs, records = read_offline(sweep), read_records(sweep)
    for runs in (service, logs):
        assert len(runs) == len(POINTS)
        assert disagreements(runs, records) == []
        pandas.testing.assert_frame_equal(result_table(runs), result_table(records))
        losses = robustness_table(result_table(runs))
        assert len(losses) == len(POINTS) * 5
        pandas.testing.assert_frame_equal(losses, robustness_table(result_table(records)))
    assert same_runs(service, logs)
    assert [run.history for run in logs] == [run.history for run in records]
    pandas.testing.assert_frame_equal(per_query_table(service), per_query_table(records))


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not draw, which takes seconds; these tests are about the source of the numbers."""
    monkeypatch.setattr(
        "optical_sweeps.curves.figures.curve_figures.save_all_figures", lambda study, output: []
    )


def settings_of(*overrides: str) -> Any:
    return compose("curves", *overrides)


def test_curves_from_the_service_alone(
    sweep: Path, server: WandbServer, logged_in: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Works without any file of the sweep; names the missing point; a second call requests no run again."""
    wanted = ("source=wandb", "group=demo", "replicates=20", f"output={tmp_path}/service")
    curves.run(settings_of(*wanted), None)
    told = capsys.readouterr().out.splitlines()
    assert "from 5 runs in W&B project optical-sweeps group demo" in told
    table = next(place for place, line in enumerate(told) if line.startswith("optical 0.5"))
    assert told.index("MISSING from the curves: 1 point") < table
    (missing,) = [line for line in told if line.startswith("  missing: ")]
    assert "objective=contrastive" in missing
    assert "ratio=0.5" in missing
    server.forget_requests()
    curves.run(settings_of(*wanted), None)
    assert server.asked()["graphql:Runs"] == 1
    assert server.asked()["download"] == 0
    curves.run(
        settings_of("source=records", f"dir={sweep}", "replicates=20", f"output={tmp_path}/records"), None
    )
    curves.run(settings_of(f"dir={sweep}", "replicates=20", f"output={tmp_path}/offline"), None)
    for name in ("table.md", "results.csv"):
        found = {source: (tmp_path / source / name).read_text() for source in ("service", "records", "offline")}
        assert found["service"] == found["records"] == found["offline"], name


@pytest.mark.usefixtures("sweep")
@pytest.mark.parametrize("command", [curves, claims])
def test_a_sweep_without_a_folder_here_is_the_name_of_the_group(
    logged_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    """Tables and cache go to the working folder; a folder of this name would look like a broken sweep."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    name = command.__name__.rpartition(".")[2]
    config = compose(name, "source=wandb", "replicates=20")
    for _ in range(2):
        command.run(config, Path("multirun/demo"))
        assert {path.name for path in Path().iterdir()} == {"curves", name}
        assert Path("curves/.cache").is_dir()


@pytest.mark.usefixtures("sweep")
def test_a_wrong_group_or_project_lists_what_there_is(logged_in: None, tmp_path: Path) -> None:
    own = ("source=wandb", f"output={tmp_path}/out")
    with pytest.raises(UserError) as refused:
        curves.run(settings_of(*own, "group=dmo"), None)
    assert str(refused.value) == (
        "W&B project optical-sweeps: no group dmo; set group=NAME; did you mean demo? there are: demo"
    )
    with pytest.raises(UserError) as refused:
        curves.run(settings_of(*own, "project=optical_sweeps"), None)
    assert str(refused.value) == (
        "W&B: no project optical_sweeps of entity tester (your default); set project=NAME, or entity=TEAM"
    )


def test_advice_without_a_key_fits_the_command(
    logged_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    with pytest.raises(UserError, match=r"run `wandb login`, or use source=offline or source=records$"):
        curves.run(settings_of("source=wandb", f"output={tmp_path}/out"), None)
    with pytest.raises(UserError, match=r"^W&B: not logged in; run `wandb login`$"):
        require_service()


def test_grid_points_without_a_log_are_named(
    sweep: Path, server: WandbServer, logged_in: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"
    shutil.copytree(sweep, folder)
    runs = sorted(path.name for path in folder.iterdir() if path.is_dir())
    wanted = [*runs, "absent"]
    Grid(folder, tuple(GridPoint((run,), run, f"label of {run}") for run in wanted)).save()
    for fragment in (folder / runs[0] / "wandb").iterdir():
        shutil.rmtree(fragment)
    curves.run(settings_of("replicates=20"), folder)
    told = capsys.readouterr().out
    assert "MISSING from the curves: 1 missing, 1 done, but not in W&B's offline logs" in told
    assert "  missing: label of absent (missing)" in told
    assert f"  missing: label of {runs[0]} (done, not logged)" in told
    curves.run(settings_of("source=wandb", "replicates=20"), folder)
    assert "MISSING from the curves: 1 missing\n" in capsys.readouterr().out


@pytest.mark.parametrize("source", ["offline", "records"])
def test_a_source_without_a_place_says_what_to_give(source: str) -> None:
    with pytest.raises(UserError, match="name a sweep's folder, such as multirun/demo, or set dir"):
        curves.run(settings_of(f"source={source}"), None)
