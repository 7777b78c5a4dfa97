"""`compare` as a user calls it: what it refuses, its table, and that a second call costs little."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from optical_sweeps.comparison.trained_systems import overrides_of_run
from optical_sweeps.evaluation.measures import Measure, evaluate
from optical_sweeps.retrieval.trec_runs import read_run
from optical_sweeps.runs.spec.corpus_section import corpus_of

CALL = ("compare", "--config-dir", "studies", "experiment=small", "logger.mode=disabled")
SYSTEMS = "systems=[bm25_human,bm25_untranslated,psq,zero_shot,code_switched,optical]"
LANGUAGES = ("near", "shifted", "fusing", "distant")


@pytest.fixture(scope="module")
def compared(study, here):
    """The study's folder with a comparison in it, and what it printed."""
    from optical_sweeps.sweeps.hydra_app import hydra_app

    human = study / "human"
    human.mkdir()
    with hydra_app("train", str(study / "studies"), ["experiment=small"]) as app:
        from omegaconf import OmegaConf

        data = OmegaConf.to_container(app.master.data, resolve=True)
    corpus = corpus_of(data)
    for language in LANGUAGES:
        collection = corpus.collection(language, "test")
        places = {name: place for place, name in enumerate(collection.documents.ids)}
        with (human / f"{language}.tsv").open("w", encoding="utf-8") as file:
            for query, grades in collection.qrels.items():
                best = max(grades, key=lambda name: grades[name])
                file.write(f"{query}\t{collection.documents.texts[places[best]]}\n")
    done = here(study, *CALL, SYSTEMS, "human_queries='human/{language}.tsv'", "seeds=[1,2]")
    assert done.code == 0, done.err
    return study, done, corpus


def rows(folder: Path) -> dict[tuple[str, str, str], float]:
    with (folder / "multirun/small/comparison/systems.csv").open(encoding="utf-8") as file:
        return {(r["measure"], r["system"], r["language"]): float(r["value"]) for r in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("systems=[bm25_human,optical]", "human_queries: null"),
        ("systems=[bm25_machine]", "translator: null"),
        ("systems=[bm26]", "systems: 'bm26' is not one of bm25_human"),
        ("systems=[]", "systems: empty"),
        ("reference=psq systems=[optical]", "reference: 'psq' is not one of optical"),
        ("measures=[nDCG@7]", "measures: 'nDCG@7' is not one of"),
        ("seeds=[1,1]", "seeds: [1, 1] is not a list of distinct seeds"),
        ("psq.queries.size=0", "psq.queries.size: 0"),
        ("systems=[optical] +trained.psq=['objective=mse']", "trained: psq is the name of a baseline"),
        ("systems=[zero_shot,optical] mixture.total=100000", "mixture.total"),
        ("systems=[bm25_human] human_queries='none/{language}.tsv'", "/none/near.tsv; name files"),
        ("systems=[bm25_human] human_queries=titles", "does not know titles"),
        ("systems=[optical] seed=x mixture.seed=1 training.batch_size=0", "training.batch_size"),
    ],
)
def test_what_cannot_run_is_refused_before_any_work(study, here, tmp_path, override, said):
    outputs = (f"paths.sweeps={tmp_path}/sweeps", f"paths.artifacts={tmp_path}/artifacts")
    done = here(study, *CALL, *outputs, *override.split())
    assert done.code == 1
    assert said in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_the_table_holds_what_run_files_give(compared):
    study, _, corpus = compared
    table = rows(study)
    content = json.loads((study / "multirun/small/comparison/systems.json").read_text())
    assert list(content["systems"]) == SYSTEMS.removeprefix("systems=[").rstrip("]").split(",")
    assert [len(of) for of in content["systems"].values()] == [1, 1, 1, 1, 2, 2]
    measures = [Measure.parse("nDCG@10"), Measure.parse("MAP@100")]
    for system, folders in content["systems"].items():
        for measure in measures:
            means = []
            for language in LANGUAGES:
                qrels = corpus.collection(language, "test").qrels
                runs = [read_run(study / folder / f"runs/test.{language}.trec.gz") for folder in folders]
                means.append(np.mean([evaluate(run, qrels, [measure]).mean(measure) for run in runs]))
                assert table[str(measure), system, language] == pytest.approx(means[-1])
            assert table[str(measure), system, "mean"] == pytest.approx(np.mean(means))
    assert table["nDCG@10", "bm25_human", "mean"] > 0.9
    assert table["nDCG@10", "bm25_human", "mean"] > table["nDCG@10", "bm25_untranslated", "mean"]
    assert table["nDCG@10", "psq", "near"] > table["nDCG@10", "bm25_untranslated", "near"]


def test_the_table_is_printed_and_written_in_three_formats(compared):
    study, done, _ = compared
    folder = study / "multirun/small/comparison"
    assert {path.name for path in folder.iterdir()} == {
        f"systems.{end}" for end in ("md", "tex", "csv", "json")
    }
    printed = (folder / "systems.md").read_text(encoding="utf-8")
    assert printed.splitlines()[2] in done.lines
    assert printed.splitlines()[0] == "| measure | system | near | shifted | fusing | distant | mean |"


def test_a_second_call_does_nothing_again(compared, here):
    study, _, _ = compared
    folder = study / "multirun/small/comparison"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    made = sorted(path for path in (study / "artifacts").glob("*/*/manifest.json"))
    stamps = [path.stat().st_mtime_ns for path in (*made, *sorted(study.glob("multirun/small/*/record.json")))]
    again = here(study, *CALL, SYSTEMS, "human_queries='human/{language}.tsv'", "seeds=[1,2]")
    assert again.code == 0
    assert "built" not in again.out
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert sorted((study / "artifacts").glob("*/*/manifest.json")) == made
    after = [path.stat().st_mtime_ns for path in (*made, *sorted(study.glob("multirun/small/*/record.json")))]
    assert after == stamps


def test_trained_systems_are_runs_of_the_sweep(compared, here):
    study, _, _ = compared
    status = here(study, "sweep", "status", "multirun/small")
    assert "5 done" in status.out
    content = json.loads((study / "multirun/small/comparison/systems.json").read_text())
    trained = {run for name in ("zero_shot", "code_switched", "optical") for run in content["systems"][name]}
    assert len(trained) == 5
    switched = json.loads((study / content["systems"]["code_switched"][0] / "record.json").read_text())
    assert switched["config"]["training"]["code_switching"]["share"] == 0.5


def test_structured_queries_are_searched_again_when_their_settings_change(compared, here):
    study, _, _ = compared
    done = here(study, *CALL, "systems=[psq]", "psq.queries.size=1", "output=other")
    assert done.code == 0, done.err
    content = json.loads((study / "other/systems.json").read_text())
    (folder,) = content["systems"]["psq"]
    assert json.loads((study / folder / "system.json").read_text())["key"]["structured"]["size"] == 1
    assert len(list((study / "artifacts").glob("translations/*/manifest.json"))) == len(LANGUAGES)


def test_overrides_of_a_comparison_are_not_those_of_its_runs():
    asked = [
        "experiment=small", "systems=[psq]", "objective=mse", "translator=nllb", "+trained.x=['seed=3']",
        "transport@psq.alignment.solver=sinkhorn", "training.epochs=2", "seed=7", "psq.queries.size=3",
    ]  # fmt: skip
    kept = overrides_of_run(asked, ["objective=optical", "seed=1"])
    assert kept == ["experiment=small", "training.epochs=2"]
