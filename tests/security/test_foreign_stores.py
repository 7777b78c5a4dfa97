"""Stores, run files, tables and working folders of a stranger: no memory is overrun, and no code runs."""

import gzip
import io
import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import pytest

from optical_sweeps import cli, limits
from optical_sweeps.array_files import load_array
from optical_sweeps.curves.tables.per_query_files import read_per_query
from optical_sweeps.errors import UserError
from optical_sweeps.report.expected import read_expected
from optical_sweeps.report.rederived import _query_means
from optical_sweeps.report.sweep_runs import SweepRun, _value
from optical_sweeps.retrieval.pruned_index import CentroidLists
from optical_sweeps.retrieval.trec_runs import read_run
from optical_sweeps.retrieval.word_counts import WordCounts
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds, SharedArtifact
from optical_sweeps.slurm.batch_script import _program
from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.sweeps import wandb_upload
from optical_sweeps.tuning.search_space import Choice, Interval, SearchSpace
from optical_sweeps.tuning.trial_store import DRAWN, STORAGE_FILE, TrialStore
from optical_sweeps.tuning.tuning_settings import TuningSettings

SPACE = {"objective.temperature": Interval(0.01, 1.0), "objective.centre": Choice(["none", "both"])}


def _store(folder: Path) -> TrialStore:
    return TrialStore(folder, TuningSettings(objectives=["mse"]), {"mse": SearchSpace("mse", SPACE)})


def _stored_trial(folder: Path, key: str, value: object) -> None:
    backend = optuna.storages.journal.JournalFileBackend(str(folder / STORAGE_FILE))
    storage = optuna.storages.JournalStorage(backend)
    study = optuna.create_study(storage=storage, study_name="mse", direction="maximize", load_if_exists=True)
    trial = study.ask()
    trial.suggest_categorical(key, [value])
    trial.set_user_attr(DRAWN, True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("allow_foreign_classes", "[stranger.Thing]"),
        ("hydra.callbacks.x._target_", "os.system"),
        ("data._target_", "stranger.Thing"),
        ("objective.centre", "${oc.env:HOME}"),
        ("objective.temperature", "${oc.env:HOME}"),
        ("training.epochs", 10**9),
    ],
)
def test_a_stored_trial_sets_only_what_its_search_space_has(key, value, tmp_path):
    _stored_trial(tmp_path, key, value)
    with pytest.raises(
        UserError, match=r"optuna\.log: trial 0 of mse has .* search_space\.mse does not contain"
    ):
        _store(tmp_path).trials("mse")


def test_trials_of_a_narrowed_range_stay(tmp_path):
    _stored_trial(tmp_path, "objective.temperature", 7.0)
    _stored_trial(tmp_path, "objective.centre", "both")
    values = [dict(trial.values) for trial in _store(tmp_path).trials("mse")]
    assert values == [{"objective.temperature": 7.0}, {"objective.centre": "both"}]


@pytest.mark.parametrize(
    "content",
    [b"[]\n[]\n", b"x\n{}\n", b'{"op_code": 99}\n', b"[" * 100_000 + b"\n\n", b"\xff\xfe\n\n", b"{}\n"],
)
def test_a_broken_journal_of_trials_is_one_line(content, tmp_path):
    (tmp_path / STORAGE_FILE).write_bytes(content)
    with pytest.raises(UserError, match=r"optuna\.log: not the storage of a tuning .*tuning\.name") as raised:
        _store(tmp_path).trials("mse")
    assert "\n" not in str(raised.value)


def _npy(header: str, content: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + content


def _npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.zeros(1))
    return file.getvalue()


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        _npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), "),  # found by fuzzing: TokenError
        _npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n", b"\x80\x02cos\nsystem\n."),
        _npy("{'descr': '<i4', 'fortran_order': False, 'shape': (9000000000000000,)}\n"),
        _npy("[" * 9000),
        _npz(),
    ],
    ids=["empty", "text", "half a header", "pickle", "petabytes", "nested", "archive"],
)
def test_a_damaged_array_is_a_value_error(content, mapped, tmp_path):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises((ValueError, OSError)):
        load_array(tmp_path / "a.npy", mapped=mapped)


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("array", [np.zeros((0, 3), np.float32), np.arange(6).reshape(2, 3)])
def test_an_array_is_loaded(array, mapped, tmp_path):
    np.save(tmp_path / "a.npy", array)
    loaded = load_array(tmp_path / "a.npy", mapped=mapped)
    assert not array.size or isinstance(loaded, np.memmap) == mapped
    assert (loaded.dtype, loaded.shape, loaded.tolist()) == (array.dtype, array.shape, array.tolist())


LISTS = {
    "offsets": np.array([0, 1, 3, 4]),
    "documents": np.array([0, 0, 1, 1], np.int32),
}
"""The lists of three centroids, with two documents."""


def _lists(folder: Path, **changes: np.ndarray) -> CentroidLists:
    for name, array in {**LISTS, **changes}.items():
        np.save(folder / f"{name}.npy", array)
    return CentroidLists.load(folder, 2, 3)


def test_sound_lists_are_loaded(tmp_path):
    lists = _lists(tmp_path)
    assert [getattr(lists, name).tolist() for name in LISTS] == [array.tolist() for array in LISTS.values()]


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("offsets", np.array([0, 1, 3, 5])),
        ("offsets", np.array([0, 3, 1, 4])),
        ("offsets", np.array([1, 1, 3, 4])),
        ("offsets", np.array([-9, 1, 3, 4])),
        ("offsets", np.array([0, 1, 3, 3])),
        ("offsets", np.array([0, 4])),
        ("offsets", np.array([0, 1, 3, 4], np.int32)),
        ("documents", np.array([0, 0, 1, 2], np.int32)),
        ("documents", np.array([0, 0, 1, -(2**31)], np.int32)),
        ("documents", np.array([[0], [0], [1], [1]], np.int32)),
    ],
)
def test_places_outside_of_the_memory_of_an_index_are_refused(name, array, tmp_path):
    """Compiled loops do not check bounds: a document number from a file is where they would write."""
    with pytest.raises(ValueError, match=f"{name}.npy|offsets.npy"):
        _lists(tmp_path, **{name: array})


