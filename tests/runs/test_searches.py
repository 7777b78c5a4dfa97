"""`evaluation.search` in whole runs: exact, rerank and pruned; record, files, shared parts and refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval

from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.evaluation_settings import EvaluationSettings
from optical_sweeps.evaluation.measures import check_cache_folder
from optical_sweeps.interruption import Interruption
from optical_sweeps.retrieval.search_settings import ExactSearch, PrunedSearch, RerankSearch
from optical_sweeps.retrieval.trec_runs import read_run
from optical_sweeps.runs.distillation.retrieval_run import RetrievalRun
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.runs.shared.collection_search import PruningPrice
from tests.support.configs import compose

STUDY = """
data=synthetic languages=synthetic backbone=tiny objective=none logger=disabled sweep.name=small
data.lexicon_size=120 data.topics=40 data.documents_per_topic=2 languages.high=[near] languages.low=[shifted]
++data.daughters.near.pairs=80 ++data.daughters.shifted.pairs=80 ++data.daughters.inverted.pairs=80
++data.daughters.fusing.pairs=80 ++data.daughters.splitting.pairs=80 ++data.daughters.distant.pairs=80
backbone.layers=1 backbone.hidden_size=32 backbone.vocabulary_size=500 encoder.dim=16
teacher.training.epochs=2 teacher.training.learning_rate=1e-3 machine.threads=1
evaluation.depth=20 evaluation.measures=[nDCG@10,MAP@20,MRR@10,Recall@20]
"""
RERANK = ("search@evaluation.search=rerank", "evaluation.search.candidates=30")
PRUNED = ("search@evaluation.search=pruned", "evaluation.search.candidates=30", "evaluation.search.max_loss=1")
MODES = {
    "exact": (),
    "rerank teacher": RERANK,
    "rerank psq": (*RERANK, "evaluation.search.first_stage=psq"),
    "pruned": (*PRUNED, "search@evaluation.dev_search=exact"),
}
SPELT = {"nDCG@10": "ndcg_cut_10", "MAP@20": "map_cut_20", "Recall@20": "recall_20"}


def run_of(*overrides: str) -> RetrievalRun:
    return RetrievalRun(resolved(compose("train", *STUDY.split(), *overrides)))


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> dict[str, tuple[Path, dict]]:
    """A zero-shot run of each mode, in one sweep with one store: its folder and record."""
    check_cache_folder()
    folder = tmp_path_factory.mktemp("searches")
    done = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, overrides in MODES.items():
            run = run_of(*overrides)
            assert run.perform(RunFolder(run.folder))
            done[name] = (folder / run.folder, RunFolder(run.folder).record())
    return done


def ranking(folder: Path, split: str, language: str):
    return read_run(folder / "runs" / f"{split}.{language}.trec.gz")


@pytest.mark.parametrize("mode", MODES)
def test_pytrec_eval_gives_the_same_measures_from_the_run_files(records, mode):
    folder, record = records[mode]
    corpus = run_of().spec.corpus
    for language in ("near", "shifted"):
        collection = corpus.collection(language, "test")
        run = ranking(folder, "test", language)
        scores = {
            query: dict(zip(documents, map(float, values), strict=True))
            for query, documents, values in zip(run.query_ids, run.documents, run.scores, strict=True)
        }
        qrels = {query: dict(grades) for query, grades in collection.qrels.items()}
        evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "map_cut.20", "recall.20"})
        theirs = evaluator.evaluate(scores)
        for measure, name in SPELT.items():
            mean = sum(theirs.get(query, {}).get(name, 0.0) for query in qrels) / len(qrels)
            assert record["measures"]["test"][measure][language] == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("mode", ["rerank teacher", "rerank psq", "pruned"])
def test_documents_have_their_exact_scores(records, mode):
    """Of documents among the exact best; run files lower ties by one step."""
    for language in ("near", "shifted"):
        exact, other = (ranking(records[name][0], "test", language) for name in ("exact", mode))
        row_of = {query: row for row, query in enumerate(exact.query_ids)}
        for query, documents, scores in zip(other.query_ids, other.documents, other.scores, strict=True):
            row = row_of[query]
            score_of = dict(zip(exact.documents[row], exact.scores[row], strict=True))
            for document, score in zip(documents, scores, strict=True):
                if document in score_of:
                    assert abs(score - score_of[document]) <= 32 * np.spacing(score)


def test_a_zero_shot_student_reranks_its_teachers_candidates_as_exact_search_does(records):
    exact, rerank = records["exact"], records["rerank teacher"]
    assert exact[1]["measures"] == rerank[1]["measures"]
    assert ranking(exact[0], "test", "near").documents == ranking(rerank[0], "test", "near").documents


def test_the_record_says_how_and_at_what_price(records):
    assert records["exact"][1]["search"] == {"dev": {"how": "exact"}, "test": {"how": "exact"}}
    psq = records["rerank psq"][1]
    assert psq["search"]["test"]["how"] == psq["search"]["dev"]["how"] == "rerank 30 of psq"
    pruned = records["pruned"][1]["search"]
    assert pruned["dev"] == {"how": "exact"}
    assert pruned["test"]["how"] == "pruned (128 probes, 30 candidates)"
    price = pruned["test"]["price"]
    assert 0 < price["kept"] <= 1
    assert price["loss_interval"][0] <= price["loss"] <= price["loss_interval"][1]
    assert set(price["losses"]) == {"near", "shifted"}
    differences = [records[mode][1]["measures"]["dev"]["nDCG@10"]["group:all"] for mode in ("exact", "pruned")]
    assert differences[0] == differences[1]  # dev was searched exactly


def test_what_runs_share_is_built_once(records):
    store = records["exact"][0].parents[2] / "artifacts"
    kinds = ("index", "pruned_index", "pruning_price", "candidates")
    entries = {kind: len(list((store / kind).glob("*/manifest.json"))) for kind in kinds}
    # 2 languages x 2 splits x 2 first stages
    assert entries == {"index": 1, "pruned_index": 1, "pruning_price": 1, "candidates": 8}
    first = records["pruned"][1]["shared"]["built"]
    assert "pruned_index" in first
    assert "index" not in first


def test_searches_are_part_of_the_identity(records):
    assert len({folder.name for folder, _ in records.values()}) == len(MODES)
    assert run_of(*PRUNED).id == run_of(*PRUNED, "evaluation.search.price_queries=7").id
    assert run_of(*PRUNED).id != run_of(*PRUNED, "evaluation.search.probes=7").id


def test_a_run_file_counts_by_its_content_and_has_to_fit(records, tmp_path, monkeypatch):
    folder = records["exact"][0]
    monkeypatch.chdir(records["exact"][0].parents[2])
    files = [*RERANK, "evaluation.search.first_stage=run_files"]
    of_run = run_of(*files, f"evaluation.search.run_files='{folder}/runs/{{split}}.{{language}}.trec.gz'")
    of_run.check()
    assert of_run.perform(RunFolder(tmp_path / of_run.id))
    record = RunFolder(tmp_path / of_run.id).record()
    assert record["measures"]["test"] == records["exact"][1]["measures"]["test"]
    for split in ("dev", "test"):
        for language in ("near", "shifted"):
            (tmp_path / f"{split}.{language}").write_text("q Q0 d 1 1.0 x\n")
    other = run_of(*files, f"evaluation.search.run_files='{tmp_path}/{{split}}.{{language}}'")
    assert other.id != of_run.id
    with pytest.raises(UserError, match="it ranks none of the dev queries of near"):
        other.prepare(Interruption())
    with pytest.raises(UserError, match=r"run_files: there is no file .*none"):
        run_of(*files, "evaluation.search.run_files='none/{split}.{language}'").check()


def test_a_loss_above_the_bound_is_refused_before_any_training():
    price = PruningPrice.of({"a": np.array([0.5, 1.0])}, {"a": np.array([0.0, 0.04])})
    price.refuse_above(0.02, "evaluation.search")
    with pytest.raises(UserError, match=r"evaluation.search.max_loss: .*loses 0\.0200.*more than 0\.01"):
        price.refuse_above(0.01, "evaluation.search")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("search@evaluation.search=pruned", "evaluation.search.candidates=5"), "5, but depth keeps"),
        ((*RERANK, "evaluation.search.first_stage=bm25_human"), "search.human_queries: null, but"),
        ((*RERANK, "evaluation.search.first_stage=bm25_machine"), "search.translator: null, but"),
        ((*RERANK, "evaluation.search.first_stage=run_files"), "search.run_files: null, but"),
        ((*RERANK, "evaluation.perturbations=[typing@0.1]"), "perturbations: the candidates of a first stage"),
        ((*RERANK, "evaluation.search.first_stage=colbert"), "search.first_stage: 'colbert' is not one of"),
        (("evaluation.search=pruned",), "search: 'pruned' is not a search"),
    ],
)  # fmt: skip
def test_bad_searches_are_refused(overrides, message):
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        run_of(*overrides)


def test_dev_is_searched_as_test_unless_it_differs():
    one = EvaluationSettings(search=PrunedSearch())
    assert one.search_of("dev") == one.search_of("test") == PrunedSearch()
    two = EvaluationSettings(search=ExactSearch(), dev_search=RerankSearch())
    assert two.searches == {"dev": RerankSearch(), "test": ExactSearch()}


def test_the_facts_of_a_price_survive_json():
    price = PruningPrice.of({"a": np.array([1.0])}, {"a": np.array([0.0])})
    assert json.loads(json.dumps(price.losses)) == {"a": 0.0}
    assert price.loss_interval == (0.0, 0.0)
