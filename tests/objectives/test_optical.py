"""OPTICAL: the loss is the plan times the cost, and `plan` says what is differentiated."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.objectives import Optical
from optical_sweeps.objectives.costs import COSTS
from optical_sweeps.transport import Exact, Ipot, Partial, Sinkhorn, TransportProblem, Unbalanced
from tests.support.objective_batches import dot, embeddings, ids, texts

SHARP = Sinkhorn(epsilon=0.01, max_iterations=2000, tolerance=1e-6)
SLOW_COSTS = {
    "cosine": lambda s, t: 1 - dot(s, t),
    "squared_euclidean": lambda s, t: sum((a - b) ** 2 for a, b in zip(s, t, strict=True)),
    "euclidean": lambda s, t: math.dist(s, t),
}


@pytest.mark.parametrize("centre", ["none", "both"])
def test_loss_is_the_plan_times_the_cost_and_its_gradient_treats_the_plan_as_constant(centre):
    student, teacher = embeddings([3, 4], seed=3), embeddings([5, 2], seed=4)
    vectors = student.vectors.clone().requires_grad_()
    output = Optical(SHARP, centre=centre)(TokenEmbeddings(vectors, student.mask), teacher, ids(2))
    output.loss.backward()
    again = student.vectors.clone().requires_grad_()
    cost = _cost(again, student.mask, teacher, centre)
    plan = SHARP(TransportProblem.uniform(cost.detach(), student.mask, teacher.mask)).matrix
    expected = (plan * cost).sum((1, 2)).mean()
    expected.backward()
    torch.testing.assert_close(output.loss, expected)
    torch.testing.assert_close(vectors.grad, again.grad, atol=1e-6, rtol=1e-4)


def _cost(vectors, mask, teacher, centre):
    if centre == "none":
        return 1 - vectors @ teacher.vectors.mT
    mean = teacher.vectors[teacher.mask].mean(0)
    ours = normalize(vectors - mean, dim=-1) * mask[..., None]
    theirs = normalize(teacher.vectors - mean, dim=-1) * teacher.mask[..., None]
    return 1 - ours @ theirs.mT


@pytest.mark.parametrize("solver", [Exact(), Sinkhorn(epsilon=0.1, epsilon_relative_to="std")])
def test_a_common_shift_of_both_spaces_changes_nothing(solver):
    student, teacher = (embeddings(n, seed=s, dtype=torch.float64) for n, s in (([3, 4], 3), ([5, 2], 4)))
    shift = torch.linspace(-2.0, 3.0, 8, dtype=torch.float64)
    moved = [TokenEmbeddings((x.vectors + shift) * x.mask[..., None], x.mask) for x in (student, teacher)]
    optical = Optical(solver)
    torch.testing.assert_close(
        optical(*moved, ids(2)).loss, optical(student, teacher, ids(2)).loss, atol=1e-6, rtol=1e-6
    )


@pytest.mark.parametrize("cost", COSTS)
def test_exact_optical_agrees_with_linear_programming(cost):
    import numpy as np
    from scipy.optimize import linprog

    student, teacher = embeddings([3, 4], seed=3, dtype=torch.float64), embeddings([5, 2], seed=4)
    expected = []
    for ours, theirs in zip(texts(student), texts(teacher), strict=True):
        n, m = len(ours), len(theirs)
        costs = [SLOW_COSTS[cost](s, t) for s in ours for t in theirs]
        sums = np.array([[i // m == r for i in range(n * m)] for r in range(n)], float)
        shares = np.array([[i % m == c for i in range(n * m)] for c in range(m)], float)
        solved = linprog(costs, A_eq=np.vstack([sums, shares]), b_eq=[1 / n] * n + [1 / m] * m)
        expected.append(solved.fun)
    loss = Optical(Exact(), centre="none", cost=cost)(student, _double(teacher), ids(2)).loss
    assert loss.item() == pytest.approx(sum(expected) / 2, rel=1e-6)


def test_detached_and_envelope_give_the_student_the_same_gradient():
    student, teacher = embeddings([3, 4], seed=3), embeddings([5, 2], seed=4)
    gradients = []
    for plan in ("detached", "envelope"):
        vectors = student.vectors.clone().requires_grad_()
        Optical(SHARP, centre="none", plan=plan)(
            TokenEmbeddings(vectors, student.mask), teacher, ids(2)
        ).loss.backward()
        gradients.append(vectors.grad)
    torch.testing.assert_close(*gradients)


def test_envelope_is_the_regularised_optimum():
    student, teacher = embeddings([3, 4], seed=3), embeddings([5, 2], seed=4)
    output = Optical(SHARP, centre="none", plan="envelope")(student, teacher, ids(2))
    named = output.diagnostics
    torch.testing.assert_close(output.loss, named["plan_cost"] - 0.01 * named["plan_entropy"])


def test_implicit_and_unrolled_differentiate_the_same_function():
    soft = Sinkhorn(epsilon=0.1, tolerance=1e-12, max_iterations=5000)
    student, teacher = (embeddings(n, seed=s, dtype=torch.float64) for n, s in (([3, 4], 3), ([5, 2], 4)))
    gradients = []
    for plan in ("implicit", "unrolled", "detached"):
        vectors = student.vectors.clone().requires_grad_()
        Optical(soft, plan=plan)(TokenEmbeddings(vectors, student.mask), teacher, ids(2)).loss.backward()
        gradients.append(vectors.grad)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-7, rtol=1e-5)
    assert (gradients[0] - gradients[2]).abs().max() > 1e-3


def test_squared_euclidean_is_twice_cosine_for_unit_vectors():
    student, teacher = embeddings([3, 4], seed=3), embeddings([5, 2], seed=4)
    cosine, squared = (
        Optical(Exact(), cost=c)(student, teacher, ids(2)).loss for c in ("cosine", "squared_euclidean")
    )
    torch.testing.assert_close(squared, 2 * cosine)


def test_a_learned_subspace_of_all_dimensions_is_squared_euclidean():
    student, teacher = embeddings([3, 4], seed=3), embeddings([5, 2], seed=4)
    learned = Optical(Exact(), cost="learned", dim=8, rank=8)
    with torch.no_grad():
        learned.get_parameter("_cost.weight").normal_(generator=torch.Generator().manual_seed(0))
    squared = Optical(Exact(), cost="squared_euclidean")
    torch.testing.assert_close(learned(student, teacher, ids(2)).loss, squared(student, teacher, ids(2)).loss)


def test_a_learned_subspace_raises_the_cost_up_to_that_of_the_whole_space():
    student, teacher = embeddings([3, 4], seed=3), embeddings([5, 2], seed=4)
    learned = Optical(SHARP, centre="none", cost="learned", dim=8, rank=2)
    whole = Optical(SHARP, centre="none", cost="squared_euclidean")(student, teacher, ids(2)).loss
    optimiser = torch.optim.SGD(learned.parameters(), lr=0.5)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = learned(student, teacher, ids(2)).loss
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert 1.2 * losses[0] < losses[-1] < whole


def test_diagnostics_describe_the_plan():
    batch = embeddings([3, 4], seed=3), embeddings([5, 2], seed=4), ids(2)
    named = Optical(SHARP)(*batch).diagnostics
    assert named["plan_marginal_error"] < 1e-3
    assert 0 < named["plan_entropy"] <= math.log(4 * 5)
    assert 0 < named["plan_relative_entropy"] < 1
    assert Optical(Sinkhorn(epsilon=1e4))(*batch).diagnostics["plan_relative_entropy"].item() == pytest.approx(
        1
    )
    assert named["plan_converged"] == 1
    assert "plan_mass" not in named
    assert Optical(Partial(mass=0.6))(*batch).diagnostics["plan_mass"].item() == pytest.approx(0.6, abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"centre": "mean"}, r"objective\.centre: 'mean'"),
        ({"cost": "manhattan"}, r"objective\.cost: 'manhattan'"),
        ({"plan": "free"}, r"objective\.plan: 'free'"),
        ({"cost": "learned"}, r"objective\.dim: cost=learned needs it"),
        ({"cost": "learned", "dim": 8, "rank": 9}, r"objective\.rank: 9 is more than objective\.dim, 8"),
        ({"centre": "plan"}, r"objective\.centre: 'plan' is not one of none, both"),
        ({"plan": "envelope", "centre": "both", "solver": Unbalanced()}, r"and unbalanced gives another"),
        ({"plan": "envelope", "centre": "both", "solver": Ipot()}, r"and ipot gives another"),
        ({"plan": "envelope", "centre": "both", "solver": Partial(solver=SHARP)}, r"and partial gives another"),
        ({"plan": "implicit", "solver": Exact()}, r"and exact gives none"),
    ],
)
def test_bad_settings_name_their_key(settings, message):
    with pytest.raises(UserError, match=message) as error:
        Optical(**{"solver": SHARP, **settings})
    assert "\n" not in str(error.value)


def test_a_learned_cost_has_half_the_dimensions_and_the_english_term_is_off_at_first():
    assert Optical(SHARP, cost="learned", dim=8).expected_dim == 8
    assert Optical(SHARP, dim=8).expected_dim is None
    for dim, rank in ((1, 1), (3, 1), (8, 4)):
        (weight,) = Optical(SHARP, cost="learned", dim=dim).parameters()
        assert weight.shape == (rank, dim)
    assert Optical(SHARP).english_weight == 0.0


def _double(tokens):
    return TokenEmbeddings(tokens.vectors.double(), tokens.mask)
