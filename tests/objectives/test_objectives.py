"""Laws that hold for every objective."""

import copy

import pytest
import torch

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives import (
    MSE,
    Align,
    Combination,
    Contrastive,
    GreedyAlign,
    NoDistillation,
    Objective,
    Optical,
    ScoreKL,
    Triplet,
)
from optical_sweeps.transport import Exact, Ipot, Partial, Sinkhorn, Unbalanced
from tests.support.objective_batches import embeddings, ids, rows, wider

SHARP = Sinkhorn(epsilon=0.01, max_iterations=2000, tolerance=1e-6)
SOFT = Sinkhorn(epsilon=0.1, tolerance=1e-12, max_iterations=5000)

OBJECTIVES = {
    "optical": Optical(SHARP, centre="none"),
    "optical centred": Optical(SHARP, centre="both"),
    "optical exact": Optical(Exact()),
    "optical ipot": Optical(Ipot()),
    "optical unbalanced": Optical(Unbalanced()),
    "optical partial": Optical(Partial()),
    "optical euclidean": Optical(SHARP, cost="euclidean"),
    "optical squared": Optical(SHARP, cost="squared_euclidean"),
    "optical learned": Optical(SHARP, cost="learned", dim=8),
    "optical envelope": Optical(SHARP, centre="both", plan="envelope"),
    "optical implicit": Optical(SHARP, plan="implicit"),
    "optical unrolled": Optical(SOFT, plan="unrolled"),
    "contrastive": Contrastive(),
    "contrastive pooled": Contrastive(scores="pooled", symmetric=True),
    "contrastive learned": Contrastive(learn_temperature=True, queue=8),
    "contrastive ot": Contrastive(scores="ot", centre="both"),
    "contrastive hard": Contrastive(scores="hard"),
    "align ot": Align(),
    "align hard": Align("hard"),
    "align nearest both": Align("nearest_both"),
    "align pooled": Align("pooled"),
    "mse": MSE(),
    "greedy": GreedyAlign(),
    "score_kl": ScoreKL(),
    "score_kl pooled": ScoreKL(scores="pooled", temperature=1.0),
    "triplet": Triplet(),
    "triplet hardest": Triplet(negatives="hardest", scores="maxsim"),
    "combination": Combination({"a": Optical(SHARP), "b": GreedyAlign()}, {"a": 1.0, "b": 0.5}),
    "none": NoDistillation(),
}
TRAINED = {name: objective for name, objective in OBJECTIVES.items() if name != "none"}
each = pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)


@pytest.fixture
def batch():
    return embeddings([3, 5, 2], seed=1), embeddings([4, 2, 6], seed=2), ids(3)


@each
def test_permuting_the_batch_changes_nothing(objective, batch):
    student, teacher, english = batch
    order = torch.tensor([2, 0, 1])
    permuted = copy.deepcopy(objective)(rows(student, order), rows(teacher, order), english[order])
    torch.testing.assert_close(copy.deepcopy(objective)(*batch).loss, permuted.loss)


@each
def test_padding_changes_nothing(objective, batch):
    student, teacher, english = batch
    padded = copy.deepcopy(objective)(wider(student, 3), wider(teacher, 2), english)
    torch.testing.assert_close(copy.deepcopy(objective)(*batch).loss, padded.loss, atol=1e-5, rtol=1e-4)


@each
def test_outputs_are_a_scalar_loss_and_detached_named_scalars(objective, batch):
    student, teacher, english = batch
    vectors = student.vectors.clone().requires_grad_()
    output = copy.deepcopy(objective)(TokenEmbeddings(vectors, student.mask), teacher, english)
    assert isinstance(objective, Objective)
    assert output.loss.requires_grad
    assert all(torch.isfinite(value) and not value.requires_grad for value in output.diagnostics.values())
    assert output.diagnostics or objective.name == "none"


@pytest.mark.parametrize("objective", TRAINED.values(), ids=TRAINED)
def test_a_gradient_step_lowers_the_loss_and_does_not_change_padding(objective, batch):
    student, teacher, english = batch
    vectors = student.vectors.clone().requires_grad_()
    before = copy.deepcopy(objective)(TokenEmbeddings(vectors, student.mask), teacher, english).loss
    before.backward()
    assert torch.isfinite(vectors.grad).all()
    assert (vectors.grad[~student.mask] == 0).all()
    nearer = student.vectors - 1e-3 * vectors.grad
    assert copy.deepcopy(objective)(TokenEmbeddings(nearer, student.mask), teacher, english).loss < before


EXACT_GRADIENTS = {
    "contrastive": Contrastive(),
    "contrastive symmetric": Contrastive(scores="pooled", symmetric=True, temperature=0.5),
    "mse": MSE(),
    "greedy": GreedyAlign(),
    "score_kl": ScoreKL(temperature=0.5),
    "triplet": Triplet(margin=1.0),
    "envelope": Optical(SOFT, centre="none", plan="envelope"),
    "envelope centred": Optical(SOFT, centre="both", plan="envelope"),
    "envelope exact": Optical(Exact(), centre="none", plan="envelope"),
    "implicit": Optical(SOFT, centre="both", plan="implicit"),
    "implicit euclidean": Optical(SOFT, centre="none", plan="implicit", cost="euclidean"),
    "unrolled": Optical(SOFT, centre="none", plan="unrolled"),
    "combination": Combination({"a": MSE(), "b": GreedyAlign()}, {"a": 2.0, "b": 0.5}),
}


@pytest.mark.parametrize("objective", EXACT_GRADIENTS.values(), ids=EXACT_GRADIENTS)
def test_gradients_agree_with_finite_differences(objective):
    student = embeddings([2, 3], dim=4, seed=5, dtype=torch.float64)
    teacher = embeddings([3, 2], dim=4, seed=6, dtype=torch.float64)

    def loss(vectors):
        return objective(TokenEmbeddings(vectors * student.mask[..., None], student.mask), teacher, ids(2)).loss

    assert torch.autograd.gradcheck(loss, (student.vectors.requires_grad_(),), atol=1e-5, nondet_tol=1e-9)


NOTHING_TO_LEARN = {
    "optical": Optical(Exact(), centre="none"),
    "optical centred": Optical(Exact()),
    "optical sinkhorn": Optical(Sinkhorn(epsilon=0.002, max_iterations=5000), centre="both"),
    "optical partial": Optical(Partial()),
    "optical euclidean": Optical(Exact(), cost="euclidean"),
    "optical learned": Optical(Exact(), cost="learned", dim=16),
    "mse": MSE(),
    "greedy": GreedyAlign(),
    "score_kl": ScoreKL(),
    "score_kl pooled": ScoreKL(scores="pooled"),
    "triplet": Triplet(margin=0.0, scores="maxsim"),
    "combination": Combination({"a": MSE(), "b": ScoreKL()}, {"a": 2.0, "b": 0.5}),
}


@pytest.mark.parametrize("objective", NOTHING_TO_LEARN.values(), ids=NOTHING_TO_LEARN)
def test_a_student_equal_to_its_teacher_has_no_loss(objective):
    same = embeddings([4, 6, 3], dim=16)
    vectors = same.vectors.clone().requires_grad_()
    output = objective(TokenEmbeddings(vectors, same.mask), same, ids(3))
    assert 0 <= output.loss + 1e-6 < 2e-3
