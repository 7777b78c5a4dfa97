"""Dev and test by each query's own hash, and samples of queries."""

import pytest

from optical_sweeps.corpora.collections import Documents
from optical_sweeps.corpora.judgements import judged_collection, sampled_queries, split_queries
from optical_sweeps.errors import UserError

QRELS = {f"q{number}": {"d": 1} for number in range(10)}


def test_a_capped_set_is_chosen_by_hash_and_not_by_the_order_of_the_file():
    """Golden decisions: another choice makes dev scores of finished runs incomparable."""
    by_hash = ["q1", "q2", "q7", "q3", "q4", "q8", "q5", "q0", "q6", "q9"]
    for count in (1, 3, 9, 10, 11):
        for order in (QRELS, dict(reversed(QRELS.items()))):
            assert list(sampled_queries(order, count)) == by_hash[:count]
    assert sampled_queries(QRELS, 3)["q7"] == {"d": 1}
    assert sampled_queries(QRELS, None) == QRELS


def test_dev_and_test_divide_the_queries_by_hash():
    """Golden decisions, as above."""
    dev = split_queries(QRELS, "dev", 0.3)
    assert sorted(dev) == ["q3", "q4", "q6"]
    assert sorted(split_queries(QRELS, "test", 0.3)) == sorted(QRELS.keys() - dev.keys())
    assert dev == split_queries(dict(reversed(QRELS.items())), "dev", 0.3)
    assert split_queries(QRELS, "dev", 0.0) == {}
    assert split_queries(QRELS, "dev", 1.0) == QRELS


DOCUMENTS = Documents("en", ("a", "b"), ("one", "two"), repeated=2)
MANY = {
    "kept": {"a": 1, "b": 0},
    "one judgement left": {"b": 2, "gone": 1},
    "no text": {"a": 1},
    "empty text": {"a": 1},
    "relevant document gone": {"gone": 1, "a": 0},
    "nothing relevant": {"a": 0},
}
TOPICS = {name: name for name in reversed(MANY)} | {"empty text": "", "not judged": "x"}
del TOPICS["no text"]


def test_what_does_not_match_is_dropped_and_counted():
    collection = judged_collection("c", "dev", DOCUMENTS, "de", TOPICS, MANY, "drop")
    assert collection.queries.ids == ("one judgement left", "kept"), "the order of the topics"
    assert collection.queries.language == "de"
    assert collection.qrels == {"kept": {"a": 1, "b": 0}, "one judgement left": {"b": 2}}
    assert collection.left_out == {
        "queries_without_text": 2,
        "judged_documents_not_there": 1,
        "queries_without_relevant_document": 2,
        "documents_with_a_repeated_id": 2,
    }


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["kept", "no text", "empty text"], "2 judged queries have no text, such as 'no text'"),
        (["one judgement left"], "1 judged documents are not among its 2, such as 'gone'"),
        (["nothing relevant"], "no query with a text has a relevant document"),
    ],
)
def test_what_does_not_match_is_refused_by_default(names, message):
    with pytest.raises(UserError, match=message):
        judged_collection("c", "dev", DOCUMENTS, "de", TOPICS, {name: MANY[name] for name in names})
