"""The shipped studies run end to end, on miniature collections in their providers' formats.

Only sizes are changed: backbone and dimensions, the values that are swept, and that collections are complete.
"""

import json
import re
import shlex
from pathlib import Path

import pytest

from optical_sweeps.tracking.records import read_records
from tests.support.provider_files import json_lines, put, put_gzip
from tests.support.recipes import SMALL, WORDS, bitext, composed, run

DOCS = (Path(__file__).parents[2] / "docs" / "howto" / "experiments.md").read_text()


def test_miracl_ratio(provider_home, tmp_path):
    languages = list(composed("miracl_ratio", "backbone=mbert").data.collections.languages)
    for language in languages:
        pair = "-".join(sorted((language, "en")))
        put_gzip(tmp_path / "data" / "bitext" / f"{pair}.tsv.gz", bitext(language))
    output = run(
        tmp_path, provider_home, "train", "-m", "experiment=miracl_ratio", *SMALL,
        "data.collections.complete=false", "data.teacher_pairs.complete=false",
        "objective=optical,contrastive,none", "mixture.ratio=0,1", "mixture.total=16",
    )  # fmt: skip
    assert "5 done in multirun/miracl_ratio" in output
    runs = read_records(tmp_path / "multirun" / "miracl_ratio")
    assert len(runs) == 5
    for one in runs:
        assert {key for key in one.summary if key.startswith("test/nDCG@10/")} == {
            f"test/nDCG@10/{slice}" for slice in (*languages, "group:high", "group:low", "group:all")
        }
    output = run(tmp_path, provider_home, "figures", "multirun/miracl_ratio", "source=records", "replicates=20",
               "draws=100", "widths.text=null", "fits=false")  # fmt: skip
    assert "multirun/miracl_ratio/figures/index.md" in output
    assert "multirun/miracl_ratio/figures/groups-column.pdf" in output


def test_optical_paper(tmp_path):
    config = composed("optical_paper")
    root = tmp_path / "data" / "optical_paper"
    documents = [
        {"id": f"LA{number:06d}", "title": f"Of {word}", "text": f"The {word} and the {WORDS[number - 1]}."}
        for number, word in enumerate(WORDS)
    ]
    put_gzip(root / "docs.jsonl.gz", json_lines(documents))
    for split, topics in (("dev", range(1, 5)), ("test", range(5, 9))):
        put(root / f"qrels.{split}.txt", "".join(f"C{i:03d} 0 LA{i - 1:06d} 1\n" for i in topics))
        for language in config.data.languages:
            own = bitext(language).splitlines()
            rows = (f"C{i:03d}\t{own[i].split(chr(9))[1]}\n" for i in topics)
            put(root / language / f"topics.{split}.tsv", "".join(rows))
    for language in config.data.languages:
        put_gzip(root / "bitext" / f"{language}.tsv.gz", bitext(language))
    pairs = "".join(f"what is {word}\tThe {word} is near the {WORDS[n - 1]}.\n" for n, word in enumerate(WORDS))
    put_gzip(root / "msmarco.pairs.tsv.gz", pairs)
    output = run(
        tmp_path, tmp_path / "none", "train", "-m", "experiment=optical_paper", *SMALL,
        "objective=optical,none", "mixture.total=28,56",
    )  # fmt: skip
    assert "3 done in multirun/optical_paper" in output
    for path in (tmp_path / "multirun" / "optical_paper").glob("*/record.json"):
        record = json.loads(path.read_text())
        assert set(record["measures"]["test"]) == {"MAP@100", "nDCG@10", "Recall@100"}
        if record["training"]["steps"]:
            pairs = record["training"]["drawn"]["pairs"]
            assert len(set(pairs.values())) == 1, "every language has the same share"
            assert set(pairs) == set(config.data.languages)
        assert {c["document_language"] for c in record["collections"].values()} == {"en"}
    languages = list(config.data.languages)
    swept = ",".join(f"[{language}]" for language in languages)
    one_each = f"'objective=optical','languages.high=[]','languages.low={swept}','mixture.ratio=1'"
    printed = run(
        tmp_path, tmp_path / "none", "compare", "experiment=optical_paper", *SMALL[:-1], "mixture.total=28",
        "seeds=[1]", "systems=[zero_shot,optical,optical_each]",
        f"+trained.optical_each=[{one_each},'mixture.total=4']",
    )  # fmt: skip
    header = next(line for line in printed.splitlines() if line.startswith("| measure"))
    assert (
        header == f"| measure | system | {' | '.join([*config.languages.high, *config.languages.low])} | mean |"
    )
    folder = tmp_path / "multirun" / "optical_paper"
    runs = json.loads((folder / "comparison" / "systems.json").read_text())["systems"]
    assert {name: len(members) for name, members in runs.items()} == {
        "zero_shot": 1, "optical": 1, "optical_each": len(languages),
    }  # fmt: skip
    records = [json.loads((tmp_path / path / "record.json").read_text()) for path in runs["optical_each"]]
    assert [record["training"]["drawn"]["pairs"] for record in records] == [{name: 4} for name in languages]


@pytest.mark.parametrize(
    ("experiment", "runs"), [("demo", 31), ("miracl_ratio", 273), ("optical_paper", 28), ("debian_ratio", 151)]
)
def test_the_documentation_counts_the_runs_of_each_grid(experiment, runs):
    params = composed(
        experiment, *(["backbone=mbert"] if experiment == "miracl_ratio" else [])
    ).hydra.sweeper.params
    counts = {key: str(value).count(",") + 1 for key, value in params.items()}
    trained = counts["objective"] - 1
    for key, count in counts.items():
        trained *= count if key not in ("objective",) else 1
    assert trained + counts.get("backbone", 1) == runs
    assert re.search(rf"\| `{experiment}` \| {runs} \|", DOCS)


def test_the_students_of_miracl_ratio_and_english_are_the_languages_with_training_queries():
    config = composed("miracl_ratio", "backbone=mbert")
    plain = composed("demo", "languages=miracl", "data=miracl")
    for group in ("high", "low"):
        assert [one for one in plain.languages[group] if one not in ("de", "yo")] == list(
            config.languages[group]
        )
    members = {*config.languages.high, *config.languages.low}
    assert members == set(config.data.collections.languages)
    assert len(members | {"en"}) == 16


@pytest.mark.parametrize("experiment", ["miracl_ratio", "optical_paper"])
def test_the_commands_of_the_documentation_compose(experiment):
    start = DOCS.index(f"    optical-sweeps train -m experiment={experiment}")
    command = DOCS[start:].split("\n\n")[0].replace("\\\n", " ")
    launcher = composed(experiment, *shlex.split(command)[4:]).hydra.launcher
    assert launcher._target_.endswith("SlurmLauncher")
    assert re.fullmatch(r"\d+:00:00", launcher.time)
