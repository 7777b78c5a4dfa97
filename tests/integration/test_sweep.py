"""One small sweep through the command line, and all that a person does with it afterwards."""

import gzip
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import pytrec_eval
from omegaconf import OmegaConf

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.tracking.sources import disagreements, read_offline, read_records
from tests.support.command_line import SWEEP, TRAIN, Command, Finished

FOLDER = Path("multirun/small")
LANGUAGES = ("near", "shifted", "fusing", "distant")
LABELS = (
    "optical ratio=0 total=80 seed=1",
    "optical ratio=1 total=80 seed=1",
    "contrastive ratio=0 total=80 seed=1",
    "contrastive ratio=1 total=80 seed=1",
    "none (zero-shot)",
)
MEASURED = r"nDCG@10 high 0\.\d{3}  low 0\.\d{3}  all 0\.\d{3}, \d+\.\d s"
ABOUT_SLOW_WORK = re.compile(r": [\d,]+ of [\d,]+ after \d+ (s|min)$")
Records = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def sweep(study: Path, there: Command) -> tuple[Path, Finished]:
    """The folder after one sweep of 2 ratios x {optical, contrastive, none}; no test may change it."""
    return study, there(study, *SWEEP)


@pytest.fixture(scope="module")
def folder(sweep) -> Path:
    folder, done = sweep
    assert done.code == 0, done
    return folder


@pytest.fixture
def again(folder: Path, tmp_path: Path) -> Path:
    """A copy of that folder, for tests that go on with the sweep."""
    return Path(shutil.copytree(folder, tmp_path / "again"))


@pytest.fixture(scope="module")
def curves(folder: Path, there: Command) -> Finished:
    return there(folder, "curves", str(FOLDER), "output=curves", "replicates=200")


def records(folder: Path) -> Records:
    """Of all finished runs, by label."""
    found = (json.loads(path.read_text()) for path in sorted((folder / FOLDER).glob("*/record.json")))
    return {record["label"]: record for record in found}


def run_folder(folder: Path, label: str) -> Path:
    return folder / FOLDER / records(folder)[label]["id"]


def moments(folder: Path) -> Mapping[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (folder / FOLDER).glob("*/record.json")}


def measures(folder: Path) -> dict[str, Any]:
    return {label: record["measures"] for label, record in records(folder).items()}


def run_names(folder: Path) -> set[str]:
    return {path.name for path in (folder / FOLDER).iterdir() if path.is_dir()}


# ------------------------------------------------------------------------------------------- the sweep itself


def test_one_line_a_run_and_no_noise(sweep):
    _, done = sweep
    assert (done.code, done.err) == (0, "")
    expected = [
        r"6 grid points \(5 distinct runs\): 5 missing -> multirun/small",
        r"teacher: built from training on \d+ query-document pairs in \d+\.\d s",
        r"index: built from 80 documents in \d+\.\d s",
        r"english: built from \d+ sentences in \d+\.\d s",
        *(rf"\[{n}/5\] {re.escape(label)}: {MEASURED}" for n, label in enumerate(LABELS, start=1)),
        r"5 done in multirun/small",
    ]
    expected.insert(5, expected[3])  # the second run draws sentences that the first has not drawn
    lines = [line for line in done.lines if not ABOUT_SLOW_WORK.search(line)]  # the machine may be busy
    assert len(lines) == len(expected), done.out
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), (line, pattern)


def test_every_run_folder_is_complete(folder):
    assert set(records(folder)) == set(LABELS)
    for label, record in records(folder).items():
        run = folder / FOLDER / record["id"]
        assert {path.name for path in (run / ".hydra").iterdir()} == {
            "config.yaml",
            "hydra.yaml",
            "overrides.yaml",
        }
        rankings = {f"{split}.{language}.trec.gz" for split in ("dev", "test") for language in LANGUAGES}
        assert {path.name for path in (run / "runs").iterdir()} == rankings
        assert [path.name for path in (run / "checkpoints").iterdir()] == ["student.safetensors"]
        assert {"record.json", "metrics.jsonl", "per_query.parquet", "wandb"} <= {
            path.name for path in run.iterdir()
        }
        assert not (run / "FAILED.json").exists()
        assert list(run.rglob("*.tmp*")) == [], label


def test_records_say_what_made_the_numbers(folder):
    for record in records(folder).values():
        assert record["config"]["data"]["topics"] == 40
        assert set(record["code"]) == {"version", "commit", "dirty"}
        assert {"python", "torch", "numpy", "optical-sweeps"} - set(record["versions"]) <= {"optical-sweeps"}
        assert record["hardware"]["threads"] == 1
        assert record["hardware"]["peak_memory_mb"] < 4096
        assert record["timings"]["total"] > 0
        for split in ("dev", "test"):
            assert set(record["measures"][split]) == {"nDCG@10", "MAP@100", "MRR@10", "Recall@100"}
            for by_slice in record["measures"][split].values():
                assert set(by_slice) == {*LANGUAGES, "group:high", "group:low", "group:all"}
                low = (by_slice["fusing"] + by_slice["distant"]) / 2
                assert by_slice["group:low"] == pytest.approx(low, rel=1e-12)


