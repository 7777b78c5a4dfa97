"""Reading runs through the real public API."""

import math
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas
import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.run_log import RunLog
from optical_sweeps.tracking.service import Selection, group_names, read_wandb
from optical_sweeps.tracking.wandb_api import require_service
from tests.support.wandb_server import Fault, WandbServer
from tests.support.wandb_server.state import ENTITY

PROJECT = "study"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbServer]:
    """A server to which the user is logged in."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))  # the API makes a folder for each run it lists
    monkeypatch.setenv("NETRC", str(tmp_path / "home/.netrc"))
    with WandbServer() as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running
        assert running.errors == []


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"step": 10 * step, "train/loss": 1 / (step + 1)} for step in range(start, count)]


def add(server: WandbServer, name: str, count: int = 3, **facts: Any) -> Any:
    config = {"seed": int(name[3:]), "objective": {"name": "optical"}, "code_version": {"commit": "abc"}}
    summary = {"test/nDCG@10/ar": 0.5, "step": 10 * (count - 1), "_step": count - 1}
    run = server.add_run(
        PROJECT, name, rows(count), **{"config": config, "summary": summary, "group": "demo", **facts}
    )
    scores = {"split": "test", "language": "ar", "query_id": ["a"], "measure": "m", "value": [0.5]}
    run.new_file("per_query.parquet").content = pandas.DataFrame(scores).to_parquet()
    return run


def read(folder: Path, selection: Selection = Selection(PROJECT), **options: Any) -> list[RunLog]:  # noqa: B008
    return read_wandb(selection, folder / "kept", **options)


def names(runs: list[RunLog]) -> list[str]:
    return [run.id for run in runs]


def test_a_run_contains_what_was_logged(server: WandbServer, tmp_path: Path) -> None:
    add(server, "run1", tags=["a"])
    (run,) = read(tmp_path)
    assert (run.id, run.group, run.tags, run.complete) == ("run1", "demo", ("a",), True)
    assert run.config == {"seed": 1, "objective": {"name": "optical"}}
    assert run.code_version == {"commit": "abc"}
    assert run.summary == {"test/nDCG@10/ar": 0.5}
    assert run.history == rows(3)
    assert pandas.read_parquet(run.files["per_query.parquet"])["value"].tolist() == [0.5]


def test_keys_of_a_config_in_capitals_are_read(server: WandbServer, tmp_path: Path) -> None:
    add(server, "run1", config={"Dropout": 0.5, "seed": 1})
    assert read(tmp_path)[0].config == {"Dropout": 0.5, "seed": 1}


def test_runs_come_page_by_page(server: WandbServer, tmp_path: Path) -> None:
    wanted = [f"run{number}" for number in range(230)]
    for name in wanted:
        server.add_run(PROJECT, name, summary={"test/nDCG@10/ar": 0.5})
    assert names(read(tmp_path, history=False, files=())) == sorted(wanted)
    assert server.asked()["graphql:Runs"] == 3 + 3, "a listing, and what is in them"
    server.forget_requests()
    assert names(read(tmp_path, history=False, files=())) == sorted(wanted)
    assert server.asked()["graphql:Runs"] == 3


@pytest.mark.parametrize("exported", [0, 700])
def test_history_contains_all_rows_and_not_a_sample(server: WandbServer, tmp_path: Path, exported: int) -> None:
    run = add(server, "run1", count=exported or 1)
    if exported:
        run.export_history()
    run.history_lines += server.add_run("other", "more", rows(2600)).history_lines[len(run.history_lines) :]
    (found,) = read(tmp_path)
    assert found.history == rows(2600)


def test_nan_and_infinity_are_restored(server: WandbServer, tmp_path: Path) -> None:
    values = {"nan": math.nan, "infinity": math.inf, "minus": -math.inf}
    server.add_run(PROJECT, "run1", [{"step": 1, **values}], summary=values)
    (run,) = read(tmp_path, files=())
    assert run.summary == {"infinity": math.inf, "minus": -math.inf}
    assert math.isnan(run.history[0]["nan"])
    assert run.history[0]["minus"] == -math.inf


def test_a_resumed_history_has_one_row_per_step(server: WandbServer, tmp_path: Path) -> None:
    again = [{"step": 10, "train/loss": 9.0}, {"step": 10, "dev/x": 1.0}]
    server.add_run(PROJECT, "run1", [*rows(3), *again])
    (run,) = read(tmp_path, files=())
    assert [row["step"] for row in run.history] == [0, 10, 20]
    assert run.history[1] == {"step": 10, "train/loss": 9.0, "dev/x": 1.0}


def test_selections(server: WandbServer, tmp_path: Path) -> None:
    add(server, "run1")
    add(server, "run2", group="other")
    add(server, "run3", state="running")
    add(server, "run4", state="failed")
    for selection, expected in [
        (Selection(PROJECT), ["run1", "run2"]),
        (Selection(PROJECT, group="demo"), ["run1"]),
        (Selection(PROJECT, unfinished=True), ["run1", "run2", "run3", "run4"]),
        (Selection(PROJECT, filters={"config.seed": {"$gt": 1}}), ["run2"]),
        (Selection(PROJECT, filters={"$or": [{"config.seed": 1}, {"tags": "x"}]}), ["run1"]),
        (Selection(PROJECT, entity="tester", group="other"), ["run2"]),
        (Selection(PROJECT, group="absent"), []),
    ]:
        assert names(read(tmp_path, selection)) == expected, selection
    unfinished = {run.id: run for run in read(tmp_path, Selection(PROJECT, unfinished=True))}
    assert [unfinished[name].complete for name in sorted(unfinished)] == [True, True, False, False]
    assert unfinished["run3"].files == {}


def test_the_second_call_only_requests_new_and_changed_runs(server: WandbServer, tmp_path: Path) -> None:
    for number in range(3):
        add(server, f"run{number}")
    everything = Selection(PROJECT, unfinished=True)
    first = read(tmp_path, everything)
    server.forget_requests()
    assert read(tmp_path, everything) == first
    asked = server.asked()
    assert (asked["graphql:Runs"], asked["download"], asked["graphql:RunParquetHistory"]) == (1, 0, 0)

    going_on = server.run(PROJECT, "run1")
    going_on.history_lines += server.add_run("other", "more", rows(5)).history_lines[3:]
    going_on.heartbeatAt = "later"
    add(server, "run7")
    server.forget_requests()
    runs = read(tmp_path, everything)
    assert [len(run.history) for run in runs] == [3, 5, 3, 3]
    asked = server.asked()
    assert (asked["graphql:Runs"], asked["graphql:RunParquetHistory"], asked["download"]) == (2, 2, 2)
    fresh = read_wandb(everything, tmp_path / "elsewhere")
    strip = [{**vars(run), "files": sorted(run.files)} for run in runs]
    assert strip == [{**vars(run), "files": sorted(run.files)} for run in fresh]


def test_rows_that_were_rewritten_are_read_again(server: WandbServer, tmp_path: Path) -> None:
    run = add(server, "run1")
    read(tmp_path)
    others = [{**row, "train/loss": 7.0} for row in rows(5)]
    run.history_lines = server.add_run("other", "more", others).history_lines
    run.heartbeatAt = "later"
    (again,) = read(tmp_path)
    assert again.history == others


def test_a_lost_file_is_downloaded_again(server: WandbServer, tmp_path: Path) -> None:
    add(server, "run1")
    (run,) = read(tmp_path)
    run.files["per_query.parquet"].unlink()
    (run,) = read(tmp_path)
    assert run.files["per_query.parquet"].exists()


def test_incremental_can_be_switched_off(server: WandbServer, tmp_path: Path) -> None:
    run = add(server, "run1")
    read(tmp_path)
    run.summary = {"test/nDCG@10/ar": 0.75}  # edited in the service's web page, which changes no heartbeat
    assert read(tmp_path)[0].summary == {"test/nDCG@10/ar": 0.5}
    assert read(tmp_path, incremental=False)[0].summary == {"test/nDCG@10/ar": 0.75}


def test_missing_rows_are_reported(server: WandbServer, tmp_path: Path) -> None:
    run = server.add_run(PROJECT, "run1", rows(3))
    run.history_lines[1:2] = []  # steps 0 and 2 of W&B's own count; it says that there are two
    type(run).historyLineCount = property(lambda self: 3)  # type: ignore[method-assign]
    try:
        warnings: list[str] = []
        read(tmp_path, files=(), warn=warnings.append)
    finally:
        type(run).historyLineCount = property(lambda self: len(self.history_lines))  # type: ignore[method-assign]
    assert warnings == ["run run1: W&B returned 2 of the 3 rows of its history"]


def test_a_rate_limited_request_is_repeated(server: WandbServer, tmp_path: Path) -> None:
    add(server, "run1")
    server.inject(Fault("graphql:Runs", status=429, headers={"Retry-After": "1"}, times=1))
    assert names(read(tmp_path)) == ["run1"]


def refusal(folder: Path, selection: Selection = Selection("nowhere"), **options: Any) -> str:  # noqa: B008
    with pytest.raises(UserError) as raised:
        read(folder, selection, timeout=3.0, **options)
    (line,) = str(raised.value).splitlines()
    return line


def test_user_errors_are_one_line_without_keys(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "nowhere" in refusal(tmp_path)
    add(server, "run1")
    server.inject(Fault("graphql:*", disconnect="before"))
    assert "W&B project study" in refusal(tmp_path, Selection(PROJECT))
    server.heal()
    key = "5ec4e7" * 7
    monkeypatch.setenv("WANDB_API_KEY", key)
    assert key not in refusal(tmp_path, Selection(PROJECT))
    monkeypatch.delenv("WANDB_API_KEY")
    assert "not logged in" in refusal(tmp_path, Selection(PROJECT))
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_missing_project_names_the_entity(server: WandbServer, tmp_path: Path) -> None:
    add(server, "run1")
    default = refusal(tmp_path, Selection("stdy"))
    assert default == f"W&B: no project stdy of entity {ENTITY} (your default)"
    assert refusal(tmp_path, Selection(PROJECT, entity="team")) == "W&B: no project study of entity team"


def test_groups_of_a_project_are_listed(server: WandbServer) -> None:
    for number, group in enumerate(("demo", "other", "demo", "")):
        add(server, f"run{number}", group=group)
    assert sorted(group_names(Selection(PROJECT, group="nowhere"))) == ["demo", "other"]


def test_a_server_without_an_answer_is_announced_and_given_up(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optical_sweeps.tracking.wandb_api.PATIENCE", 0.0)
    warnings: list[str] = []
    server.down()
    line = refusal(tmp_path, Selection(PROJECT), warn=warnings.append)
    assert (
        line
        == f"W&B does not answer at {server.url} (Connection refused); check the network and WANDB_BASE_URL"
    )
    (warning,) = warnings
    assert re.fullmatch(
        rf"W&B does not answer at {server.url} \(Connection refused\); retrying until \d\d:\d\d:\d\d", warning
    )
    with pytest.raises(UserError, match=r"^W&B does not answer at .* \(Connection refused\)"):
        require_service(2.0)
    server.up()
    add(server, "run1")
    assert names(read(tmp_path, Selection(PROJECT))) == ["run1"]


def test_several_readers_at_once(server: WandbServer, tmp_path: Path) -> None:
    for number in range(10):
        add(server, f"run{number}")
    found: list[list[RunLog]] = []
    threads = [threading.Thread(target=lambda: found.append(read(tmp_path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [names(runs) for runs in found] == [[f"run{number}" for number in range(10)]] * 2
