"""Measures against pytrec_eval on the same files, and conventions where programs differ."""

import math
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.errors import UserError
from optical_sweeps.evaluation import measures as module
from optical_sweeps.evaluation.measures import Measure, evaluate, is_warm, macro_average, warm_up
from optical_sweeps.retrieval.trec_runs import RetrievalRun, read_run, write_run

NAMES = ("nDCG@10", "MAP@100", "MRR@10", "Recall@100", "nDCG@3", "MAP@2", "MRR@1", "Recall@5")
MEASURES = tuple(Measure.parse(name) for name in NAMES)
THEIRS = {"nDCG": "ndcg_cut", "MAP": "map_cut", "Recall": "recall"}


def run_of(rankings: dict[str, dict[str, float]]) -> RetrievalRun:
    ordered = [sorted(ranking.items(), key=lambda pair: (-pair[1], pair[0])) for ranking in rankings.values()]
    return RetrievalRun(
        tuple(rankings),
        tuple(tuple(document for document, _ in pairs) for pairs in ordered),
        tuple(np.array([score for _, score in pairs], np.float32) for pairs in ordered),
    )


def by_pytrec_eval(run_path, qrels_path, measure: Measure) -> dict[str, float]:
    """Values by query; queries that are not in both files are left out."""
    with run_path.open() as run_lines, qrels_path.open() as qrels_lines:
        run, qrels = pytrec_eval.parse_run(run_lines), pytrec_eval.parse_qrel(qrels_lines)
    if measure.name == "MRR":  # trec_eval's reciprocal rank takes no cutoff
        run = {q: dict(sorted(r.items(), key=lambda pair: -pair[1])[: measure.cutoff]) for q, r in run.items()}
        name, key = "recip_rank", "recip_rank"
    else:
        name = f"{THEIRS[measure.name]}.{measure.cutoff}"
        key = name.replace(".", "_")
    found = pytrec_eval.RelevanceEvaluator(qrels, {name}).evaluate(run)
    return {query: values[key] for query, values in found.items()}


DOCUMENTS = [f"d{number}" for number in range(24)]
SCORES = st.sampled_from([0.0, 0.5, 1.0]) | st.floats(-100, 100, width=32)
"""Ties are frequent."""
RUNS = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3", "q10"]),
    st.dictionaries(st.sampled_from(DOCUMENTS), SCORES, min_size=1),
)
QRELS = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3", "q11"]),
    st.dictionaries(st.sampled_from([*DOCUMENTS, "unfound"]), st.integers(-1, 4), min_size=1),
    min_size=1,
)


@settings(deadline=None, max_examples=150)
@given(RUNS, QRELS)
def test_equal_to_pytrec_eval_on_the_same_files(tmp_path_factory, rankings, qrels):
    folder = tmp_path_factory.mktemp("files")
    write_run(run_of(rankings), folder / "run.trec")
    lines = [f"{q} 0 {d} {grade}\n" for q, grades in qrels.items() for d, grade in grades.items()]
    (folder / "qrels").write_text("".join(lines))
    scores = evaluate(read_run(folder / "run.trec"), qrels, MEASURES)
    before_the_file = evaluate(run_of(rankings), qrels, MEASURES)
    for measure in MEASURES:
        theirs = by_pytrec_eval(folder / "run.trec", folder / "qrels", measure)
        expected = [theirs.get(query, 0.0) for query in scores.query_ids]
        np.testing.assert_allclose(scores.values[measure], expected, rtol=0, atol=1e-9, err_msg=str(measure))
        assert scores.mean(measure) == pytest.approx(sum(expected) / len(qrels), abs=1e-9)
        assert np.array_equal(scores.values[measure], before_the_file.values[measure])


def test_graded_gain_equals_values_computed_by_hand():
    run = run_of({"q": {"a": 3.0, "b": 2.0, "c": 1.0}})
    qrels = {"q": {"c": 3, "a": 1, "z": 2, "b": 0}}
    values = evaluate(run, qrels, MEASURES).means()
    ideal = 3 + 2 / math.log2(3) + 1 / 2
    assert values[Measure("nDCG", 10)] == pytest.approx((1 + 3 / 2) / ideal, abs=1e-12)
    assert values[Measure("MAP", 100)] == pytest.approx((1 + 2 / 3) / 3, abs=1e-12)
    assert values[Measure("MRR", 10)] == 1
    assert values[Measure("Recall", 100)] == pytest.approx(2 / 3, abs=1e-12)


def test_every_query_of_the_qrels_counts_and_no_other():
    run = run_of({"answered": {"a": 1.0}, "unjudged": {"a": 1.0}, "nothing relevant": {"a": 1.0}})
    qrels = {"answered": {"a": 1}, "missing": {"a": 1}, "nothing relevant": {"a": 0}, "empty": {}}
    scores = evaluate(run, qrels, MEASURES)
    assert scores.query_ids == ("answered", "empty", "missing", "nothing relevant")
    for measure in MEASURES:
        assert scores.values[measure].tolist() == [1, 0, 0, 0]
        assert scores.mean(measure) == 0.25


def test_an_empty_run_counts_0():
    scores = evaluate(RetrievalRun((), (), ()), {"q": {"a": 1}}, MEASURES)
    assert set(scores.means().values()) == {0.0}


def test_qrels_without_a_query_are_refused():
    with pytest.raises(ValueError, match="no query"):
        evaluate(RetrievalRun((), (), ()), {}, MEASURES)