def test_training_moves_the_numbers_and_sees_the_drawn_languages(folder):
    by_label = measures(folder)
    assert len({json.dumps(of) for of in by_label.values()}) == len(LABELS)
    drawn = {label: record["training"].get("drawn") for label, record in records(folder).items()}
    for label in LABELS:
        if label.startswith("none"):
            assert drawn[label] is None
        else:
            share = float("ratio=1" in label)
            low = sum(drawn[label]["pairs"][language] for language in ("fusing", "distant"))
            assert (drawn[label]["ratio"], low) == (share, 80 * share)


def test_history_is_one_row_a_step(folder):
    for label in LABELS[:4]:
        lines = (run_folder(folder, label) / "metrics.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        assert [row["step"] for row in rows if "train/loss" in row] == list(range(1, 11))
        (validated,) = [row for row in rows if "dev/nDCG@10/group:low" in row]
        recorded = records(folder)[label]["measures"]["dev"]["nDCG@10"]["group:low"]
        assert (validated["step"], validated["dev/nDCG@10/group:low"]) == (10, recorded)


def test_shared_parts_are_built_once(folder):
    for kind in ("teacher", "index"):
        built = [path for path in (folder / "artifacts" / kind).iterdir() if path.is_dir()]
        assert len(built) == 1, kind
    for kind in ("english", "tokens"):
        collections: dict[str, list[bytes]] = {}
        for entry in ArtifactStore(folder / "artifacts").ls():
            if entry.kind == kind:
                hashes = np.load(entry.folder / "hashes.npy").tolist()
                collections.setdefault(entry.key["collection"], []).extend(hashes)
        assert all(len(hashes) == len(set(hashes)) for hashes in collections.values()), kind
    built = {label: set(record["shared"]["built"]) for label, record in records(folder).items()}
    builders = {label: parts for label, parts in built.items() if parts}
    assert builders == {  # the second drew sentences that the first had not drawn
        "optical ratio=0 total=80 seed=1": {"teacher", "index", "english", "tokens"},
        "optical ratio=1 total=80 seed=1": {"english", "tokens"},
    }


def test_nothing_else_is_left_in_the_folder(folder):
    assert {path.name for path in folder.iterdir()} - {"curves"} == {"studies", "multirun", "artifacts"}
    files = {path.name for path in (folder / FOLDER).iterdir() if path.is_file()}
    assert files == {"grid.json", ".grid.lock", "multirun.yaml"}


# ------------------------------------------------------------------------------------------------- going on


def test_a_second_call_skips_all(again, here):
    before = moments(again)
    done = here(again, *SWEEP)
    assert (done.code, done.err) == (0, "")
    told = ["6 grid points (5 distinct runs): 5 done -> multirun/small", "5 done in multirun/small"]
    assert done.lines == told
    assert moments(again) == before


def test_another_machine_or_logger_is_the_same_run(again, here):
    before = moments(again)
    machine = ("machine.accelerator=cpu", "machine.threads=1", "machine.workers=1")
    logger = ("logger=disabled", "training.log_every=7", "evaluation.memory_budget_mb=64")
    done = here(again, *SWEEP, "objective=contrastive", "mixture.ratio=1", *machine, *logger)
    assert (done.code, done.err) == (0, "")
    assert done.lines[0].startswith("1 grid point: 1 done")
    assert moments(again) == before


def test_a_new_ratio_runs_the_new_points_alone(again, here):
    before, names = moments(again), run_names(again)
    done = here(again, *SWEEP, "objective=contrastive", "mixture.ratio=0,0.5,1")
    assert (done.code, done.err) == (0, "")
    assert done.lines[0].startswith("3 grid points: 2 done, 1 missing")
    assert [line.split(":")[0] for line in done.lines[1:-1]] == ["[2/3] contrastive ratio=0.5 total=80 seed=1"]
    (new,) = run_names(again) - names
    record = json.loads((again / FOLDER / new / "record.json").read_text())
    assert record["training"]["drawn"]["ratio"] == 0.5
    assert record["shared"]["built"] == {}
    assert {path: moments(again)[path] for path in before} == before
    grid = json.loads((again / FOLDER / "grid.json").read_text())
    assert {point["run"] for point in grid["points"]} == names | {new}  # earlier points stay asked for


def test_a_ratio_of_1_and_of_1_0_is_one_run(again, here):
    names = run_names(again)
    done = here(again, *SWEEP, "objective=contrastive", "mixture.ratio=1.0", "training.gradient_clip=1")
    assert (done.code, done.err) == (0, "")
    assert run_names(again) == names


def test_a_deleted_run_comes_back_with_the_same_numbers(again, here):
    before = measures(again)
    for label in LABELS[1], LABELS[2], LABELS[4]:
        shutil.rmtree(run_folder(again, label))
    done = here(again, *SWEEP)
    assert (done.code, done.err) == (0, "")
    assert done.lines[0].endswith("2 done, 3 missing -> multirun/small")
    assert measures(again) == before


def test_a_deleted_teacher_comes_back_with_the_same_numbers(again, here):
    before = measures(again)
    shutil.rmtree(again / "artifacts")
    shutil.rmtree(run_folder(again, LABELS[0]))
    done = here(again, *SWEEP, "objective=optical", "mixture.ratio=0")
    assert (done.code, done.err) == (0, "")
    assert measures(again) == before


def test_a_single_run_lands_where_its_grid_point_does(again, here):
    before = measures(again)
    shutil.rmtree(run_folder(again, LABELS[3]))
    done = here(again, *TRAIN, "objective=contrastive", "mixture.ratio=1")
    assert (done.code, done.err) == (0, "")
    assert len(done.lines) == 1
    assert measures(again) == before


def test_a_killed_run_is_stale_and_then_finished(again, here, there, environment):
    label = "optical ratio=1 total=80 seed=1"
    before, killed = measures(again), RunFolder(run_folder(again, label))
    shutil.rmtree(killed.path)
    point = (*SWEEP, "objective=optical", "mixture.ratio=1")
    kill_when_training(killed, [sys.executable, "-m", "optical_sweeps", *point], again, environment)
    assert killed.state() == "stale"
    assert f"{killed.path.name}  ! stale" in here(again, "sweep", "status", str(FOLDER)).out
    assert label not in measures(again)

    told = here(again, "curves", str(FOLDER), "output=curves", "replicates=20")
    assert told.code == 0
    assert "MISSING from the curves: 1 stale" in told.lines
    assert f"  missing: {label} (stale)" in told.lines

    done = there(again, *point)  # W&B's log is surely on disk when the process has ended, not before
    assert (done.code, done.err) == (0, "")
    assert done.lines[0].startswith("1 grid point: 1 stale")
    assert measures(again) == before

    assert len(list(killed.path.glob("wandb/*/*.wandb"))) == 2  # a fragment of each attempt
    logged = read_offline(again / FOLDER)
    assert [run.complete for run in logged] == [True] * 5
    assert disagreements(logged, read_records(again / FOLDER)) == []


def kill_when_training(run: RunFolder, program: list[str], folder: Path, environment: dict[str, str]) -> None:
    """SIGKILL once the first steps are logged, when the run is in its middle."""
    process = subprocess.Popen(
        program,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not run.metrics_path.exists():
            assert process.poll() is None, "ended before it could be killed"
            time.sleep(0.001)
        process.kill()
        process.wait()
        assert not run.record_path.exists(), "finished before it could be killed"
    finally:
        process.kill()
        process.wait()


def test_a_failing_point_leaves_its_traceback_and_the_others_go_on(again, here):
    names = run_names(again)
    rates = "training.learning_rate=1e30,2e-3"
    done = here(again, *SWEEP, "objective=contrastive", "mixture.ratio=0", rates)
    assert (done.code, done.err) == (1, "")
    assert "FAILED: training: the loss is " in done.lines[1]
    assert re.search(r"training\.learning_rate=1e\+?30", done.lines[1])
    assert re.search(MEASURED, done.lines[2])
    assert done.lines[3] == "1 done, 1 failed in multirun/small"
    (failed,) = [RunFolder(path) for path in (again / FOLDER).iterdir() if (path / "FAILED.json").exists()]
    assert str(failed.failure_path.relative_to(again)) in done.lines[4]
    assert failed.state() == "failed"
    failure = json.loads(failed.failure_path.read_text())
    assert (failure["error"], failure["cause"]) == ("NotFinite", "nan")
    assert "the loss is" in failure["message"]
    assert failure["traceback"].startswith("Traceback (most recent call last):")
    assert "training_step" in failure["traceback"]
    assert not failed.record_path.exists()
    assert (failed.path / "wreck" / "batch.safetensors").exists()
    assert len(run_names(again) - names) == 2
    status = here(again, "sweep", "status", str(FOLDER))
    assert status.lines[-1] == "6 done, 1 failed"


# -------------------------------------------------------------------------------------------- reading results


def test_status_is_a_table(folder, here):
    done = here(folder, "sweep", "status", str(FOLDER))
    assert (done.code, done.err) == (0, "")
    for label, record in records(folder).items():
        score = record["measures"]["test"]["nDCG@10"]["group:all"]
        row = [record["id"], "■", "done", *label.split(), f"{score:.3f}"]
        assert any(line.split() == row for line in done.lines), label
    assert done.lines[-1] == "5 done"


def test_curves_write_figures_and_tables(folder, curves):
    assert (curves.code, curves.err) == (0, "")
    paths = [folder / line.strip() for line in curves.lines if line.startswith("  curves/")]
    assert {path.suffix for path in paths} == {".png", ".pdf", ".parquet", ".csv", ".md"}
    assert {path.name for path in paths} == {path.name for path in (folder / "curves").iterdir()}
    heads = {".png": b"\x89PNG", ".pdf": b"%PDF", ".parquet": b"PAR1"}
    for path in paths:
        assert path.stat().st_size > 100
        assert path.read_bytes().startswith(heads.get(path.suffix, b""))
    assert any("zero-shot" in line for line in curves.lines)
    assert f"from 5 runs in W&B's offline logs under {FOLDER}" in curves.lines


def test_curves_have_the_numbers_of_the_records(folder, curves):
    assert curves.code == 0
    expected = {
        (record["id"], split, where, measure): value
        for record in records(folder).values()
        for split, by_measure in record["measures"].items()
        for measure, by_slice in by_measure.items()
        for where, value in by_slice.items()
    }
    tables = (
        pandas.read_parquet(folder / "curves" / "results.parquet"),
        pandas.read_csv(folder / "curves" / "results.csv"),
    )
    for table in tables:
        keys = table[["run", "split", "slice", "measure"]].itertuples(index=False, name=None)
        assert dict(zip(keys, table["value"], strict=True)) == expected
        assert set(table["sweep"]) == {"small"}
        assert set(table["objective"]) == {"optical", "contrastive", "none"}
        assert table[table["objective"] == "none"]["ratio"].isna().all()


def test_the_markdown_table_shows_those_numbers(folder, curves):
    assert curves.code == 0
    rows = (folder / "curves" / "table.md").read_text().splitlines()
    names = {"none (zero-shot)": "zero-shot"}
    for label, record in records(folder).items():
        objective, *rest = label.split()
        name = names.get(label, f"{objective} {rest[0].removeprefix('ratio=')}")
        row = next(row for row in rows if re.match(rf"\|\s*{re.escape(name)}\s*\|", row))
        ndcg = record["measures"]["test"]["nDCG@10"]
        for group in ("high", "low", "all"):
            assert f"{100 * ndcg[f'group:{group}']:.1f}" in row, (row, group)


def test_records_give_the_same_table_as_wandb(again, folder, curves, here):
    assert curves.code == 0
    done = here(again, "curves", str(FOLDER), "source=records", "output=recorded", "replicates=200")
    assert (done.code, done.err) == (0, "")
    for name in ("results.csv", "table.md"):
        assert (again / "recorded" / name).read_text() == (folder / "curves" / name).read_text(), name
    one, other = (
        pandas.read_parquet(path / "results.parquet") for path in (again / "recorded", folder / "curves")
    )
    pandas.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize("label", [LABELS[1], LABELS[2], LABELS[4]])
def test_evaluate_gives_the_recorded_numbers(again, here, label):
    run = run_folder(again, label)
    done = here(again, "evaluate", str(run.relative_to(again)), "output=again")
    assert (done.code, done.err) == (0, "")
    columns = ["split", "language", "query_id", "measure"]
    recorded = pandas.read_parquet(run / "per_query.parquet").query("split == 'test'")
    found = pandas.read_parquet(again / "again" / "per_query.parquet")
    pandas.testing.assert_frame_equal(
        found.sort_values(columns, ignore_index=True),
        recorded.sort_values(columns, ignore_index=True),
        check_exact=True,
    )
    for language in LANGUAGES:
        name = f"runs/test.{language}.trec.gz"
        assert gzip.decompress((again / "again" / name).read_bytes()) == gzip.decompress(
            (run / name).read_bytes()
        )


@pytest.mark.parametrize("label", LABELS)
def test_trec_eval_agrees_on_the_written_run_files(folder, label):
    record = records(folder)[label]
    corpus = RunSpec.from_config(OmegaConf.create(record["config"])).corpus
    for split in ("dev", "test"):
        for language in LANGUAGES:
            qrels = {query: dict(grades) for query, grades in corpus.collection(language, split).qrels.items()}
            path = folder / FOLDER / record["id"] / "runs" / f"{split}.{language}.trec.gz"
            with gzip.open(path, "rt") as lines:
                ranking = pytrec_eval.parse_run(lines)
            judged = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10", "recip_rank"}).evaluate(ranking)
            assert set(judged) == set(qrels)
            mean = sum(of["ndcg_cut_10"] for of in judged.values()) / len(judged)
            recorded = record["measures"][split]["nDCG@10"][language]
            assert mean == pytest.approx(recorded, abs=1e-9), (split, language)
