import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from wandb.proto.wandb_internal_pb2 import HistoryItem

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.run_log import NoRuns, RunLog
from optical_sweeps.tracking.sources import disagreements, read_offline, read_records
from tests.support.wandb_logs import message, row, run_record, write_log

RunClient = Callable[..., subprocess.CompletedProcess[str]]


def test_a_killed_run_keeps_what_was_on_disk(run_client: RunClient, tmp_path: Path) -> None:
    done = run_client(
        """
        run = begin("run0")
        log_until_on_disk(run, range(50))
        os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    assert done.returncode == -9
    (run,) = read_offline(tmp_path)
    assert not run.complete
    assert run.config["seed"] == 1
    assert [row["step"] for row in run.history] == list(range(50))


def test_fragments_of_a_resumed_run_are_one_run(run_client: RunClient, tmp_path: Path) -> None:
    run_client(
        """
        run = begin("run0")
        for step in range(6):
            run.log(step, {"train/loss": 1.0, "first": step})
        run.finish(exit_code=1)
        time.sleep(1.1)  # a fragment's folder is named by its second
        run = begin("run0")
        for step in range(4, 9):
            run.log(step, {"train/loss": 2.0})
        run.finish({"test/nDCG@10/ar": 0.5})
        """,
    )
    assert len(list(tmp_path.rglob("run-run0.wandb"))) == 2
    (run,) = read_offline(tmp_path)
    assert run.complete
    assert [row["step"] for row in run.history] == list(range(9))
    assert [row["train/loss"] for row in run.history] == [1.0] * 4 + [2.0] * 5
    assert run.history[5]["first"] == 5
    assert run.summary["train/loss"] == 2.0


def test_fragments_are_ordered_by_start_and_not_by_name(tmp_path: Path) -> None:
    write_log(tmp_path / "offline-run-2", [run_record(started=10, seed=1), row(2, step=1, loss=0.1)])
    write_log(tmp_path / "offline-run-1", [run_record(started=20, seed=1), row(2, step=1, loss=0.2)])
    (run,) = read_offline(tmp_path)
    assert run.history == [{"step": 1, "loss": 0.2}]


def test_online_and_offline_folders_are_found_and_links_are_not_followed(tmp_path: Path) -> None:
    write_log(tmp_path / "b/wandb/run-1-b", [run_record("b")], "b")
    write_log(tmp_path / "a/wandb/offline-run-1-a", [run_record("a")], "a")
    (tmp_path / "a/wandb/latest-run").symlink_to(tmp_path / "a/wandb/offline-run-1-a")
    assert [run.id for run in read_offline(tmp_path)] == ["a", "b"]
    assert [run.id for run in read_offline(tmp_path / "a")] == ["a"]


def test_rows_without_step_use_wandbs_step(tmp_path: Path) -> None:
    write_log(tmp_path / "w", [run_record(), row(2, _step=7, _runtime=1.5, loss=0.5), row(3, loss=1.0)])
    (run,) = read_offline(tmp_path)
    assert run.history == [{"step": 7, "loss": 0.5}]


def test_values_written_by_type_are_read(tmp_path: Path) -> None:
    items = [
        {"nested_key": ["step"], "integer": 3},
        {"nested_key": ["loss"], "number": 0.5},
        {"nested_key": ["ok"], "boolean": False},
        {"nested_key": ["word"], "text": "x"},
        {"nested_key": ["deep", "er"], "json": "[1]"},
    ]
    if "number" not in HistoryItem.DESCRIPTOR.fields_by_name:
        pytest.skip("this client does not write values by type")
    write_log(tmp_path / "w", [run_record(), message(2, history={"item": items})])
    (run,) = read_offline(tmp_path)
    assert run.history == [{"step": 3, "loss": 0.5, "ok": False, "word": "x", "deep.er": [1]}]


def test_config_can_grow_and_shrink(tmp_path: Path) -> None:
    update = {"update": [{"nested_key": ["a", "b"], "value_json": "2"}, {"key": "c", "value_json": "[]"}]}
    write_log(
        tmp_path / "w",
        [
            run_record(seed=1, gone=1, _wandb={}),
            message(2, config=update),
            message(3, config={"remove": [{"key": "gone"}]}),
        ],
    )
    (run,) = read_offline(tmp_path)
    assert run.config == {"seed": 1, "a": {"b": 2}, "c": []}


def test_damage_is_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    records = [run_record(), *(row(number + 2, step=number, loss=0.5) for number in range(100))]
    path = write_log(tmp_path / "w", records)
    spoilt = bytearray(path.read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    path.write_bytes(spoilt)
    warnings: list[str] = []
    (run,) = read_offline(tmp_path, warn=warnings.append)
    assert len(run.history) == 99
    assert run.damage.lost_records == 1
    assert [str(path) in warning for warning in warnings] == [True]


def test_other_files_and_empty_logs(tmp_path: Path) -> None:
    write_log(tmp_path / "w", [run_record()])
    (tmp_path / "x").mkdir()
    (tmp_path / "x/run-x.wandb").write_bytes(b"PK\x03\x04 something else")
    (tmp_path / "y").mkdir()
    (tmp_path / "y/run-y.wandb").write_bytes(b"")
    warnings: list[str] = []
    runs = read_offline(tmp_path, warn=warnings.append)
    assert [(run.id, run.complete) for run in runs] == [("run0", False), ("y", False)]
    assert len(warnings) == 1
    assert "run-x.wandb: not a W&B log" in warnings[0]


@pytest.mark.parametrize("read", [read_offline, read_records])
def test_a_missing_folder_is_reported(tmp_path: Path, read: object) -> None:
    with pytest.raises(UserError, match="absent: no such folder"):
        read(tmp_path / "absent")  # type: ignore[operator]


@pytest.mark.parametrize("read", [read_offline, read_records])
def test_a_folder_without_runs_is_named(tmp_path: Path, read: object) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoRuns, match=r"empty: no .*run .*below this folder"):
        read(tmp_path / "empty")  # type: ignore[operator]


def write_record(folder: Path, **record: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps(record))
    return folder


def test_records_give_the_same_run_as_the_log(run_client: RunClient, tmp_path: Path) -> None:
    done = run_client(
        """
        run = begin("run0")
        run.log(0, {"train/loss": 0.1})
        run.finish({"test/nDCG@10/ar": 1 / 3, "test/nDCG@10/group:low": 0.25})
        """,
    )
    assert done.returncode == 0
    (logged,) = read_offline(tmp_path)
    folder = write_record(
        tmp_path / "demo/run0",
        schema=1,
        id="run0",
        config=logged.config,
        measures={"test": {"nDCG@10": {"ar": 1 / 3, "group:low": 0.25}}},
        code=logged.code_version,
    )
    (folder / "metrics.jsonl").write_text('{"step": 0, "train/loss": 0.1}\n{"step": 1, "tra')
    (recorded,) = read_records(tmp_path)
    assert recorded.history == logged.history
    assert recorded.code_version == logged.code_version == {"commit": "abc", "dirty": False}
    assert recorded.group == "demo"
    assert disagreements([logged], [recorded]) == []


def test_disagreements_are_listed() -> None:
    here = RunLog("a", {"seed": 1, "x": 1}, {"test/nDCG@10/ar": 0.5, "train/loss": 1.0}, complete=True)
    there = RunLog("a", {"seed": 2, "x": 1}, {"test/nDCG@10/ar": 0.4, "test/nDCG@10/fa": 0.1}, complete=True)
    assert disagreements([here], [there]) == [
        "a: config differs in seed",
        "a: test/nDCG@10/ar is 0.5 and 0.4",
        "a: test/nDCG@10/fa is None and 0.1",
    ]
    assert disagreements([], [there]) == ["a: only in the second source"]


def test_an_invalid_record_is_skipped(tmp_path: Path) -> None:
    write_record(tmp_path / "good", id="good", config={}, measures={"test/nDCG@10/ar": 0.5})
    write_record(tmp_path / "bad", id="bad")
    (tmp_path / "worse").mkdir()
    (tmp_path / "worse/record.json").write_text("{")
    warnings: list[str] = []
    assert [run.summary for run in read_records(tmp_path, warn=warnings.append)] == [{"test/nDCG@10/ar": 0.5}]
    assert len(warnings) == 2


def test_logs_and_records_give_the_same_table(run_client: RunClient, tmp_path: Path) -> None:
    import pandas

    from optical_sweeps.curves.tables.result_tables import per_query_table, result_table

    done = run_client(
        """
        import json, pandas
        for seed in range(2):
            folder = SWEEP / "demo" / f"run{seed}"
            folder.mkdir(parents=True)
            values = [0.1 + seed, 1 / 3]
            pandas.DataFrame({"split": "test", "language": "ar", "query_id": ["a", "b"], "measure": "nDCG@10",
                              "value": values}).to_parquet(folder / "per_query.parquet")
            config = {"seed": seed, "objective": {"name": "optical"}, "mixture": {"name": "fixed_total"}}
            mean = sum(values) / 2
            (folder / "record.json").write_text(json.dumps(
                {"id": f"run{seed}", "config": config, "measures": {"test": {"nDCG@10": {"ar": mean}}}}))
            run = WandbRun(WandbSettings(mode="offline"))
            run.start(run_id=f"run{seed}", group="demo", job_type="train", name="n", config=config,
                      folder=folder)
            run.finish({"test/nDCG@10/ar": mean}, [folder / "per_query.parquet"])
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    logs, records = read_offline(tmp_path), read_records(tmp_path)
    assert disagreements(logs, records) == []
    pandas.testing.assert_frame_equal(result_table(logs), result_table(records))
    assert len(result_table(logs)) == 2
    pandas.testing.assert_frame_equal(per_query_table(logs), per_query_table(records))
    assert logs[0].files["per_query.parquet"] != records[0].files["per_query.parquet"]


def test_a_record_that_cannot_be_opened_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "record.json").symlink_to(tmp_path / "gone")
    warnings: list[str] = []
    assert read_records(tmp_path, warn=warnings.append) == []
    assert [text.startswith(f"{tmp_path}/a/record.json: not a run record") for text in warnings] == [True]
