"""The recipe of question 2 runs end to end on miniature files in TyDi QA's layout."""

import json
import re
from pathlib import Path

import pytest

from optical_sweeps.corpora.builders.tydi_qa import LANGUAGES
from optical_sweeps.corpora.perturbations import KINDS
from optical_sweeps.curves.tables.result_tables import language_groups, per_query_table, result_table
from optical_sweeps.curves.tables.robustness_tables import robustness_summary, robustness_table
from optical_sweeps.tracking.records import read_records
from tests.support.provider_files import put_gzip
from tests.support.recipes import SMALL, bitext, composed, run

EXPERIMENT = "tydiqa_robustness"


def squad(language: str, name: str, split: str) -> dict:
    """Gold passages of one language in SQuAD's layout, with questions of several words."""
    texts = [line.split("\t")[1] for line in bitext(language, 8).splitlines()]
    paragraphs = [
        {
            "context": f"{text}. {text[::-1]}",
            "qas": [
                {
                    "id": f"{name}-{split}-{number}",
                    "question": f"{text} é {number}?",
                    "answers": [{"text": text, "answer_start": 0}],
                }
            ],
        }
        for number, text in enumerate(texts)
    ]
    return {"title": f"{language} {split}", "paragraphs": paragraphs}


def tydi_files(folder: Path, languages: list[str]) -> None:
    names = {code: name for name, code in LANGUAGES.items()}
    folder.mkdir(parents=True)
    for split in ("train", "dev"):
        data = {"version": "TyDiQA-GoldP-1.1", "data": [squad(code, names[code], split) for code in languages]}
        (folder / f"tydiqa-goldp-v1.1-{split}.json").write_text(json.dumps(data, ensure_ascii=False))


def test_the_recipe(provider_home, tmp_path):
    config = composed(EXPERIMENT)
    languages = [*config.languages.high, *config.languages.low]
    tydi_files(tmp_path / "data" / "tydiqa", languages)
    for language in languages:
        pair = "-".join(sorted((language, "en")))
        put_gzip(tmp_path / "data" / "bitext" / f"{pair}.tsv.gz", bitext(language))
    output = run(
        tmp_path, provider_home, "train", "-m", f"experiment={EXPERIMENT}", *SMALL,
        "data.teacher_pairs.complete=false", "objective=optical,contrastive,none", "mixture.ratio=1",
        "mixture.total=16", "logger=wandb", "logger.mode=offline",
    )  # fmt: skip
    sweep = tmp_path / "multirun" / EXPERIMENT
    assert f"3 done in multirun/{EXPERIMENT}" in output
    assert " FAIL" not in run(tmp_path, provider_home, "verify", str(sweep))
    runs = read_records(sweep)
    labels = list(config.evaluation.perturbations)
    frame = robustness_table(
        result_table(runs),
        per_query_table(runs, splits=["test", *(f"test+{label}" for label in labels)]),
        language_groups(runs),
    )
    found = {f"{row.perturbation}@{row.level:g}" for row in frame.itertuples()}
    assert found == set(labels)
    assert {label.split("@")[0] for label in labels} == set(KINDS)
    assert set(frame["slice"]) == {*languages, "group:high", "group:low", "group:all"}
    assert set(frame["objective"]) == {"optical", "contrastive", "none"}
    assert frame[frame["measure"] == "nDCG@10"]["error"].notna().all()
    assert len(robustness_summary(frame)) == 3 * 12 * len(config.evaluation.measures)
    record = json.loads(next(sweep.glob("*/record.json")).read_text())
    assert record["changed"]["test+typing@0.2"].keys() == set(languages)
    assert record["changed"]["test+diacritics@1"]["fi"] == 1.0  # every question has an é
    output = run(tmp_path, provider_home, "figures", f"multirun/{EXPERIMENT}", "replicates=20", "draws=100",
               "widths={column: 3.03}", "fits=false")  # fmt: skip
    assert "robustness-column.pdf" in output
    assert "robustness-table.tex" in output


def test_without_bitext_it_is_refused_before_work(provider_home, tmp_path):
    config = composed(EXPERIMENT)
    tydi_files(tmp_path / "data" / "tydiqa", [*config.languages.high, *config.languages.low])
    with pytest.raises(AssertionError) as failed:
        run(
            tmp_path, provider_home, "train", f"experiment={EXPERIMENT}", *SMALL, "data.bitexts.sources=[]",
            "data.teacher_pairs.complete=false", "mixture.ratio=1", "mixture.total=16",
        )  # fmt: skip
    assert "bitext" in str(failed.value)
    assert "Traceback" not in str(failed.value)
    assert not (tmp_path / "artifacts").exists() or not list((tmp_path / "artifacts").glob("teacher/*"))


def test_the_documentation_counts_the_runs_and_names_every_perturbation():
    config = composed(EXPERIMENT)
    params = config.hydra.sweeper.params
    ratios, seeds = (str(params[key]).count(",") + 1 for key in ("mixture.ratio", "seed"))
    text = (Path(__file__).parents[2] / "docs" / "howto" / "robustness.md").read_text()
    assert re.search(rf"\*\*{2 * ratios * seeds + 1} runs\*\*", text)
    assert all(f"`{kind}`" in text for kind in KINDS)
    assert f"{len(config.evaluation.perturbations)} perturbations" in text
