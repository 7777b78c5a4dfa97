"""InfoNCE against loops, its queue, and its learned temperature."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.objectives import Contrastive, distil
from optical_sweeps.objectives.contrastive import candidate_cross_entropy
from optical_sweeps.objectives.scores import mean_maxsim
from tests.support.objective_batches import SLOW_SCORES, embeddings, ids, texts

lengths = st.lists(st.integers(1, 5), min_size=2, max_size=4)


def slow_info_nce(queries, candidates, right, score, temperature):
    losses = []
    for query, positive in zip(queries, right, strict=True):
        logits = [score(query, candidate) / temperature for candidate in candidates]
        losses.append(math.log(sum(math.exp(x - max(logits)) for x in logits)) + max(logits) - logits[positive])
    return sum(losses) / len(losses)


@settings(max_examples=30, deadline=None)
@given(
    lengths,
    st.integers(0, 100),
    st.sampled_from([0.05, 0.5]),
    st.sampled_from(["maxsim", "pooled"]),
    st.booleans(),
)
def test_contrastive_agrees_with_loops(lengths, seed, temperature, scores, symmetric):
    student, teacher = embeddings(lengths, seed=seed), embeddings(lengths[::-1], seed=seed + 1)
    right, score = range(len(lengths)), SLOW_SCORES[scores]
    expected = slow_info_nce(texts(student), texts(teacher), right, score, temperature)
    if symmetric:
        back = slow_info_nce(texts(teacher), texts(student), right, score, temperature)
        expected = (expected + back) / 2
    loss = Contrastive(temperature, scores, symmetric)(student, teacher, ids(len(lengths))).loss
    assert loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_maxsim_ignores_padding_even_if_all_cosines_are_negative():
    query = TokenEmbeddings(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[True]]))
    document = TokenEmbeddings(torch.tensor([[[-1.0, 0.0], [0.0, 0.0]]]), torch.tensor([[True, False]]))
    assert mean_maxsim(query, document).item() == -1.0


def test_the_same_text_is_never_its_own_negative():
    logits = torch.tensor([[2.0, 9.0, 1.0], [9.0, 2.0, 1.0], [0.0, 0.0, 3.0]])
    groups = torch.tensor([7, 7, 8])
    masked = candidate_cross_entropy(logits, groups, groups, torch.arange(3))
    rows = [
        -2.0 + torch.logsumexp(torch.tensor([2.0, 1.0]), 0),
        -2.0 + torch.logsumexp(torch.tensor([2.0, 1.0]), 0),
        -3.0 + torch.logsumexp(torch.tensor([0.0, 0.0, 3.0]), 0),
    ]
    torch.testing.assert_close(masked, torch.stack(rows).mean())


def test_queued_texts_are_negatives_unless_they_are_the_same_text():
    objective = Contrastive(0.5, queue=3)
    earlier = embeddings([4, 2], seed=1)
    objective.remember(earlier, torch.tensor([7, 8]))
    student, teacher = embeddings([3, 1], seed=2), embeddings([2, 2], seed=3)
    loss = objective(student, teacher, torch.tensor([8, 9])).loss
    sevens, eights = texts(earlier)
    first = slow_info_nce(texts(student)[:1], [*texts(teacher), sevens], [0], SLOW_SCORES["maxsim"], 0.5)
    rest = [*texts(teacher), sevens, eights]
    second = slow_info_nce(texts(student)[1:], rest, [1], SLOW_SCORES["maxsim"], 0.5)
    assert loss.item() == pytest.approx((first + second) / 2, rel=1e-5)


def test_the_queue_keeps_the_newest_texts_and_is_part_of_the_state():
    objective = Contrastive(queue=3)
    for step in range(4):
        batch = embeddings([2, 3], seed=step), embeddings([3, 2 + step], seed=step + 9)
        distil(objective, *batch, torch.tensor([2 * step, 2 * step + 1]), {})
    assert objective.state_dict()["_queue.ids"].tolist() == [5, 6, 7]
    restored = Contrastive(queue=3)
    restored.load_state_dict(objective.state_dict(), strict=True)
    batch = embeddings([2, 2], seed=20), embeddings([1, 3], seed=21), torch.tensor([20, 21])
    assert torch.equal(restored(*batch).loss, objective(*batch).loss)


def test_evaluation_mode_does_not_change_the_queue():
    objective = Contrastive(queue=3).eval()
    distil(objective, embeddings([2, 3]), embeddings([3, 2]), ids(2), {})
    assert len(objective.state_dict()["_queue.ids"]) == 0


def test_a_learned_temperature_starts_at_its_setting_and_has_the_right_gradient():
    student, teacher = embeddings([3, 2, 4], seed=1), embeddings([2, 4, 3], seed=2)
    learned = Contrastive(0.2, learn_temperature=True)
    output = learned(student, teacher, ids(3))
    torch.testing.assert_close(output.loss, Contrastive(0.2)(student, teacher, ids(3)).loss)
    assert output.diagnostics["temperature"].item() == pytest.approx(0.2)
    output.loss.backward()
    near = [Contrastive(0.2 * math.exp(-h))(student, teacher, ids(3)).loss.item() for h in (1e-2, -1e-2)]
    assert learned.log_scale.grad.item() == pytest.approx((near[0] - near[1]) / 2e-2, rel=1e-2)


def test_a_learned_temperature_does_not_fall_below_its_bound():
    objective = Contrastive(learn_temperature=True)
    with torch.no_grad():
        objective.log_scale.fill_(50.0)
    output = objective(embeddings([2, 3]), embeddings([3, 2]), ids(2))
    assert output.diagnostics["temperature"].item() == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0.0}, r"objective\.temperature: 0\.0"),
        ({"scores": "dot"}, r"objective\.scores: 'dot'"),
        ({"queue": -1}, r"objective\.queue: -1"),
        ({"symmetric": 1}, r"objective\.symmetric: 1"),
    ],
)
def test_bad_settings_name_their_key(arguments, message):
    with pytest.raises(UserError, match=message):
        Contrastive(**arguments)


def test_objectives_of_equal_settings_are_two_modules_without_parameters_of_their_own():
    one, other = Contrastive(), Contrastive()
    assert len({one, other}) == 2  # PyTorch puts modules into sets
    assert list(one.parameters()) == []
