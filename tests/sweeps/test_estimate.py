"""Estimated costs of runs, from the records of similar runs."""

from pathlib import Path
from typing import Any

import pytest

from optical_sweeps.runs.distillation.retrieval_run import RetrievalRun
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.sweeps.estimate import Estimate, estimate, past_runs_near


def config(total: int = 100, objective: str = "Optical", **more: Any) -> dict[str, Any]:
    return {
        "objective": {"_target_": f"objectives.{objective}"},
        "backbone": {"_target_": "Tiny", "layers": 2},
        "data": {"_target_": "Synthetic"},
        "languages": {"high": ["a"], "low": ["b"]},
        "mixture": {"total": total},
        "training": {"epochs": 1},
        "machine": {"devices": 2},
        **more,
    }


def estimated(sweep: Path, *configs: dict[str, Any]) -> Estimate:
    past, source = past_runs_near(sweep, RetrievalRun)
    return estimate(map(RetrievalRun.workload, configs), past, source)


def finished(
    sweep: Path, name: str, settings: dict[str, Any], training: float, total: float, device: str = "cpu"
) -> None:
    folder = RunFolder(sweep / name)
    folder.path.mkdir(parents=True)
    (folder.path / "student.safetensors").write_bytes(b"x" * 1_000_000)
    steps = 0 if settings["objective"]["_target_"].endswith("None") else 10
    folder.write_record(
        {
            "config": settings,
            "timings": {"train": training, "total": total},
            "training": {"steps": steps},
            "hardware": {"device": device},
            "shared": {"built": {"teacher": 1000.0} if total > 1000 else {}},
        }
    )


def test_without_records_nothing_is_estimated(tmp_path):
    result = estimated(tmp_path / "sweep", config())
    assert (result.runs, result.unknown, result.hours, result.source) == (1, 1, 0, "no record")


def test_training_time_grows_with_the_pairs(tmp_path):
    finished(tmp_path / "sweep", "one", config(100), training=20, total=30)
    result = estimated(tmp_path / "sweep", config(100), config(200))
    assert result.hours * 3600 == pytest.approx(30 + (40 + 10))
    assert (result.unknown, result.gpu_hours, result.records, result.source) == (0, 0, 1, "this sweep")
    assert 2_000_000 < result.size < 2_010_000


def test_shared_parts_are_no_cost_of_a_run(tmp_path):
    finished(tmp_path / "sweep", "one", config(), training=20, total=1030)
    assert estimated(tmp_path / "sweep", config()).hours * 3600 == pytest.approx(30)


def test_gpu_hours_count_devices(tmp_path):
    finished(tmp_path / "sweep", "one", config(), training=20, total=3600, device="cuda:0")
    result = estimated(tmp_path / "sweep", config())
    assert result.gpu_hours == pytest.approx(2 * result.hours)


def test_a_new_sweep_uses_the_records_of_its_neighbours(tmp_path):
    finished(tmp_path / "other", "one", config(), training=1, total=2)
    result = estimated(tmp_path / "sweep", config(), config(objective="Contrastive"))
    assert (result.runs, result.unknown) == (2, 1)
    assert str(tmp_path) in result.source


def test_the_most_similar_runs_count(tmp_path):
    bigger = {"backbone": {"_target_": "Tiny", "layers": 4}}
    finished(tmp_path / "sweep", "small", config(), training=1, total=2)
    finished(tmp_path / "sweep", "big", config(**bigger), training=10, total=20)
    assert estimated(tmp_path / "sweep", config(**bigger)).hours * 3600 == pytest.approx(20)


def test_broken_records_are_skipped(tmp_path):
    finished(tmp_path / "sweep", "one", config(), training=1, total=2)
    for name, text in {"a": "{", "b": '{"schema": 1}', "c": '{"schema": 99}'}.items():
        (tmp_path / "sweep" / name).mkdir()
        (tmp_path / "sweep" / name / "record.json").write_text(text)
    (tmp_path / "sweep" / "d").symlink_to("nowhere")
    assert estimated(tmp_path / "sweep", config()).records == 1


def test_pairs_of_both_protocols():
    assert RetrievalRun.workload(config(50, training={"epochs": 3})).amount == 150
    mixture = {"high_total": 10, "multiple": 0.5}
    assert RetrievalRun.workload({"mixture": mixture, "training": {"epochs": 1}}).amount == 15
    assert RetrievalRun.workload({"mixture": {"budget": 1}}).amount is None
