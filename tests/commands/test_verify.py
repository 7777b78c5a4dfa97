"""`verify` recomputes scores from run files and judgements, and reports every difference."""

import gzip
import json
import math

import pytest
import yaml

from optical_sweeps.evaluation.measures import Measure, evaluate
from optical_sweeps.report.rederived import verdict
from optical_sweeps.retrieval.trec_runs import RetrievalRun, write_run
from optical_sweeps.runs.distillation.search_and_evaluate import EvaluationResult, write_per_query
from optical_sweeps.runs.spec.corpus_section import corpus_content, corpus_of
from optical_sweeps.sweeps.grid import Grid, GridPoint
from tests.support.command_line import call

LANGUAGES = {"high": ["de"], "low": ["ar", "ko"]}
EVERYONE = [*LANGUAGES["high"], *LANGUAGES["low"]]
DATA = {
    "_target_": "optical_sweeps.corpora.builders.emoji.EmojiCorpus",
    "languages": ["ar", "de", "ko"],
    "dev_fraction": 0.1,
    "test_fraction": 0.1,
    "split_seed": 0,
}
MEASURES = ("nDCG@10", "MRR@10")


@pytest.fixture
def sweep(tmp_path):
    """One run whose rankings are the first documents, rotated by the query's number."""
    import numpy as np

    from optical_sweeps.evaluation.measures import macro_average

    folder = tmp_path / "zero"
    corpus, rankings, scores = corpus_of(DATA), {}, {}
    for language in EVERYONE:
        collection = corpus.collection(language, "test")
        relevant = [next(iter(collection.qrels[query])) for query in collection.queries.ids]
        first = collection.documents.ids[:12]
        documents = tuple(
            tuple(dict.fromkeys((*first[: n % 7], document, *first)))[:10]
            for n, document in enumerate(relevant)
        )
        levels = tuple(np.arange(len(each), 0, -1, dtype=np.float32) for each in documents)
        rankings[language] = RetrievalRun(collection.queries.ids, documents, levels)
        scores[language] = evaluate(rankings[language], collection.qrels, map(Measure.parse, MEASURES))
        write_run(rankings[language], folder / "runs" / f"test.{language}.trec.gz")
    groups = {**LANGUAGES, "all": EVERYONE}
    means = {language: values.means() for language, values in scores.items()}
    means |= macro_average(means, {f"group:{name}": members for name, members in groups.items()})
    measured = EvaluationResult("test", rankings, scores, means)
    write_per_query(folder / "per_query.parquet", measured)
    record = {
        "schema": 1, "id": "zero", "label": "none (zero-shot)", "measures": {"test": measured.nested()},
        "facts": {"corpus": corpus_content(DATA)},
        "config": {"data": DATA, "languages": LANGUAGES, "evaluation": {"measures": list(MEASURES)}, "seed": 1},
    }  # fmt: skip
    (folder / "record.json").write_text(json.dumps(record))
    Grid(tmp_path, (GridPoint(("objective=none",), "zero", "none (zero-shot)"),)).save()
    return tmp_path


def _verify(capsys, *arguments) -> tuple[int, dict]:
    code = 0
    try:
        call("verify", *map(str, arguments), "--json")
    except SystemExit as leave:
        code = leave.code
    return code, json.loads(capsys.readouterr().out)


def _alter(sweep, by: float) -> None:
    path = sweep / "zero" / "record.json"
    record = json.loads(path.read_text())
    record["measures"]["test"]["nDCG@10"]["ar"] += by
    path.write_text(json.dumps(record))


def test_an_unchanged_sweep_is_ok(sweep, capsys):
    code, facts = _verify(capsys, sweep)
    assert code == 0
    assert facts["counts"] == {"OK": 2 * 6 + 2 * 3}


@pytest.mark.parametrize(("by", "verdict", "code"), [(1e-12, "OK", 0), (5e-5, "close", 0), (0.01, "FAIL", 1)])
def test_a_changed_record(sweep, capsys, by, verdict, code):
    _alter(sweep, by)
    exit_code, facts = _verify(capsys, sweep)
    (cell,) = (c for c in facts["cells"] if (c["score"], c["beside"]) == ("test/nDCG@10/ar", "record"))
    assert (exit_code, cell["verdict"]) == (code, verdict)


