"""A ranking is evaluated by the judgements or by the answers of its collection."""

import numpy as np
import pytest

from optical_sweeps.corpora.collections import Collection, Documents, Queries
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.answer_recall import answer_recall
from optical_sweeps.evaluation.judging import judge
from optical_sweeps.evaluation.measures import Measure, evaluate
from optical_sweeps.retrieval.trec_runs import RetrievalRun

DOCUMENTS = Documents("en", ("d1", "d2"), ("Tokyo is a city.", "Moscow was founded in 1147."))
QUERIES = Queries("ja", ("q1", "q2"), ("どこ", "いつ"))
SCORES = np.array([1.0, 0.5], np.float32)
RUN = RetrievalRun(("q1", "q2"), (("d1", "d2"), ("d1", "d2")), (SCORES, SCORES))
ANSWERS = {"q1": ("Tokyo",), "q2": ("1147",)}


def collection(**judged) -> Collection:
    return Collection("made", "test", DOCUMENTS, QUERIES, **{"qrels": {}, **judged})


def measures(*names: str) -> list[Measure]:
    return [Measure.parse(name) for name in names]


def test_measures_by_answers():
    asked = measures("AnswerRecall@5", "AnswerRecall@5000")
    scores = judge(RUN, collection(answers=ANSWERS), asked)
    queries, values = answer_recall(RUN, DOCUMENTS, ANSWERS, (5, 5000))
    assert scores.query_ids == queries
    assert {m.cutoff: of.tolist() for m, of in scores.values.items()} == {
        k: v.tolist() for k, v in values.items()
    }
    assert list(scores.means().values()) == [0.5, 1.0]
    assert list(map(str, asked)) == ["AnswerRecall@5", "AnswerRecall@5000"]


def test_measures_by_judgements():
    qrels = {"q1": {"d2": 1}, "q2": {"d1": 2}}
    asked = measures("nDCG@10", "MRR@1")
    scores = judge(RUN, collection(qrels=qrels, answers=ANSWERS), asked)
    assert scores.means() == evaluate(RUN, qrels, asked).means()


@pytest.mark.parametrize(
    ("judged", "asked", "message"),
    [
        ({}, "nDCG@10", "made, ja: no relevance judgements for nDCG@10"),
        (
            {"answers": {"q1": ("yes",), "q2": ("no", "")}},
            "AnswerRecall@2000",
            "made, ja: every answer of test is yes, no or blank, which AnswerRecall@2000 cannot search for",
        ),
        ({"answers": ANSWERS}, "nDCG@10", "it is judged by answers: choose evaluation=answers"),
        (
            {"qrels": {"q1": {"d1": 1}}},
            "AnswerRecall@2000",
            "made, ja: no answers for AnswerRecall@2000; choose",
        ),
    ],
)
def test_missing_judgements_are_refused(judged, asked, message):
    with pytest.raises(UserError) as caught:
        judge(RUN, collection(**judged), measures(asked))
    assert message in str(caught.value)
