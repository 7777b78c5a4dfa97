"""Everything works in a locale that is not UTF-8, with the same numbers: files are UTF-8, output degrades."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from optical_sweeps.commands.arguments import free_text

WORDS = ("water", "house", "river", "stone", "bird", "light", "road", "salt")
LANGUAGES = {"ko": "물집", "ar": "ماء"}
STUDY = """\
# @package _global_
# 고양이: configs are UTF-8, too
defaults:
  - override /data: files
  - override /backbone: tiny
data: {root: data, languages: [ko, ar], bitext_file: "{language}.tsv", documents_file: docs.tsv,
       queries_file: "{language}.{split}.tsv", qrels_file: "{language}.{split}.txt"}
languages: {high: [ko], low: [ar]}
backbone: {layers: 1, hidden_size: 32, vocabulary_size: 500}
encoder: {dim: 16, query_length: 8, document_length: 16}
teacher: {training: {epochs: 1, learning_rate: 1e-3}}
training: {batch_size: 8, learning_rate: 1e-3, epochs: 1}
mixture: {total: 40}
machine: {threads: 1, workers: 0}
logger: {mode: offline, tags: [고양이]}
sweep: {name: s}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("locales")
    data = folder / "data"
    for path in (data, folder / "studies/experiment"):
        path.mkdir(parents=True)

    def write(name: str, lines: list[str]) -> None:
        (data / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    write("docs.tsv", [f"d{n}-é\t{WORDS[n % 8]}\tThe {WORDS[n % 8]} — “été” 고양이 {n}" for n in range(30)])
    for language, own in LANGUAGES.items():
        write(
            f"{language}.tsv",
            [f"{WORDS[n % 8]} {WORDS[n // 8]}\t{own} {own * (1 + n // 3)}" for n in range(40)],
        )
        for split in ("dev", "test"):
            write(
                f"{language}.{split}.tsv", [f"질문{n}\t{own} {own * (1 + n % 3)} {WORDS[n]}" for n in range(8)]
            )
            write(f"{language}.{split}.txt", [f"질문{n} 0 d{n + 8}-é 1" for n in range(8)])
    (folder / "studies/experiment/study.yaml").write_text(STUDY, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def latin(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A locale whose encoding is Latin-1, which Python does not replace by UTF-8 as it does with C."""
    folder = tmp_path_factory.mktemp("locale")
    made = subprocess.run(
        ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(folder / "en_US.ISO-8859-1")], capture_output=True
    )
    if not (folder / "en_US.ISO-8859-1").exists():
        pytest.skip(f"localedef cannot make a locale: {made.stderr.decode(errors='replace')}")
    return {"LOCPATH": str(folder), "LC_ALL": "en_US.ISO-8859-1"}


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""Python without its own remedy for the C locale."""


def program(study: Path, locale: Mapping[str, str], *words: str | bytes, standard_input: bytes = b"") -> bytes:
    passed = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WANDB_", "PYTHON", "LC_", "LANG"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "optical_sweeps", *words],
        cwd=study,
        env={**passed, **locale, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        input=standard_input,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-4000:])
    assert b"Encode" not in done.stderr, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(study: Path, latin: dict[str, str]) -> str:
    """The folder of a run that was trained in the Latin-1 locale."""
    program(study, latin, "train", "--config-dir", "studies", "-m", "experiment=study", "objective=optical")
    (record,) = study.glob("multirun/s/*/record.json")
    return str(record.parent.relative_to(study))


def test_a_run_of_another_locale_is_verified_in_utf_8(study: Path, trained: str) -> None:
    out = program(study, {"LC_ALL": "C.UTF-8"}, "verify", "multirun/s").decode()
    assert out.split("\n")[-2].endswith(" OK")


def test_free_text_is_utf_8_whatever_the_locale(study: Path, trained: str, latin: dict[str, str]) -> None:
    out = program(study, latin, "search", trained, "--query", "고양이 “été”", "k=1", "--json")
    assert json.loads(out)["query"] == "고양이 “été”"
    assert "고양이" in json.loads(out)["passages"][0]["text"]


def test_output_is_simplified_where_the_terminal_lacks_characters(study: Path, trained: str) -> None:
    text = program(
        study, ASCII, "search", trained, "--query", "-", "k=1", standard_input="고양이 — été\n".encode()
    )
    assert text.splitlines()[0] == rb"query: \uace0\uc591\uc774 - \xe9t\xe9"


@pytest.mark.parametrize(
    ("encoding", "words"), [("latin-1", b"\xe9t\xe9"), ("latin-1", "été".encode()), ("ascii", "été".encode())]
)
def test_text_of_the_command_line_is_utf_8_or_in_the_locales_encoding(
    monkeypatch: pytest.MonkeyPatch, encoding: str, words: bytes
) -> None:
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: encoding)
    assert free_text("--query", words.decode(encoding, "surrogateescape")) == "été"
