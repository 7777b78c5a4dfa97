"""Divergences of score distributions against loops."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.errors import UserError
from optical_sweeps.objectives import Documents, ScoreKL
from tests.support.objective_batches import SLOW_SCORES, embeddings, ids, texts


def slow_kl(queries, teachers, documents, score, temperature):
    """The slow reference; `documents` lists the documents that count for each pair."""
    total = 0.0
    for query, teacher, candidates in zip(queries, teachers, documents, strict=True):
        shares = []
        for text in (teacher, query):
            weights = [math.exp(score(text, document) / temperature) for document in candidates]
            shares.append([weight / sum(weights) for weight in weights])
        total += sum(p * math.log(p / q) for p, q in zip(*shares, strict=True))
    return total / len(queries)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=4),
    st.integers(0, 99),
    st.sampled_from(["maxsim", "pooled"]),
)
def test_in_batch_agrees_with_loops(lengths, seed, scores):
    student, teacher = embeddings(lengths, seed=seed), embeddings(lengths[::-1], seed=seed + 1)
    documents = [texts(teacher)] * len(lengths)
    expected = slow_kl(texts(student), texts(teacher), documents, SLOW_SCORES[scores], 0.3)
    loss = ScoreKL(0.3, scores=scores)(student, teacher, ids(len(lengths))).loss
    assert loss.item() == pytest.approx(expected, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("which", ["mined", "both"])
def test_mined_documents_agree_with_loops(which):
    student, teacher = embeddings([3, 2], seed=1), embeddings([2, 4], seed=2)
    mined = embeddings([5, 3, 4], seed=3)
    candidates = torch.tensor([[True, True, False], [False, True, True]])
    each = [[d for d, c in zip(texts(mined), row, strict=True) if c] for row in candidates.tolist()]
    both = [texts(teacher) + texts(mined)] * 2
    documents = each if which == "mined" else both
    expected = slow_kl(texts(student), texts(teacher), documents, SLOW_SCORES["maxsim"], 0.3)
    loss = ScoreKL(0.3, which)(student, teacher, ids(2), documents=Documents(mined, candidates, ids(3))).loss
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_in_batch_ignores_mined_documents():
    student, teacher = embeddings([3, 2], seed=1), embeddings([2, 4], seed=2)
    mined = Documents(embeddings([5, 3], seed=3), torch.ones(2, 2, dtype=torch.bool), ids(2))
    without = ScoreKL()(student, teacher, ids(2)).loss
    assert ScoreKL()(student, teacher, ids(2), documents=mined).loss == without


def test_a_repeated_english_text_counts_once():
    student, teacher = embeddings([3, 2, 4], seed=1), embeddings([2, 4, 2], seed=2)
    teacher.vectors[2], teacher.mask[2] = teacher.vectors[0], teacher.mask[0]
    documents = [texts(teacher)[:2]] * 3
    expected = slow_kl(texts(student), texts(teacher), documents, SLOW_SCORES["maxsim"], 0.3)
    assert ScoreKL(0.3)(student, teacher, torch.tensor([5, 6, 5])).loss.item() == pytest.approx(
        expected, rel=1e-4
    )


def test_gradients_are_finite_for_documents_that_do_not_count():
    student, teacher = embeddings([3, 2], seed=1), embeddings([2, 4], seed=2)
    vectors = student.vectors.clone().requires_grad_()
    candidates = torch.tensor([[True, False], [True, True]])
    documents = Documents(embeddings([5, 3], seed=3), candidates, ids(2))
    loss = ScoreKL(documents="mined")(
        type(student)(vectors, student.mask), teacher, ids(2), documents=documents
    ).loss
    loss.backward()
    assert torch.isfinite(vectors.grad).all()
    assert (vectors.grad[0] == 0).all()  # with one candidate the loss is constant
    assert (vectors.grad[1] != 0).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": -1.0}, r"objective\.temperature: -1"),
        ({"documents": "all"}, r"objective\.documents: 'all'"),
        ({"scores": "bm25"}, r"objective\.scores: 'bm25'"),
    ],
)
def test_bad_settings_name_their_key(arguments, message):
    with pytest.raises(UserError, match=message):
        ScoreKL(**arguments)
