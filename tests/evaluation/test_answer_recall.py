"""Recall by answer string within a budget of tokens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.corpora.collections import Documents
from optical_sweeps.evaluation.answer_recall import answer_recall, words
from optical_sweeps.retrieval.trec_runs import RetrievalRun

TEXTS = ("Tokyo is the capital of Japan.", "Moscow was founded in 1147.", "It has 5,000 people.")
DOCUMENTS = Documents("en", ("d1", "d2", "d3"), TEXTS)


def run_of(**rankings) -> RetrievalRun:
    scores = tuple(np.linspace(1, 0, len(ranking), dtype=np.float32) for ranking in rankings.values())
    return RetrievalRun(tuple(rankings), tuple(map(tuple, rankings.values())), scores)


def test_an_answer_counts_if_it_is_within_the_budget():
    run = run_of(q1=["d1", "d2"], q2=["d3", "d1"], q3=["d2"])
    answers = {"q1": ["1147"], "q2": ["5,000 people", "x"], "q3": ["capital of Japan"], "q4": ["Tokyo"]}
    queries, values = answer_recall(run, DOCUMENTS, answers, budgets=(4, 12, 5000))
    assert queries == ("q1", "q2", "q3", "q4")
    assert {budget: own.tolist() for budget, own in values.items()} == {
        4: [0, 1, 0, 0],  # d1 has 7 tokens, so that 1147 is the 12th
        12: [1, 1, 0, 0],
        5000: [1, 1, 0, 0],
    }


def test_yes_and_no_are_ignored_and_case_matters():
    run = run_of(q1=["d1"], q2=["d1"])
    queries, values = answer_recall(run, DOCUMENTS, {"q1": ["yes", "tokyo"], "q2": ["no"]}, [2000])
    assert (queries, values[2000].tolist()) == (("q1",), [0.0])


@pytest.mark.parametrize("blank", ["", " ", "\u3000"])
def test_a_blank_answer_is_ignored(blank):
    run = run_of(q1=["d1"], q2=["d1"])
    queries, values = answer_recall(run, DOCUMENTS, {"q1": [blank, "Moscow"], "q2": [blank]}, [2000])
    assert (queries, values[2000].tolist()) == (("q1",), [0.0])


def test_bad_input_is_refused():
    run = run_of(q1=["d9"])
    with pytest.raises(ValueError, match="passage 'd9' is ranked but not among"):
        answer_recall(run, DOCUMENTS, {"q1": ["x"]}, [2000])
    with pytest.raises(ValueError, match="no query has an answer"):
        answer_recall(run, DOCUMENTS, {"q1": ["yes"]}, [2000])
    with pytest.raises(ValueError, match="budgets of tokens"):
        answer_recall(run, DOCUMENTS, {"q1": ["x"]}, budgets=(0,))


@given(
    st.lists(st.sampled_from(["d1", "d2", "d3"]), unique=True),
    st.sampled_from(["Japan", "1147", "people", "none"]),
)
def test_larger_budgets_and_deeper_rankings_never_lose_an_answer(ranking, answer):
    hits = []
    for depth in range(len(ranking) + 1):
        _, values = answer_recall(run_of(q=ranking[:depth]), DOCUMENTS, {"q": [answer]}, budgets=(3, 9, 100))
        own = [values[budget][0] for budget in (3, 9, 100)]
        assert own == sorted(own)
        hits.append(own[-1])
    assert hits == sorted(hits)


@given(st.text())
def test_no_letter_is_lost_between_tokens(text):
    assert "".join(words(text)) == "".join(text.split())