@settings(deadline=None, max_examples=40)
@given(RUNS, QRELS, st.integers(1, 3))
def test_the_chunk_size_has_no_effect(rankings, qrels, chunk):
    whole = evaluate(run_of(rankings), qrels, MEASURES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", chunk)
        pieces = evaluate(run_of(rankings), qrels, MEASURES)
    assert all(np.array_equal(whole.values[measure], pieces.values[measure]) for measure in MEASURES)


@settings(deadline=None, max_examples=40)
@given(RUNS, QRELS, st.permutations(DOCUMENTS))
def test_tied_documents_are_ordered_by_id_and_not_by_insertion(rankings, qrels, order):
    shuffled = {q: {d: ranking[d] for d in order if d in ranking} for q, ranking in rankings.items()}
    one, other = evaluate(run_of(rankings), qrels, MEASURES), evaluate(run_of(shuffled), qrels, MEASURES)
    assert all(np.array_equal(one.values[measure], other.values[measure]) for measure in MEASURES)


def test_threads_enter_the_kernels_one_at_a_time():
    """numba's thread layer aborts the process if two threads enter it."""
    run, qrels = (
        run_of({f"q{n}": {"a": 2.0, "b": 1.0} for n in range(600)}),
        {f"q{n}": {"b": 1} for n in range(600)},
    )
    found: list[float] = []
    mrr = Measure("MRR", 10)

    def work() -> None:
        found.extend(evaluate(run, qrels, [mrr]).mean(mrr) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [0.5] * 20


@given(st.sampled_from(["nDCG", "MAP", "MRR", "Recall"]), st.integers(1, 10_000))
def test_a_measure_prints_as_it_is_written(name, cutoff):
    assert Measure.parse(f"{name}@{cutoff}") == Measure(name, cutoff)
    assert str(Measure.parse(f"{name}@{cutoff}")) == f"{name}@{cutoff}"


@pytest.mark.parametrize(
    "text",
    ["nDCG", "ndcg@10", "nDCG@0", "nDCG@-1", "nDCG@010", "P@10", "nDCG@ten", "", " nDCG@10", "nDCG@10\n"],
)
def test_an_unknown_measure_is_refused_with_the_list_of_measures(text):
    with pytest.raises(UserError, match=r"evaluation\.measures: .*nDCG@k, MAP@k, MRR@k, Recall@k") as error:
        Measure.parse(text)
    assert "\n" not in str(error.value)


def test_groups_are_means_of_languages():
    ndcg, recall = Measure("nDCG", 10), Measure("Recall", 100)
    by_language = {
        "de": {ndcg: 0.6, recall: 1.0},
        "ar": {ndcg: 0.2, recall: 0.5},
        "fa": {ndcg: 0.4, recall: 0.0},
    }
    groups = {"high": ("de",), "low": ("ar", "fa"), "all": ("de", "ar", "fa")}
    means = macro_average(by_language, groups)
    assert {group: values[ndcg] for group, values in means.items()} == pytest.approx(
        {"high": 0.6, "low": 0.3, "all": 0.4}
    )
    assert means["low"][recall] == 0.25


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"low": ("ar", "yo")}, "group 'low': yo not evaluated; the languages are de, ar"),
        ({"ar": ("de",)}, "group 'ar': a language has that name"),
        ({"low": ()}, "group 'low': it has no language"),
    ],
)
def test_bad_groups_are_refused(groups, message):
    ndcg = Measure("nDCG", 10)
    with pytest.raises(UserError, match=message):
        macro_average({"de": {ndcg: 0.6}, "ar": {ndcg: 0.2}}, groups)


def test_warm_up_reports_its_progress_and_persists():
    told: list[tuple[int, int]] = []
    assert warm_up(lambda done, total: told.append((done, total))) > 0
    assert told == [(done, 4) for done in range(5)]
    assert is_warm()


def test_kernels_compiled_by_one_process_are_loaded_by_the_next():
    """After this process has warmed up, another one loads everything from the cache."""
    warm_up()
    code = (
        "import ranx.metrics as m\n"
        "from optical_sweeps.evaluation.measures import is_warm, warm_up\n"
        "assert is_warm(); warm_up()\n"
        "for name in ('ndcg', 'average_precision', 'reciprocal_rank', 'recall'):\n"
        "    stats = getattr(m, name).__globals__[f'_{name}_parallel'].stats\n"
        "    assert stats.cache_hits and not stats.cache_misses, (name, stats)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("function", ["warm_up", "check_cache_folder"])
def test_a_missing_cache_folder_is_refused_in_one_line(function):
    code = (
        "import sys\n"
        "from optical_sweeps.errors import UserError\n"
        f"from optical_sweeps.evaluation.measures import {function}\n"
        f"try:\n    {function}()\n"
        "except UserError as error:\n    print(error)\n"
        "assert 'ranx.metrics' not in sys.modules\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment["NUMBA_CACHE_LOCATOR_CLASSES"] = "UserProvidedCacheLocator"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "set NUMBA_CACHE_DIR" in done.stdout, done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_the_check_of_the_cache_folder_agrees_with_ranx(tmp_path):
    """A folder that NUMBA_CACHE_DIR names is enough, and the check compiles nothing into it."""
    code = "from optical_sweeps.evaluation.measures import check_cache_folder; check_cache_folder()"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    environment["NUMBA_CACHE_LOCATOR_CLASSES"] = "UserProvidedCacheLocator"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
