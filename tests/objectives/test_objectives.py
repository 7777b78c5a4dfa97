"""Objectives against slow references, and the identities they keep."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.objectives import Contrastive, NoDistillation, Optical
from optical_sweeps.objectives.contrastive import in_batch_cross_entropy, mean_maxsim
from optical_sweeps.objectives.optical import cosine_cost
from optical_sweeps.transport import Sinkhorn

SHARP = Sinkhorn(epsilon=0.01, max_iterations=2000, tolerance=1e-6)


def embeddings(lengths, dim=8, seed=0, width=None):
    generator = torch.Generator().manual_seed(seed)
    width = width or max(lengths)
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    vectors = normalize(torch.randn(len(lengths), width, dim, generator=generator), dim=-1)
    return TokenEmbeddings(vectors * mask[..., None], mask)


def ids(size):
    return torch.arange(size)


OBJECTIVES = [
    Optical(SHARP, centre="none"),
    Optical(SHARP, centre="plan"),
    Optical(SHARP, centre="both"),
    Contrastive(),
    NoDistillation(),
]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_permuting_the_batch_changes_nothing(objective):
    student, teacher = embeddings([3, 5, 2], seed=1), embeddings([4, 2, 6], seed=2)
    order = torch.tensor([2, 0, 1])
    permuted = objective(
        TokenEmbeddings(student.vectors[order], student.mask[order]),
        TokenEmbeddings(teacher.vectors[order], teacher.mask[order]),
        ids(3)[order],
    )
    torch.testing.assert_close(objective(student, teacher, ids(3)).loss, permuted.loss)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_padding_changes_nothing(objective):
    lengths = [3, 5, 2]
    narrow, teacher = embeddings(lengths, seed=1), embeddings([4, 2, 6], seed=2)
    wide = TokenEmbeddings(
        torch.nn.functional.pad(narrow.vectors, (0, 0, 0, 3)), torch.nn.functional.pad(narrow.mask, (0, 3))
    )
    torch.testing.assert_close(
        objective(narrow, teacher, ids(3)).loss, objective(wide, teacher, ids(3)).loss, atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("centre", ["none", "plan", "both"])
def test_a_student_equal_to_its_teacher_has_nothing_to_learn(centre):
    student = embeddings([4, 6, 3], dim=16)
    output = Optical(Sinkhorn(epsilon=0.002, max_iterations=5000), centre=centre)(student, student, ids(3))
    assert output.loss < 1e-3


@pytest.mark.parametrize("centre", ["none", "plan"])
def test_optical_is_the_plan_times_the_cost_and_its_gradient_leaves_the_plan_alone(centre):
    student, teacher = embeddings([3, 4], seed=3), embeddings([5, 2], seed=4)
    vectors = student.vectors.clone().requires_grad_()
    output = Optical(SHARP, centre=centre)(TokenEmbeddings(vectors, student.mask), teacher, ids(2))
    output.loss.backward()
    # d<P, C>/ds_i = -sum_j P_ij t_j for C = 1 - s.t, if P is a constant
    plan = _plan(student, teacher, centre)
    expected = -(plan @ teacher.vectors) / 2
    torch.testing.assert_close(vectors.grad, expected, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(
        output.loss, (plan * cosine_cost(student.vectors, teacher.vectors)).sum((1, 2)).mean()
    )


def _plan(student, teacher, centre):
    from optical_sweeps.transport import TransportProblem

    def cost(mean):
        def centred(x):
            return normalize(x.vectors - mean, dim=-1) * x.mask[..., None]

        return 1 - centred(student) @ centred(teacher).mT

    mean = teacher.vectors[teacher.mask].mean(0) if centre == "plan" else torch.zeros(student.vectors.shape[-1])
    return SHARP(TransportProblem.uniform(cost(mean), student.mask, teacher.mask)).matrix


def test_optical_diagnostics_say_how_good_the_plan_is():
    output = Optical(SHARP)(embeddings([3, 4], seed=3), embeddings([5, 2], seed=4), ids(2))
    assert output.diagnostics["plan_marginal_error"] < 1e-3
    assert 0 < output.diagnostics["plan_entropy"] <= math.log(4 * 5)
    assert not any(value.requires_grad for value in output.diagnostics.values())


def test_maxsim_ignores_padding_even_where_all_cosines_are_negative():
    query = TokenEmbeddings(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[True]]))
    document = TokenEmbeddings(torch.tensor([[[-1.0, 0.0], [0.0, 0.0]]]), torch.tensor([[True, False]]))
    assert mean_maxsim(query, document).item() == -1.0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=4), st.integers(0, 100), st.sampled_from([0.05, 0.5]))
def test_contrastive_agrees_with_loops(lengths, seed, temperature):
    student, teacher = embeddings(lengths, seed=seed), embeddings(lengths[::-1], seed=seed + 1)
    score = torch.zeros(len(lengths), len(lengths), dtype=torch.float64)
    for i, n in enumerate(lengths):
        for j, m in enumerate(lengths[::-1]):
            best = [
                max(float(student.vectors[i, k] @ teacher.vectors[j, t]) for t in range(m)) for k in range(n)
            ]
            score[i, j] = sum(best) / n
    logits = score / temperature
    expected = sum(-logits[i, i] + torch.logsumexp(logits[i], 0) for i in range(len(lengths))) / len(lengths)
    loss = Contrastive(temperature)(student, teacher, ids(len(lengths))).loss
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-5)


def test_the_same_text_is_never_its_own_negative():
    logits = torch.tensor([[2.0, 9.0, 1.0], [9.0, 2.0, 1.0], [0.0, 0.0, 3.0]])
    masked = in_batch_cross_entropy(logits, torch.tensor([7, 7, 8]))
    rows = [
        -2.0 + torch.logsumexp(torch.tensor([2.0, 1.0]), 0),
        -2.0 + torch.logsumexp(torch.tensor([2.0, 1.0]), 0),
        -3.0 + torch.logsumexp(torch.tensor([0.0, 0.0, 3.0]), 0),
    ]
    torch.testing.assert_close(masked, torch.stack(rows).mean())


def test_bad_settings_name_their_key():
    with pytest.raises(UserError, match=r"objective\.temperature: 0\.0"):
        Contrastive(0.0)
    with pytest.raises(UserError, match=r"objective\.centre: 'mean'"):
        Optical(SHARP, centre="mean")
