from pathlib import Path
from typing import Any

import pandas
import pytest

from optical_sweeps.curves.tables.result_tables import (
    describe_missing,
    language_groups,
    missing_points,
    per_query_table,
    result_table,
    write_table,
)
from optical_sweeps.errors import UserError
from optical_sweeps.tracking.run_log import RunLog

LANGUAGES = {"high": ["de"], "low": ["ar"]}


def run(
    name: str,
    objective: str = "Optical",
    ratio: float = 0.5,
    seed: int = 0,
    complete: bool = True,
    **more: Any,
) -> RunLog:
    return RunLog(
        id=name,
        config={
            "objective": {"_target_": f"optical_sweeps.objectives.{objective}", "temperature": 1},
            "mixture": {
                "_target_": "optical_sweeps.corpora.mixture.FixedTotal",
                "ratio": ratio,
                "total": 100,
            },
            "languages": LANGUAGES,
            "seed": seed,
            "data": {"name": "emoji"},
        },
        summary={
            "test/nDCG@10/ar": 0.25,
            "test/nDCG@10/group:low": 0.25,
            "dev/nDCG@10/ar": 0.5,
            "train/loss": 1.0,
            "test/nDCG@10/de": None,
        },
        group="demo",
        complete=complete,
        **more,
    )


def test_there_is_one_row_per_split_slice_and_measure() -> None:
    table = result_table([run("a")])
    assert table[["split", "slice", "measure", "value"]].to_numpy().tolist() == [
        ["dev", "ar", "nDCG@10", 0.5],
        ["test", "ar", "nDCG@10", 0.25],
        ["test", "group:low", "nDCG@10", 0.25],
    ]
    first = table.iloc[0]
    assert (first["run"], first["sweep"], first["objective"], first["protocol"]) == (
        "a",
        "demo",
        "optical",
        "fixed_total",
    )
    assert (first["ratio"], first["total"], first["seed"], first["data"]) == (0.5, 100, 0, "emoji")


def test_zero_shot_has_no_ratio_budget_or_seed() -> None:
    table = result_table([run("z", "NoDistillation"), run("a")])
    zero_shot = table[table["objective"] == "none"]
    assert len(zero_shot) == 3
    assert zero_shot[["ratio", "total", "protocol", "seed"]].isna().all(axis=None)
    assert table[table["objective"] == "optical"]["total"].tolist() == [100, 100, 100]


def test_order_depends_only_on_content() -> None:
    runs = [run("b", seed=1), run("a"), run("c", "NoDistillation")]
    pandas.testing.assert_frame_equal(result_table(runs), result_table(runs[::-1]))


def test_unfinished_runs_are_left_out_by_default() -> None:
    runs = [run("a"), run("b", complete=False)]
    assert set(result_table(runs)["run"]) == {"a"}
    assert set(result_table(runs, include_unfinished=True)["run"]) == {"a", "b"}


def test_no_runs_give_an_empty_table() -> None:
    assert result_table([]).empty
    assert per_query_table([]).empty
    assert missing_points(result_table([])) == []


def test_missing_points_complete_the_observed_grid() -> None:
    runs = [run(f"{o}{r}{s}", o, r, s) for o in ("Optical", "Contrastive") for r in (0.0, 0.5) for s in (0, 1)]
    runs.append(run("z", "NoDistillation"))
    assert missing_points(result_table(runs)) == []
    (missing,) = missing_points(result_table(runs[1:]))
    assert missing["objective"] == "optical"
    assert (missing["ratio"], missing["seed"]) == (0.0, 0)
    (line,) = describe_missing([missing])
    assert line.startswith("missing: objective=optical protocol=fixed_total ratio=0.0")


def queries(path: Path, **changes: Any) -> Path:
    columns = {
        "split": ["test", "test", "dev", "test"],
        "language": ["ar", "ar", "ar", "ar"],
        "query_id": ["q2", "q1", "q9", "q1"],
        "measure": ["nDCG@10", "nDCG@10", "nDCG@10", "MAP@100"],
        "value": [0.2, 0.1, 0.9, 0.8],
    }
    pandas.DataFrame(columns | changes).to_parquet(path, index=False)
    return path


def test_per_query_table_filters_rows_of_finished_runs(tmp_path: Path) -> None:
    path = queries(tmp_path / "per_query.parquet")
    runs = [run("a", files={"per_query.parquet": path}), run("b", complete=False)]
    table = per_query_table(runs)
    assert table[["run", "objective", "query_id", "value"]].to_numpy().tolist() == [
        ["a", "optical", "q1", 0.1],
        ["a", "optical", "q2", 0.2],
    ]
    assert len(per_query_table(runs, measures=("nDCG@10", "MAP@100"), splits=("dev", "test"))) == 4


def test_a_run_without_per_query_values_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run a: its log has no per_query\.parquet"):
        per_query_table([run("a")])
    path = tmp_path / "per_query.parquet"
    path.write_bytes(b"not parquet")
    with pytest.raises(UserError, match=r"per_query\.parquet: not a per-query table"):
        per_query_table([run("a", files={"per_query.parquet": path})])
    pandas.DataFrame({"split": ["test"]}).to_parquet(path)
    with pytest.raises(UserError, match=r"per_query\.parquet: not a per-query table"):
        per_query_table([run("a", files={"per_query.parquet": path})])


def test_groups_come_from_the_configs() -> None:
    assert language_groups([run("a"), run("b")]) == {"high": ("de",), "low": ("ar",), "all": ("de", "ar")}
    other = RunLog("c", {"languages": {"high": [], "low": ["ar"]}}, {})
    with pytest.raises(UserError, match="groups of a, c differ"):
        language_groups([run("a"), other])
    with pytest.raises(UserError, match="none of the runs has groups"):
        language_groups([RunLog("d", {}, {})])
    with pytest.raises(UserError, match="there are no runs"):
        language_groups([])


def test_written_tables_are_read_back_and_reproducible(tmp_path: Path) -> None:
    table = result_table([run("a"), run("z", "NoDistillation")])
    parquet, csv = write_table(table, tmp_path / "new" / "results.v1")
    assert (parquet.name, csv.name) == ("results.v1.parquet", "results.v1.csv")
    assert pandas.read_parquet(parquet)["value"].tolist() == table["value"].tolist()
    assert pandas.read_csv(csv)["value"].tolist() == table["value"].tolist()
    first = parquet.read_bytes(), csv.read_bytes()
    write_table(table, tmp_path / "new" / "results.v1")
    assert (parquet.read_bytes(), csv.read_bytes()) == first
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "results.v1.csv",
        "results.v1.parquet",
    ]
