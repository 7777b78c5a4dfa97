"""A sweep that ran offline and is synchronised: the runs on the server, and the dashboard."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from optical_sweeps.tracking.sources import read_offline
from tests.support.command_line import SWEEP, Command, Finished
from tests.support.wandb_server import ENTITY, Fault, WandbServer

PROJECT = "optical-sweeps"
FOLDER = Path("multirun/small")
RUNS = 5

Online = Callable[..., Finished]


@pytest.fixture(scope="module")
def server() -> Iterator[WandbServer]:
    with WandbServer() as running:
        yield running
        assert running.errors == []


@pytest.fixture(scope="module")
def sweep(study: Path, there: Command) -> Path:
    """A small sweep, logged offline; the folder it ran in."""
    done = there(study, *SWEEP, "training.validate_every=5")
    assert done.code == 0, done
    return study


@pytest.fixture(scope="module")
def online(server: WandbServer, environment: Mapping[str, str], tmp_path_factory: Any) -> Online:
    """Runs `optical-sweeps ...` as a user who is logged in to the server."""
    home = tmp_path_factory.mktemp("home")

    def run(folder: Path, *arguments: str, **other: str) -> Finished:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("optical-sweeps")), *arguments],
            cwd=folder,
            env={
                **environment,
                **server.environment(),
                "HOME": str(home),
                "NETRC": str(home / ".netrc"),
                "PATH": os.environ["PATH"],
                **other,
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="module")
def synchronised(sweep: Path, online: Online) -> Finished:
    return online(sweep, "sweep", "sync", str(FOLDER))


def test_a_server_that_is_down_is_one_line_and_changes_nothing(
    sweep: Path, online: Online, server: WandbServer
) -> None:
    server.down()
    done = online(sweep, "sweep", "sync", str(FOLDER))
    server.up()
    assert done.code == 1
    assert [line.partition(" (")[0] for line in done.out.splitlines()] in (
        [],
        [f"W&B does not answer at {server.url}"],  # if the retries take more than 5 s
    )
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith(
        f"error: W&B does not answer at {server.url} (Connection refused); check the network"
    )
    assert server.runs(PROJECT) == []
    assert list(sweep.rglob("*.synced")) == []


def test_a_refused_key_is_one_line(sweep: Path, online: Online, server: WandbServer) -> None:
    key = "0ddba11" * 6
    done = online(sweep, "sweep", "sync", str(FOLDER), WANDB_API_KEY=key)
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert key not in done.err
    assert server.runs(PROJECT) == []


def test_every_run_arrives(sweep: Path, synchronised: Finished, server: WandbServer) -> None:
    assert (synchronised.code, synchronised.err) == (0, "")
    assert synchronised.lines == [f"{RUNS} runs uploaded, 0 before, 0 without an offline log, 0 failed"]
    logs = read_offline(sweep / FOLDER)
    assert server.runs(PROJECT) == [run.id for run in logs]
    for run in logs:
        arrived = server.run(PROJECT, run.id)
        assert (arrived.state, arrived.group) == ("finished", "small")
        assert arrived.stored["per_query.parquet"].content == run.files["per_query.parquet"].read_bytes()


def test_a_second_synchronisation_adds_nothing(
    sweep: Path, synchronised: Finished, online: Online, server: WandbServer
) -> None:
    before = server.row_count()
    server.forget_requests()
    again = online(sweep, "sweep", "sync", str(FOLDER))
    assert again.lines == [f"0 runs uploaded, {RUNS} before, 0 without an offline log, 0 failed"]
    assert (server.row_count(), server.requests) == (before, [])
    told = json.loads(online(sweep, "sweep", "sync", str(FOLDER), "--json").out)
    assert (told["uploaded"], len(told["skipped"])) == ([], RUNS)


def test_the_service_gives_the_same_curves_as_the_logs(
    sweep: Path, synchronised: Finished, online: Online, tmp_path: Path
) -> None:
    """`source=wandb` without any file of the sweep beside `source=offline`."""
    wanted = ("replicates=50", "project=optical-sweeps", "group=small")
    (tmp_path / "elsewhere").mkdir()
    service = online(tmp_path / "elsewhere", "curves", "source=wandb", *wanted, f"output={tmp_path}/service")
    logs = online(sweep, "curves", f"dir={FOLDER}", "replicates=50", f"output={tmp_path}/offline")
    assert (service.code, logs.code) == (0, 0), (service, logs)
    for name in ("results.csv", "table.md"):
        assert (tmp_path / "service" / name).read_text() == (tmp_path / "offline" / name).read_text()
    assert "disagree" not in service.out + logs.out


@pytest.fixture(scope="module")
def specification(sweep: Path, there: Command) -> dict[str, Any]:
    """The specification of the dashboard, made without key and network."""
    first, second = (there(sweep, "dashboard", str(FOLDER), "--dry-run") for _ in range(2))
    assert (first.code, first.err) == (0, "")
    assert first.out == second.out
    found: dict[str, Any] = json.loads(first.out)
    return found


def named_metrics(spec: Any) -> Iterator[str]:
    """Metrics of panels: of lines and bars, axes of scatter plots, columns of parallel coordinates."""
    if isinstance(spec, list):
        for item in spec:
            yield from named_metrics(item)
    elif isinstance(spec, dict):
        for key, value in spec.items():
            if key == "metrics" and isinstance(value, list):
                yield from value
            elif key in ("xAxis", "yAxis", "accessor") and str(value).startswith("summary:"):
                yield value.removeprefix("summary:")
            else:
                yield from named_metrics(value)


def test_every_metric_that_a_panel_names_was_logged(sweep: Path, specification: dict[str, Any]) -> None:
    runs = read_offline(sweep / FOLDER)
    rows = {key for run in runs for row in run.history for key in row}
    finals = {key for run in runs for key in run.summary}
    for part in ("workspace", "report"):
        named = set(named_metrics(specification[part]["spec"]))
        assert named <= rows | finals
        assert {
            "dev/nDCG@10/group:low", "test/nDCG@10/distant", "train/plan_entropy", "train/plan_marginal_error",
            "train/plan_cost", "usage/pairs_per_second", "usage/peak_memory_gb", "usage/gpu_hours",
        } <= named  # fmt: skip


def test_settings_of_the_panels_are_those_of_the_runs(sweep: Path, specification: dict[str, Any]) -> None:
    text = json.dumps(specification["workspace"])
    settings = [part.split('"')[0] for part in text.split('"accessor": "config:')[1:]]
    assert settings[:3] == ["mixture.value.ratio", "objective.value._target_", "seed.value"]
    (config, *_) = [run.config for run in read_offline(sweep / FOLDER)]
    for setting in settings:
        section, *path = setting.replace(".value", "", 1).split(".")
        assert section in config, f"{setting}: {path}"


def test_the_dashboard_is_made_and_renewed(
    sweep: Path, synchronised: Finished, online: Online, server: WandbServer, specification: dict[str, Any]
) -> None:
    made, again = (online(sweep, "dashboard", str(FOLDER)) for _ in range(2))
    assert (made.code, made.err) == (0, "")
    assert [made.lines[0], again.lines[0]] == ["created", "updated"]
    assert made.lines[1:] == again.lines[1:]
    views = list(server.store.project(ENTITY, PROJECT).views.values())
    assert sorted(view["type"] for view in views) == ["project-view", "runs"]
    (workspace,) = [view for view in views if view["type"] == "project-view"]
    assert json.loads(workspace["spec"]) == specification["workspace"]["spec"]


def test_a_server_that_is_down_gets_no_dashboard(
    sweep: Path, synchronised: Finished, online: Online, server: WandbServer
) -> None:
    server.inject(Fault("*", status=403, body='{"errors": [{"message": "permission denied"}]}'))
    done = online(sweep, "dashboard", str(FOLDER))
    server.heal()
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1), done
    assert "permission denied" in done.err
    without = online(sweep, "dashboard", str(FOLDER), WANDB_API_KEY="")
    assert (without.code, without.out, len(without.err.splitlines())) == (1, "", 1), without
    assert "not logged in" in without.err


def test_a_run_that_lost_its_server_ends_well_and_follows_later(
    study: Path, online: Online, server: WandbServer
) -> None:
    """A run that loses the server from the start keeps its measures and warns once; `sync` sends the rows."""
    point = ("mixture.ratio=1", "seed=7", "sweep.name=cut", "logger.mode=online", "logger.finish_timeout=3")
    server.inject(Fault("file_stream", disconnect="before"))
    trained = online(study, *SWEEP, "objective=contrastive", *point)
    assert trained.code == 0, trained
    (warning,) = [line for line in trained.lines if "W&B" in line]
    assert "wandb sync --include-online" in warning
    (log,) = read_offline(study / "multirun/cut")
    assert log.complete
    assert server.run(PROJECT, log.id).values("step") == []
    server.heal()
    done = online(study, "sweep", "sync", "multirun/cut")
    assert done.lines == ["1 run uploaded, 0 before, 0 without an offline log, 0 failed"], done
    arrived = server.run(PROJECT, log.id)
    assert sorted(set(arrived.values("step"))) == [row["step"] for row in log.history]
    assert (arrived.state, arrived.summary["test/nDCG@10/group:all"]) == (
        "finished",
        log.summary["test/nDCG@10/group:all"],
    )
    assert online(study, "sweep", "sync", "multirun/cut").lines[0].startswith("0 runs uploaded, 1 before")


def test_the_key_is_not_written_to_any_file(sweep: Path, synchronised: Finished, server: WandbServer) -> None:
    """After training, synchronising, curves and dashboards, on a terminal and in every file."""
    files = [path for path in sweep.rglob("*") if path.is_file()]
    assert [path for path in files if server.key.encode() in path.read_bytes()] == []
