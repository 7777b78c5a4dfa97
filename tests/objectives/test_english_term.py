"""The English term of every objective: its weight, its value, and what it keeps."""

import pytest
import torch
from torch.nn.functional import normalize

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.encoders.tokenized_texts import concatenated_batches
from optical_sweeps.errors import UserError
from optical_sweeps.objectives import (
    MSE,
    Align,
    Combination,
    Contrastive,
    GreedyAlign,
    Optical,
    ScoreKL,
    Triplet,
    distil,
    needs,
)
from optical_sweeps.transport import Exact, Partial, Sinkhorn
from tests.support.objective_batches import embeddings, ids
from tests.support.training_study import SETTINGS, STEPS, Study, make_encoder

PULLING = {
    "optical": lambda weight: Optical(Exact(), english_weight=weight),
    "optical raw": lambda weight: Optical(Exact(), centre="none", english_weight=weight),
    "optical partial": lambda weight: Optical(Partial(), english_weight=weight),
    **{
        f"align {name}": lambda weight, name=name: Align(name, english_weight=weight)
        for name in ("ot", "hard", "maxsim", "nearest_both", "pooled")
    },
    "mse": lambda weight: MSE(english_weight=weight),
    "greedy": lambda weight: GreedyAlign(english_weight=weight),
}
OBJECTIVES = {
    **PULLING,
    "optical sinkhorn": lambda weight: Optical(Sinkhorn(), english_weight=weight),
    "contrastive": lambda weight: Contrastive(english_weight=weight),
    "contrastive queue": lambda weight: Contrastive(queue=3, english_weight=weight),
    "score_kl": lambda weight: ScoreKL(english_weight=weight),
    "triplet": lambda weight: Triplet(english_weight=weight),
}
each = pytest.mark.parametrize("make", OBJECTIVES.values(), ids=OBJECTIVES)


def batch():
    return embeddings([3, 5, 2], seed=1), embeddings([4, 2, 6], seed=2), ids(3)


@each
def test_the_loss_is_that_of_the_translation_plus_the_weighted_loss_of_the_english_text(make):
    student, teacher, english = batch()
    own = embeddings([4, 2, 6], seed=3)
    objective, plain = make(0.7), make(0.0)
    assert needs(objective) - needs(plain) == {"student_english"}
    output = distil(objective, student, teacher, english, {"student_english": own})
    one, other = plain(student, teacher, english).loss, plain(own, teacher, english).loss
    torch.testing.assert_close(output.loss, one + 0.7 * other)
    torch.testing.assert_close(output.diagnostics["translated_loss"], one)
    torch.testing.assert_close(output.diagnostics["english_loss"], other)


@each
def test_weight_0_is_the_objective_itself_to_the_last_bit(make):
    student, teacher, english = batch()
    objective = make(0.0)
    gradients, outputs = [], []
    for loss in (objective, lambda *arguments: distil(objective, *arguments, {})):
        vectors = student.vectors.clone().requires_grad_()
        outputs.append(loss(TokenEmbeddings(vectors, student.mask), teacher, english))
        outputs[-1].loss.backward()
        gradients.append(vectors.grad)
    assert torch.equal(outputs[0].loss, outputs[1].loss)
    assert torch.equal(*gradients)
    assert outputs[0].diagnostics.keys() == outputs[1].diagnostics.keys()


@pytest.mark.parametrize("make", PULLING.values(), ids=PULLING)
def test_a_student_equal_to_its_teacher_has_zero_loss_and_zero_gradient(make):
    teacher = embeddings([4, 6, 3], dim=16, dtype=torch.float64)
    parameters = (3.0 * teacher.vectors).requires_grad_()
    student = TokenEmbeddings(normalize(parameters, dim=-1), teacher.mask)
    loss = distil(make(1.0), student, teacher, ids(3), {"student_english": student}).loss
    loss.backward()
    assert abs(loss.item()) < 1e-6
    assert parameters.grad.abs().max() < 1e-6


