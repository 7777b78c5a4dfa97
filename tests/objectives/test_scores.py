"""Scores of aligned tokens against loops, on all pairs and on pairs of equal position."""

import pytest
import torch

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives import Align, Contrastive, Optical
from optical_sweeps.objectives.scores import SCORES, centred, paired_scores
from optical_sweeps.transport import Exact, TransportProblem
from tests.support.objective_batches import SLOW_SCORES, dot, embeddings, ids, slow_maxsim, texts, wider


def slow_plan(query, document):
    cost = torch.tensor([[1 - dot(x, y) for y in document] for x in query], dtype=torch.float64)
    return Exact()(TransportProblem.uniform(cost[None])).matrix[0].tolist(), (1 - cost).tolist()


def slow_transport(query, document):
    plan, cosines = slow_plan(query, document)
    return sum(dot(*rows) for rows in zip(plan, cosines, strict=True))


def slow_hard(query, document):
    rows = zip(*slow_plan(query, document), strict=True)
    return sum(cosines[masses.index(max(masses))] for masses, cosines in rows) / len(query)


SLOW = {
    **SLOW_SCORES,
    "nearest_both": lambda x, y: (slow_maxsim(x, y) + slow_maxsim(y, x)) / 2,
    "ot": slow_transport,
    "hard": slow_hard,
}
each = pytest.mark.parametrize("name", SCORES)


@each
def test_scores_agree_with_loops_and_ignore_padding(name):
    one, other = embeddings([3, 5, 2], seed=1), embeddings([4, 2, 5, 3], seed=2)
    expected = torch.tensor([[SLOW[name](x, y) for y in texts(other)] for x in texts(one)])
    torch.testing.assert_close(SCORES[name](one, other), expected, atol=1e-5, rtol=1e-5)
    noisy = TokenEmbeddings(torch.where(other.mask[..., None], other.vectors, 9.0), other.mask)
    padded = SCORES[name](wider(one, 2), wider(noisy, 3))
    torch.testing.assert_close(padded, expected, atol=1e-5, rtol=1e-5)


@each
def test_paired_scores_are_the_diagonal(name):
    one, other = embeddings([3, 5, 2], seed=1), embeddings([4, 2, 5], seed=2)
    torch.testing.assert_close(paired_scores(name, one, other), SCORES[name](one, other).diagonal())


@each
def test_the_plan_of_a_score_is_a_constant(name):
    one, other = embeddings([3, 2], seed=1), embeddings([4, 2], seed=2)
    vectors = one.vectors.clone().requires_grad_()
    SCORES[name](TokenEmbeddings(vectors, one.mask), other).sum().backward()
    assert torch.isfinite(vectors.grad).all()
    assert (vectors.grad[~one.mask] == 0).all()
    if name == "ot":
        expected = torch.zeros_like(vectors)
        for i, x in enumerate(texts(one)):
            for y in texts(other):
                plan = torch.tensor(slow_plan(x, y)[0])
                expected[i, : len(x)] += plan @ torch.tensor(y)
        torch.testing.assert_close(vectors.grad, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("centre", ["none", "both"])
def test_align_by_transport_is_optical_with_an_exact_plan(centre):
    batch = embeddings([3, 5], seed=1), embeddings([4, 2], seed=2), ids(2)
    optical = Optical(Exact(), centre=centre)(*batch).loss
    torch.testing.assert_close(Align("ot", centre)(*batch).loss, optical)


def test_centred_vectors_have_length_1_and_padding_stays_0():
    vectors = torch.tensor([[[4.0, 5.0], [1.0, -1.0], [0.0, 0.0]]])
    tokens = centred(TokenEmbeddings(vectors, torch.tensor([[True, True, False]])), torch.ones(2))
    torch.testing.assert_close(tokens.vectors, torch.tensor([[[0.6, 0.8], [0.0, -1.0], [0.0, 0.0]]]))


def test_centred_contrastive_scores_do_not_change_with_a_common_shift():
    student, teacher = (embeddings(n, seed=s, dtype=torch.float64) for n, s in (([3, 4], 3), ([5, 2], 4)))
    shift = torch.linspace(-2.0, 3.0, 8, dtype=torch.float64)
    moved = [TokenEmbeddings((x.vectors + shift) * x.mask[..., None], x.mask) for x in (student, teacher)]
    objective = Contrastive(scores="ot", centre="both")
    torch.testing.assert_close(objective(*moved, ids(2)).loss, objective(student, teacher, ids(2)).loss)


def test_objectives_with_plans_report_the_relative_entropy_of_the_pairs_plans():
    batch = embeddings([3, 5], seed=1), embeddings([4, 2], seed=2), ids(2)
    expected = Optical(Exact(), centre="both")(*batch).diagnostics["plan_relative_entropy"]
    assert 0 < expected < 1
    for name in SCORES:
        for objective in (Align(name, centre="both"), Contrastive(scores=name, centre="both")):
            diagnostics = objective(*batch).diagnostics
            if name in ("ot", "hard"):
                torch.testing.assert_close(diagnostics["plan_relative_entropy"], expected, check_dtype=False)
            else:
                assert "plan_relative_entropy" not in diagnostics