@pytest.mark.parametrize(
    ("name", "array"),
    [("indices", np.array([5])), ("indices", np.array([-1])), ("indptr", np.array([0, 9, 1]))],
)
def test_word_counts_with_places_outside_of_the_matrix_are_refused(name, array, tmp_path):
    (tmp_path / "words.json").write_text(json.dumps({"source": ["a", "b"], "target": ["c"]}))
    arrays = {"data": np.ones(1), "indices": np.array([0]), "indptr": np.array([0, 1, 1])}
    for part, values in {**arrays, name: array}.items():
        np.save(tmp_path / f"{part}.npy", values)
    with pytest.raises(ValueError, match=name):
        WordCounts.load(tmp_path)


@dataclass(frozen=True, eq=False)
class _Broken(SharedArtifact[object]):
    error: Exception

    kind = "thing"

    def key(self) -> Mapping[str, object]:
        return {"a": 1}

    def build(self, folder: Path, builds: ArtifactBuilds) -> None:
        (folder / "file").write_bytes(b"x")

    def load(self, folder: Path) -> object:
        raise self.error

    def source(self) -> str:
        return "nothing"


@pytest.mark.parametrize(
    "error", [KeyError("a"), ValueError("b\nc"), IndexError("d"), TypeError("e"), EOFError(), OSError("f")]
)
def test_an_entry_with_other_content_is_one_line(error, tmp_path):
    with pytest.raises(UserError, match=r"thing/\w+: not a usable thing \(.*\); delete this folder") as raised:
        ArtifactBuilds.at(tmp_path).get(_Broken(error))
    assert "\n" not in str(raised.value)


def test_run_files_obey_the_limits(tmp_path, monkeypatch):
    path = tmp_path / "a.trec.gz"
    monkeypatch.setenv("OPTICAL_SWEEPS_MAX_LINE_BYTES", "100")
    path.write_bytes(gzip.compress(b"q Q0 d 1 0.5 t\n" + b"a" * 1000))
    with pytest.raises(UserError, match=r"a\.trec\.gz:2: longer than 100 bytes"):
        read_run(path)
    monkeypatch.setenv("OPTICAL_SWEEPS_MAX_UNPACKED_BYTES", "1000")
    path.write_bytes(gzip.compress(b"".join(b"q Q0 d%d 1 0.5 t\n" % n for n in range(100))))
    with pytest.raises(UserError, match="more than 1000 bytes once unpacked"):
        read_run(path)


def test_tables_with_too_many_rows_are_not_read(tmp_path, monkeypatch):
    import pandas

    path = tmp_path / "per_query.parquet"
    rows = [("test", "de", "nDCG@10", query, value) for query, value in (("a", 0.5), ("b", 1.0))]
    pandas.DataFrame(rows, columns=["split", "language", "measure", "query_id", "value"]).to_parquet(path)
    run = SweepRun("a", "a", "done", tmp_path, {})
    score = "test/nDCG@10/de"
    assert read_per_query(path).num_rows == 2
    assert _query_means(run, {score: 0.0}) == {score: 0.75}
    monkeypatch.setenv("OPTICAL_SWEEPS_MAX_TABLE_ROWS", "1")
    with pytest.raises(ValueError, match=r"more than 1 rows; .*OPTICAL_SWEEPS_MAX_TABLE_ROWS=1"):
        read_per_query(path)
    assert str(_query_means(run, {score: 0.0})) == str({score: float("nan")})


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_yaml_that_grows_is_not_read(tmp_path):
    with pytest.raises(ValueError, match="aliases"):
        limits.parse_yaml(BOMB)
    (tmp_path / "expected.yaml").write_text(BOMB)
    with pytest.raises(UserError, match=r"expected\.yaml: .*aliases"):
        read_expected(tmp_path / "expected.yaml")
    assert _value("[&a [x], *a]") == "[&a [x], *a]"
    assert _value("[1, x]") == [1, "x"]
    for nested in ("[" * 100_000, "- " * 5000, "[{x: " * 150):  # PyYAML takes quadratic time for the first
        assert _value(nested) == nested
    assert _value("[[1]]") == [[1]]


def _hostile_folder(folder: Path) -> Path:
    """A folder whose modules of known names leave a file when they are imported."""
    for name in ("optical_sweeps", "wandb", "multiprocessing", "numpy", "json"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"open({str(folder / 'ran')!r}, 'w').close()\n")
    return folder


def test_a_slurm_task_imports_nothing_of_its_folder(tmp_path):
    command = shlex.split(_program(SlurmSettings()))
    done = subprocess.run(
        [*command, "--version"], cwd=_hostile_folder(tmp_path), capture_output=True, timeout=120
    )
    assert done.stdout.startswith(b"optical-sweeps ")
    assert not (tmp_path / "ran").exists()


def test_the_client_of_wandb_imports_nothing_of_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(_hostile_folder(tmp_path))
    assert wandb_upload._wandb(["--version"]).stdout.startswith("python -m wandb")
    assert not (tmp_path / "ran").exists()


def test_processes_started_by_the_program_import_nothing_of_the_folder(monkeypatch):
    monkeypatch.delenv("PYTHONSAFEPATH")
    monkeypatch.setattr("sys.argv", ["optical-sweeps", "--version"])
    cli.main()
    assert os.environ["PYTHONSAFEPATH"] == "1"
