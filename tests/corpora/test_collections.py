"""The qrels of a collection name only its own queries and documents."""

import pytest

from optical_sweeps.corpora.collections import Collection, Documents, Queries


@pytest.mark.parametrize(
    ("qrels", "message"),
    [({"q9": {"d1": 1}}, "unknown query 'q9'"), ({"q1": {"d9": 1}}, "unknown document 'd9'")],
)
def test_qrels_with_unknown_ids_are_refused(qrels, message):
    documents, queries = Documents("en", ("d1",), ("text",)), Queries("de", ("q1",), ("Text",))
    with pytest.raises(ValueError, match=message):
        Collection("small", "dev", documents, queries, qrels)
