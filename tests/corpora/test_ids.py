"""Ids that cannot be written to a TREC run are refused before any work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.corpora.collections import Collection, Documents, Queries
from optical_sweeps.corpora.ids import check_id, check_ids
from optical_sweeps.corpora.packed import packed_documents
from optical_sweeps.errors import UserError

NOT_ONE_WORD = ["New York", "", "d\u00a01", "d\n1", " d1", "\u4eac\u3000\u90fd"]


def collection(documents=("d1",), queries=("q1",)) -> Collection:
    if not isinstance(documents, Documents):
        documents = Documents("en", documents, ("text",) * len(documents))
    return Collection("small", "test", documents, Queries("fi", queries, ("teksti",) * len(queries)), {})


def packed(folder, ids) -> Documents:
    return packed_documents(folder / "pack", "en", lambda: [(name, "text") for name in ids], {})


def failure(*collections) -> str:
    with pytest.raises(UserError) as error:
        check_ids(collections)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize("bad", NOT_ONE_WORD)
def test_an_id_that_is_not_one_word_is_refused(tmp_path, bad):
    ids = ("d1", bad, "d\u00e9")
    problem = f"id {bad!r} is empty or contains white space"
    assert failure(collection(ids)).startswith(f"small, fi: the document {problem}")
    assert failure(collection(queries=ids)).startswith(f"small, fi: the query {problem}")
    assert f"document {problem}" in failure(collection(), collection(packed(tmp_path, ids)))


@given(st.text())
def test_an_id_is_accepted_exactly_if_a_line_of_columns_gives_it_back(name):
    if f"q Q0 {name} 1 0.5 tag".split() == ["q", "Q0", name, "1", "0.5", "tag"]:
        check_id("here", "document", name)
    else:
        with pytest.raises(UserError, match="here: the document id"):
            check_id("here", "document", name)


@pytest.mark.parametrize("ids", [("d1", "d2"), ("d1", "\u4eac\u90fd"), ()])
def test_packed_words_are_accepted(tmp_path, ids):
    documents = packed(tmp_path, ids)
    assert documents.ids.are_plain() == all(map(str.isascii, ids))
    check_ids([collection(documents)])
