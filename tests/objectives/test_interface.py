"""Needs and requirements of objectives, their state, and their mean over sides."""

import copy

import pytest
import torch

from optical_sweeps.errors import UserError
from optical_sweeps.objectives import (
    MSE,
    Combination,
    Contrastive,
    Documents,
    Optical,
    ScoreKL,
    check,
    distil,
    mean_output,
    needs,
)
from optical_sweeps.objectives.interface import NEEDS
from optical_sweeps.transport import Exact
from tests.support.objective_batches import embeddings, ids


def test_a_combination_has_the_needs_of_its_parts():
    both = Combination({"a": ScoreKL(documents="both"), "b": MSE(english_weight=1.0)}, {"a": 1.0, "b": 1.0})
    assert needs(both) == {"documents", "student_english"} == set(NEEDS)
    assert needs(Contrastive()) == needs(ScoreKL()) == needs(MSE()) == set()


def test_an_objective_with_unknown_needs_is_refused():
    class Unusual(MSE):
        needs = frozenset({"a second teacher"})

    with pytest.raises(UserError, match=r"mse needs a second teacher, but batches have only documents and"):
        check(Unusual(), 8, ["query"])
    check(ScoreKL(documents="mined"), 8, ["query"])
    check(ScoreKL(), 8, ["query"])


def test_an_objective_is_refused_for_vectors_of_another_dimension():
    learned = Optical(Exact(), cost="learned", dim=8)
    with pytest.raises(UserError, match=r"objective\.dim: 8, but encoder\.dim is 128"):
        check(Combination({"ot": learned}, {"ot": 1.0}), 128, ["query"])
    check(learned, 8, ["query"])
    check(Optical(Exact(), dim=8), 128, ["query"])  # cosine works in any dimension


def test_runs_do_not_share_what_an_objective_learns():
    shared = Contrastive(queue=4, learn_temperature=True)
    one = copy.deepcopy(shared)
    distil(one, embeddings([2, 3]), embeddings([3, 2]), ids(2), {})
    with torch.no_grad():
        one.log_scale.add_(1)
    assert torch.equal(copy.deepcopy(shared).log_scale, Contrastive(learn_temperature=True).log_scale)
    assert copy.deepcopy(shared).state_dict()["_queue.ids"].numel() == 0


def test_mined_documents_are_forwarded_to_the_part_that_needs_them():
    documents = Documents(embeddings([4, 5], seed=3), torch.ones(2, 2, dtype=torch.bool), ids(2))
    kl = ScoreKL(documents="mined")
    student, teacher = embeddings([2, 3], seed=1), embeddings([3, 2], seed=2)
    both = Combination({"kl": kl, "mse": MSE()}, {"kl": 2.0, "mse": 1.0})
    expected = 2 * kl(student, teacher, ids(2), documents=documents).loss + MSE()(student, teacher, ids(2)).loss
    torch.testing.assert_close(both(student, teacher, ids(2), documents=documents).loss, expected)


def test_the_loss_is_the_mean_over_sides_and_one_side_is_the_objective_itself():
    query = embeddings([2, 3], seed=1), embeddings([3, 2], seed=2)
    document = embeddings([4, 1], seed=3), embeddings([2, 2], seed=4)
    objective = Contrastive()
    one, other = (objective(*side, ids(2)) for side in (query, document))
    both = mean_output({"query": one, "document": other})
    torch.testing.assert_close(both.loss, (one.loss + other.loss) / 2)
    assert both.diagnostics["document_positive_score"] == other.diagnostics["positive_score"]
    assert mean_output({"document": other}) is other
