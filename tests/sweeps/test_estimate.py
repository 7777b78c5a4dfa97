"""Costs of runs, from records as runs write them."""

from pathlib import Path
from typing import Any

import pytest

from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.sweeps.estimate import estimate, experience_near, pairs_of


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


def test_nothing_known_is_said(tmp_path):
    past, source = experience_near(tmp_path / "sweep")
    told = estimate([config()], past, source)
    assert (told.runs, told.unknown, told.hours, told.source) == (1, 1, 0, "no record")


def test_training_grows_with_the_pairs_and_the_rest_stays(tmp_path):
    finished(tmp_path / "sweep", "one", config(100), training=20, total=30)
    past, source = experience_near(tmp_path / "sweep")
    told = estimate([config(100), config(200)], past, source)
    assert told.hours * 3600 == pytest.approx(30 + (40 + 10))
    assert (told.unknown, told.gpu_hours, told.records, told.source) == (0, 0, 1, "this sweep")
    assert 2_000_000 < told.size < 2_010_000


def test_what_was_built_for_all_is_no_cost_of_a_run(tmp_path):
    finished(tmp_path / "sweep", "one", config(), training=20, total=1030)
    past, source = experience_near(tmp_path / "sweep")
    assert estimate([config()], past, source).hours * 3600 == pytest.approx(30)


def test_gpu_hours_count_devices(tmp_path):
    finished(tmp_path / "sweep", "one", config(), training=20, total=3600, device="cuda:0")
    past, source = experience_near(tmp_path / "sweep")
    told = estimate([config()], past, source)
    assert told.gpu_hours == pytest.approx(2 * told.hours)


def test_neighbours_serve_where_the_sweep_is_new(tmp_path):
    finished(tmp_path / "other", "one", config(), training=1, total=2)
    past, source = experience_near(tmp_path / "sweep")
    told = estimate([config(), config(objective="Contrastive")], past, source)
    assert (told.runs, told.unknown) == (2, 1)
    assert str(tmp_path) in told.source


def test_the_most_alike_count(tmp_path):
    bigger = {"backbone": {"_target_": "Tiny", "layers": 4}}
    finished(tmp_path / "sweep", "small", config(), training=1, total=2)
    finished(tmp_path / "sweep", "big", config(**bigger), training=10, total=20)
    past, source = experience_near(tmp_path / "sweep")
    assert estimate([config(**bigger)], past, source).hours * 3600 == pytest.approx(20)


def test_broken_records_are_passed_over(tmp_path):
    finished(tmp_path / "sweep", "one", config(), training=1, total=2)
    for name, text in {"a": "{", "b": '{"schema": 1}', "c": '{"schema": 99}'}.items():
        (tmp_path / "sweep" / name).mkdir()
        (tmp_path / "sweep" / name / "record.json").write_text(text)
    (tmp_path / "sweep" / "d").symlink_to("nowhere")
    assert len(experience_near(tmp_path / "sweep")[0]) == 1


def test_pairs_of_both_protocols():
    assert pairs_of(config(50, training={"epochs": 3})) == 150
    assert pairs_of({"mixture": {"high_total": 10, "multiple": 0.5}, "training": {"epochs": 1}}) == 15
    assert pairs_of({"mixture": {"budget": 1}}) is None