def test_a_changed_run_file_fails(sweep, capsys):
    path = sweep / "zero" / "runs" / "test.ko.trec.gz"
    with gzip.open(path, "rt") as file:
        lines = file.readlines()
    with gzip.open(path, "wt") as file:
        file.writelines(lines[len(lines) // 2 :])
    code, facts = _verify(capsys, sweep)
    failed = {c["score"] for c in facts["cells"] if c["verdict"] == "FAIL"}
    assert code == 1
    assert "test/nDCG@10/ko" in failed
    assert "test/nDCG@10/group:low" in failed
    assert "test/nDCG@10/de" not in failed


@pytest.mark.parametrize("name", ["runs/test.de.trec.gz", "record.json"])
def test_a_missing_file_fails(sweep, capsys, name):
    (sweep / "zero" / name).unlink()
    code, facts = _verify(capsys, sweep)
    assert (code, facts["counts"]) == (1, {"FAIL": 1})
    assert facts["cells"][0]["note"]


def test_a_changed_corpus_fails(sweep, capsys):
    path = sweep / "zero" / "record.json"
    path.write_text(path.read_text().replace('"corpus": "', '"corpus": "0'))
    code, facts = _verify(capsys, sweep)
    assert code == 1
    assert "corpus has changed" in facts["cells"][0]["note"]


def test_expected_scores(sweep, capsys):
    record = json.loads((sweep / "zero" / "record.json").read_text())
    score = record["measures"]["test"]["nDCG@10"]["group:low"]
    file = sweep / "expected.yaml"
    for off, code in ((0.005, 0), (0.02, 0), (0.2, 1)):
        entry = {
            "where": {"objective": "none"},
            "tolerance": "near",
            "scores": {"test/nDCG@10/group:low": score + off},
        }
        file.write_text(yaml.safe_dump({"tolerances": {"near": {"ok": 0.01, "close": 0.03}}, "runs": [entry]}))
        assert _verify(capsys, sweep, "--expected", file)[0] == code


def test_the_table_lists_the_scores_that_fail(sweep, capsys):
    _alter(sweep, 0.01)
    with pytest.raises(SystemExit) as leave:
        call("verify", str(sweep))
    out = capsys.readouterr().out
    assert leave.value.code == 1
    assert "test/nDCG@10/ar" in out
    assert "1 FAIL" in out


@pytest.mark.parametrize("place", ["record", "per query"])
def test_nan_fails_wherever_it_is_stored(sweep, capsys, place):
    import pandas

    if place == "record":
        _alter(sweep, float("nan"))
    else:
        path = sweep / "zero" / "per_query.parquet"
        table = pandas.read_parquet(path)
        rows = (table["language"] == "ar") & (table["measure"] == "nDCG@10")
        table.assign(value=table["value"].mask(rows)).to_parquet(path)
    code, facts = _verify(capsys, sweep)
    failed = {(cell["score"], cell["beside"]) for cell in facts["cells"] if cell["verdict"] == "FAIL"}
    assert code == 1
    assert failed == {("test/nDCG@10/ar", place)}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (0.5, 0.5, "OK"),
        (0.5, 0.5 + 0.9e-9, "OK"),
        (0.5, 0.5 - 1.1e-9, "close"),
        (0.5, 0.5 + 0.9e-4, "close"),
        (0.5, 0.5 - 1.1e-4, "FAIL"),
        (math.nan, math.nan, "FAIL"),
        (0.5, math.nan, "FAIL"),
        (math.nan, 0.5, "FAIL"),
        (math.inf, math.inf, "FAIL"),
        (0.5, math.inf, "FAIL"),
        (None, 0.5, "FAIL"),
        (0.5, None, "FAIL"),
        (None, None, "FAIL"),
    ],
)
def test_verdicts(first, second, expected):
    assert verdict(first, second) == expected
