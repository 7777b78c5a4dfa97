from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.corpora.builders.language_family import BaseLanguage, Daughter, DaughterLanguage
from optical_sweeps.transport import (
    Exact,
    Ipot,
    Partial,
    Sinkhorn,
    TransportProblem,
    Unbalanced,
    aligned_pairs,
    alignment_error_rate,
)

pair_sets = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)))


@given(pair_sets, pair_sets, pair_sets)
def test_error_rate_lies_between_0_and_1_and_possible_links_only_help(predicted, sure, possible):
    strict = alignment_error_rate(predicted, sure)
    lenient = alignment_error_rate(predicted, sure, possible)
    assert 0 <= lenient <= strict <= 1
    assert alignment_error_rate(sure, sure) == 0


@given(pair_sets, pair_sets)
def test_error_rate_is_one_less_f_when_all_links_are_sure(predicted, sure):
    shared = len(predicted & sure)
    if shared:
        precision, recall = shared / len(predicted), shared / len(sure)
        f = 2 * precision * recall / (precision + recall)
        assert alignment_error_rate(predicted, sure) == pytest.approx(1 - f)


@pytest.mark.parametrize("solver", [Exact(), Sinkhorn(0.02), Ipot()])
def test_solvers_recover_a_noisy_permutation(solver):
    generator = torch.Generator().manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(8, 15, 32, generator=generator), dim=-1)
    order = torch.randperm(15, generator=generator)
    y = torch.nn.functional.normalize(x[:, order] + 0.1 * torch.randn(8, 15, 32, generator=generator), dim=-1)
    plan = solver(TransportProblem.uniform(1 - x @ y.mT))
    gold = {(int(i), j) for j, i in enumerate(order)}
    for index in range(8):
        assert alignment_error_rate(aligned_pairs(plan, index), gold) == 0


@pytest.mark.parametrize(
    "solver",
    [Exact(), Sinkhorn(0.05), Ipot(), Unbalanced(rho=0.5), Partial(mass=0.9)],
    ids=lambda s: type(s).__name__,
)
def test_error_rate_on_the_synthetic_family(solver):
    """Reordered words of a daughter language, with noisy copies of the vectors of the words they translate."""
    base = BaseLanguage(lexicon_size=300, zipf_exponent=1.0, seed=0)
    daughter = DaughterLanguage("daughter", base, Daughter(word_order="SOV", adjective_after_noun=True))
    random, generator = Random(0), torch.Generator().manual_seed(0)
    vectors = {base.form(lexeme): torch.randn(64, generator=generator) for lexeme in base.lexemes}
    errors, shuffled = [], []
    for _ in range(30):
        sentence = base.sentence(base.noun_phrase(random), random)
        english = base.text(sentence).split()
        translation, links = daughter.translate(sentence)
        y = torch.stack([vectors[word] for word in english])
        source = dict(links)
        x = torch.stack([vectors[english[source[i]]] for i in range(len(translation.split()))])
        x = x + 0.5 * torch.randn(x.shape, generator=generator)
        cost = 1 - torch.nn.functional.normalize(x, dim=-1) @ torch.nn.functional.normalize(y, dim=-1).mT
        found = aligned_pairs(solver(TransportProblem.uniform(cost.unsqueeze(0))), 0)
        errors.append(alignment_error_rate(found, links))
        shuffled.append(alignment_error_rate(found, [((i + 1) % len(x), j) for i, j in links]))
    mean = sum(errors) / len(errors)
    assert mean < 0.08  # repeated words cannot be told apart, and cost all solvers something
    assert sum(shuffled) / len(shuffled) > 0.7


def test_pairs_of_padding_are_never_aligned():
    mask = torch.tensor([[True, True, False]])
    plan = Sinkhorn(1.0)(TransportProblem.uniform(torch.zeros(1, 3, 3), mask, mask))
    assert aligned_pairs(plan, 0) == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_share_must_be_positive():
    plan = Exact()(TransportProblem.uniform(torch.zeros(1, 2, 2)))
    with pytest.raises(ValueError, match="share"):
        aligned_pairs(plan, 0, share=0.0)
