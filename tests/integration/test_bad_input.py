"""Bad input on the command line: one clear line before any training, and no files."""

import gzip
from pathlib import Path

import pytest

from tests.support.command_line import SWEEP, TRAIN, Command

EITHER = (TRAIN, pytest.param(SWEEP, marks=pytest.mark.slow))
"""One run, and a grid."""

FILES = {
    "docs.tsv.gz": "".join(f"d{n}\tTitle {n}\tA text about thing {n}.\n" for n in range(12)),
    **{
        f"{language}/{name}": text
        for language in ("da", "fi")
        for name, text in {
            "bitext.train.tsv.gz": "".join(f"thing {n}\t{language} ting {n}\n" for n in range(20)),
            "queries.dev.tsv": f"{language}-1\tting 1\n",
            "queries.test.tsv": f"{language}-2\tting 2\n",
            "qrels.dev.txt": f"{language}-1 0 d1 1\n",
            "qrels.test.txt": f"{language}-2 0 d2 1\n",
        }.items()
    },
}
SETTINGS = ("data=files", "data.languages=[da,fi]", "languages.high=[da]", "languages.low=[fi]")
SETTINGS += ("backbone=tiny", "logger=disabled", "mixture.total=8")


@pytest.fixture
def folder(study: Path) -> Path:
    return study


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A valid corpus for each test to change, in a new folder because a process reads a corpus only once."""
    for name, text in FILES.items():
        put(tmp_path, name, text)
    return tmp_path


def from_files(files: Path) -> tuple[str, ...]:
    return (*SETTINGS, f"data.root={files}")


def put(files: Path, name: str, text: str) -> None:
    path = files / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())


def refusal(here: Command, folder: Path, *arguments: str) -> str:
    """The one line with which the command ends; it wrote no files except packed bitext."""
    done = here(folder, *arguments)
    assert done.code not in (0, None)
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert done.err.endswith("\n")
    assert done.err.count("\n") == 1, done.err
    assert not (folder / "multirun").exists()
    assert {path.name for path in (folder / "artifacts").glob("*")} <= {"bitext"}
    assert not (folder / "outputs").exists()
    return done.err.removeprefix("error: ").rstrip()


def test_an_unknown_command(here, folder):
    line = refusal(here, folder, "trian")
    assert "trian: no such command" in line
    assert "train, teacher, evaluate, search" in line


@pytest.mark.parametrize("start", EITHER)
def test_an_unknown_language(here, folder, start):
    line = refusal(here, folder, *start, "languages.low=[klingon]")
    assert "klingon" in line
    assert "languages" in line
    assert "near, shifted" in line


@pytest.mark.parametrize("start", EITHER)
@pytest.mark.parametrize("ratio", ["1.5", "-0.1", "nan", "half", "null", "true"])
def test_a_ratio_outside_0_and_1(here, folder, ratio, start):
    line = refusal(here, folder, *start, "objective=optical", f"mixture.ratio={ratio}")
    assert "mixture.ratio" in line
    assert "[0, 1]" in line


def test_a_ratio_outside_0_and_1_within_a_grid(here, folder):
    line = refusal(here, folder, *SWEEP, "mixture.ratio=0.5,1,1.5")
    assert "mixture.ratio: 1.5" in line
    assert "grid point" in line


@pytest.mark.parametrize("start", EITHER)
def test_a_budget_larger_than_the_data(here, folder, start):
    line = refusal(here, folder, *start, "objective=optical", "mixture.total=100000", "mixture.ratio=0")
    assert "mixture.total" in line
    assert "160" in line  # pairs in the data
    assert "max_repeats" in line


@pytest.mark.parametrize(
    ("override", "word"),
    [
        ("training.epoch=1", "training.epoch"),
        ("nonsense=1", "nonsense"),
        ("objective=optcal", "objective=optcal"),
        ("+training.sched=cosine", "sched"),
        ("mixture.ratio=[1", "[1"),
        ("training.epochs=two", "training.epochs"),
        ("training.learning_rate=-1", "training.learning_rate"),
        ("machine.threads=-1", "machine.threads"),
        ("logger.mode=sometimes", "logger.mode"),
        ("seed=one", "seed"),
        ("objective.solver.gradient=implicit", "objective.solver.gradient: no such key; set objective.plan"),
        ("+objective.solver.gradient=implicit", "objective.solver.gradient: no such key; set objective.plan"),
    ],
)
@pytest.mark.parametrize("start", EITHER)
def test_an_unknown_key_or_value(here, folder, start, override, word):
    assert word in refusal(here, folder, *start, override)


def test_a_missing_root(here, folder):
    assert "data.root" in refusal(here, folder, "train", "data=files", "data.languages=[da]")
    line = refusal(here, folder, "train", "data=files", "data.languages=[da]", "data.root=/no/folder")
    assert "data.root" in line
    assert "/no/folder" in line


def test_a_missing_backbone_without_a_network(here, folder, files):
    """The client of the hub is offline in the tests' environment."""
    names = ("backbone=huggingface", "backbone.name=nobody/no-such-model")
    line = refusal(here, folder, "train", *from_files(files), *names)
    assert "backbone.name: nobody/no-such-model" in line
    assert "HF_HOME" in line