@pytest.mark.parametrize(
    "objective",
    [
        Optical(Exact(), english_weight=0.7),
        Optical(Sinkhorn(epsilon_relative_to="std"), english_weight=0.7),
        *(Align(name, english_weight=0.7) for name in ("ot", "hard", "maxsim", "nearest_both", "pooled")),
        Contrastive(scores="ot", centre="both", english_weight=0.7),
    ],
)
def test_a_common_shift_of_both_spaces_changes_neither_term(objective):
    lengths = (([3, 5, 2], 1), ([4, 2, 6], 2), ([4, 2, 6], 3))
    tokens = [embeddings(n, seed=seed, dtype=torch.float64) for n, seed in lengths]
    shift = torch.linspace(-2.0, 3.0, tokens[0].vectors.shape[-1], dtype=torch.float64)
    moved = [TokenEmbeddings((x.vectors + shift) * x.mask[..., None], x.mask) for x in tokens]
    (student, teacher, own), (student_, teacher_, own_) = tokens, moved
    here = distil(objective, student, teacher, ids(3), {"student_english": own})
    there = distil(objective, student_, teacher_, ids(3), {"student_english": own_})
    for name in ("translated_loss", "english_loss"):
        torch.testing.assert_close(here.diagnostics[name], there.diagnostics[name])


def test_the_queue_takes_a_batch_once_and_both_terms_see_the_queue_of_earlier_steps():
    objective = Contrastive(queue=8, english_weight=1.0)
    student, teacher, _ = batch()
    for step in range(2):
        english = torch.arange(3) + 3 * step
        output = distil(objective, student, teacher, english, {"student_english": student})
        assert torch.equal(output.diagnostics["translated_loss"], output.diagnostics["english_loss"])
        assert output.diagnostics["queued_negatives"] == 3 * step
    assert objective.state_dict()["_queue.ids"].tolist() == list(range(6))


def test_each_part_of_a_combination_has_its_own_english_term():
    student, teacher, english = batch()
    own = embeddings([4, 2, 6], seed=3)
    parts = {"mse": MSE(english_weight=0.5), "greedy": GreedyAlign()}
    both = Combination(parts, {"mse": 2.0, "greedy": 1.0})
    assert needs(both) == {"student_english"}
    output = distil(both, student, teacher, english, {"student_english": own})
    mse, greedy = MSE(), GreedyAlign()
    expected = 2 * mse(student, teacher, english).loss + mse(own, teacher, english).loss
    torch.testing.assert_close(output.loss, expected + greedy(student, teacher, english).loss)
    assert "mse_english_loss" in output.diagnostics


def test_texts_encoded_in_one_batch_have_the_vectors_of_two():
    encoder = make_encoder().eval()
    one, other = encoder.tokenize(["red", "blue cat dog"], "query"), encoder.tokenize(["sun"], "query")
    both = encoder(concatenated_batches(one, other))
    torch.testing.assert_close(both.vectors[:2], encoder(one).vectors)
    torch.testing.assert_close(both.vectors[2:, : other.mask.shape[1]], encoder(other).vectors)
    assert torch.equal(both.mask[:2], one.mask)


def test_training_logs_both_terms_and_weight_0_trains_to_the_same_bits(tmp_path):
    studies = []
    for name, objective in (
        ("plain", MSE()),
        ("zero", MSE(english_weight=0.0)),
        ("on", MSE(english_weight=1.0)),
    ):
        studies.append(Study(make_encoder(), tmp_path / name, SETTINGS, objective))
        studies[-1].run(keep=False)
    plain, zero, on = studies
    assert plain.history.rows == zero.history.rows
    assert all((plain.weights[name] == zero.weights[name]).all() for name in plain.weights)
    logged = [row for _, row in on.history.rows if "train/english_loss" in row]
    assert len(logged) == STEPS
    assert logged[0]["train/loss"] == pytest.approx(
        logged[0]["train/translated_loss"] + logged[0]["train/english_loss"]
    )


def test_a_negative_weight_is_refused():
    with pytest.raises(UserError, match=r"objective\.english_weight: -1\.0 is not a number of at least 0"):
        Contrastive(english_weight=-1.0)