@pytest.mark.parametrize(
    ("name", "text", "where", "what"),
    [
        ("fi/bitext.train.tsv.gz", "", "fi/bitext.train.tsv.gz", "empty"),
        ("fi/bitext.train.tsv.gz", "one\tyksi\ntwo\n", "fi/bitext.train.tsv.gz:2", "1 column"),
        ("fi/bitext.train.tsv.gz", "one\tyksi\n\tkaksi\n", "fi/bitext.train.tsv.gz:2", "English"),
        ("fi/qrels.test.txt", "fi-2 0 d2 1\nfi-2 0 d77 1\n", "fi/qrels.test.txt:2", "d77"),
        ("fi/qrels.dev.txt", "fi-1 0 d2 1\nfi-5 0 d1 1\n", "fi/qrels.dev.txt:2", "fi-5"),
        ("fi/queries.test.tsv", "", "fi/queries.test.tsv", "empty"),
        ("docs.tsv.gz", "d1\tA\td2\tB\n", "docs.tsv.gz:1", "4 columns"),
    ],
)
@pytest.mark.parametrize("multirun", [(), ("-m",)])
def test_bad_lines_of_files_are_named(here, folder, files, name, text, where, what, multirun):
    put(files, name, text)
    line = refusal(here, folder, "train", *multirun, *from_files(files))
    assert where in line
    assert what in line


@pytest.mark.parametrize("multirun", [(), ("-m",)])
def test_misaligned_parallel_files(here, folder, files, multirun):
    put(files, "da/train.en", "one\ntwo\nthree\n")
    put(files, "da/train.xx", "en\nto\ntre\n")
    put(files, "fi/train.en", "one\ntwo\nthree\n")
    put(files, "fi/train.xx", "yksi\nkaksi\n")
    parallel = "data.bitext_file=['{language}/train.en','{language}/train.xx']"
    line = refusal(here, folder, "train", *multirun, *from_files(files), parallel)
    assert "fi/train.xx:3: no such line" in line
    assert "fi/train.en" in line


def test_a_missing_file(here, folder, files):
    (files / "fi" / "qrels.test.txt").unlink()
    line = refusal(here, folder, "train", *from_files(files))
    assert "data.qrels_file" in line
    assert "fi/qrels.test.txt" in line


@pytest.mark.parametrize("command", [("curves",), ("report",), ("sweep", "status")])
def test_reading_a_folder_without_a_sweep(here, folder, command):
    assert "nowhere" in refusal(here, folder, *command, "nowhere")
    (folder / "empty").mkdir(exist_ok=True)
    assert "empty" in refusal(here, folder, *command, "empty")
    assert list((folder / "empty").iterdir()) == []


def test_curves_of_an_unknown_source(here, folder):
    (folder / "empty").mkdir(exist_ok=True)
    assert "source" in refusal(here, folder, "curves", "empty", "source=carrier-pigeon")


def test_evaluating_a_run_that_is_missing_or_not_done(here, folder):
    assert "is missing, not done" in refusal(here, folder, "evaluate", "nowhere")
    run = folder / "half"
    run.mkdir(exist_ok=True)
    (run / ".lock").touch()
    assert "is stale, not done" in refusal(here, folder, "evaluate", "half")
    (run / "FAILED.json").write_text("{}")
    assert "is failed, not done" in refusal(here, folder, "evaluate", "half")
    assert "split" in refusal(here, folder, "evaluate", "half", "split=train")


@pytest.mark.parametrize("arguments", [("curves",), ("evaluate",), ("sweep", "status"), ("warm-up", "now")])
def test_commands_without_what_they_need(here, folder, arguments):
    refusal(here, folder, *arguments)


def test_a_process_prints_the_same(there, here, folder):
    arguments = (*SWEEP, "objective=optical", "mixture.ratio=0.5,1.5")
    done = there(folder, *arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err == f"error: {refusal(here, folder, *arguments)}\n"
