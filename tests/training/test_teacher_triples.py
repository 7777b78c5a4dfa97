"""Losses of a teacher on triples against slow references, and its training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from optical_sweeps.corpora.triples import Triples
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError
from optical_sweeps.objectives.contrastive import candidate_cross_entropy
from optical_sweeps.objectives.scores import mean_maxsim
from optical_sweeps.training.context import TrainingContext
from optical_sweeps.training.machine import Machine
from optical_sweeps.training.teacher_losses import teacher_loss
from optical_sweeps.training.teacher_settings import NegativeMining, TeacherSettings
from optical_sweeps.training.teacher_training import train_teacher
from optical_sweeps.training.training_checkpoints import TrainingCheckpoints
from optical_sweeps.training.training_settings import TrainingSettings
from tests.support.training_study import CODED, WORDS, Killed

MACHINE = Machine(accelerator="cpu", checkpoint_seconds=0)
SETTINGS = TrainingSettings(batch_size=5, epochs=4, learning_rate=3e-3, freeze_embeddings=False)


def tokens(texts: int, seed: int, width: int = 5) -> TokenEmbeddings:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(texts, width, generator=generator) < 0.7
    mask[:, 0] = True
    vectors = torch.nn.functional.normalize(torch.randn(texts, width, 4, generator=generator), dim=-1)
    return TokenEmbeddings(vectors * mask[..., None], mask)


def slow_score(queries: TokenEmbeddings, query: int, documents: TokenEmbeddings, document: int) -> float:
    own = queries.vectors[query][queries.mask[query]].double().numpy()
    theirs = documents.vectors[document][documents.mask[document]].double().numpy()
    return float(np.mean([max(float(token @ other) for other in theirs) for token in own]))


def slow_loss(kind, queries, documents, temperature, concepts, document_concepts) -> float:
    """Sums of exponentials, query by query."""
    size = len(concepts)
    negatives = len(document_concepts) // size - 1
    losses = []
    for query in range(size):
        own = [size + query * negatives + number for number in range(negatives)]
        others = [
            place
            for place in range(len(document_concepts))
            if place != query and document_concepts[place] != concepts[query]
        ]
        loss = 0.0
        for part, against in (("pairwise", own), ("in_batch", others)):
            if kind in (part, "both"):
                scores = [slow_score(queries, query, documents, place) for place in (query, *against)]
                weights = np.exp(np.array(scores) / temperature)
                loss -= np.log(weights[0] / weights.sum())
        losses.append(loss)
    return float(np.mean(losses))


@pytest.mark.parametrize("kind", ["in_batch", "pairwise", "both"])
@pytest.mark.parametrize("negatives", [1, 3])
def test_losses_are_those_of_the_slow_reference(kind, negatives):
    queries, documents = tokens(4, 0), tokens(4 * (1 + negatives), 1, width=7)
    concepts = torch.tensor([0, 1, 0, 2])
    own = torch.cat([concepts, torch.arange(10, 10 + 4 * negatives)])
    own[4] = 1  # a negative of the first query that is relevant to the second
    found = teacher_loss(kind, queries, documents, 0.3, concepts, own)
    expected = slow_loss(kind, queries, documents, 0.3, concepts.tolist(), own.tolist())
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_without_negatives_it_is_the_in_batch_loss():
    queries, documents, concepts = tokens(6, 2), tokens(6, 3), torch.tensor([0, 1, 2, 0, 3, 4])
    found = teacher_loss("in_batch", queries, documents, 0.05, concepts, concepts)
    assert found == candidate_cross_entropy(
        mean_maxsim(queries, documents) / 0.05, concepts, concepts, torch.arange(6)
    )


def encoder() -> TokenEncoder:
    settings = TokenEncoderSettings(dim=16, query_prefix="", document_prefix="")
    return TokenEncoder(TinyBackbone(layers=1, hidden_size=32, dropout=0.2).build([*WORDS, *CODED]), settings)


def coded_triples() -> Triples:
    """Each word, its code, and the codes of two others."""
    count = len(WORDS)
    rows = [(word, word, (word + 1) % count, (word + 5) % count) for word in range(count)]
    return Triples(tuple(WORDS), tuple(CODED), np.array(rows, np.int32))


def train(recipe: TeacherSettings, examples, checkpoints=None, fall_at=None) -> dict[str, torch.Tensor]:
    def progress(step: int, steps: int) -> None:
        if step == fall_at:
            raise Killed

    context = TrainingContext(MACHINE, Path("unused"), progress=progress, checkpoints=checkpoints)
    return train_teacher(recipe, encoder(), examples, context).state_dict()


def same(one, other) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("loss", ["pairwise", "both"])
def test_a_teacher_on_triples_resumes_exactly(tmp_path, loss):
    recipe = TeacherSettings(SETTINGS, loss=loss, negatives="bm25")
    alone = train(recipe, coded_triples())
    checkpoints = TrainingCheckpoints(tmp_path, "a teacher")
    for step in (1, 4, 8):
        with pytest.raises(Killed):
            train(recipe, coded_triples(), checkpoints, step)
    assert same(train(recipe, coded_triples(), checkpoints), alone)


def test_a_teacher_learns_its_triples():
    recipe = TeacherSettings(replace(SETTINGS, epochs=60), loss="pairwise", negatives="bm25")
    teacher = train_teacher(recipe, encoder(), coded_triples(), TrainingContext(MACHINE, Path("unused")))
    queries, documents = teacher.encode(WORDS, "query"), teacher.encode(CODED, "document")

    def score(query: int, document: int) -> float:
        return float((queries[query] @ documents[document].T).max(1).mean())

    won = [
        score(query, positive) > score(query, negative)
        for query, positive, *negatives in coded_triples().rows.tolist()
        for negative in negatives
    ]
    assert np.mean(won) > 0.9


def test_contradictory_settings_are_refused():
    with pytest.raises(UserError, match=r"teacher\.loss: pairwise compares with negatives"):
        TeacherSettings(loss="pairwise")
    with pytest.raises(UserError, match=r"teacher\.negatives: 'dense' is not one of none, bm25, checkpoint"):
        TeacherSettings(negatives="dense")
    for name in ("batch_tokens", "validate_every"):  # the teacher's training ignores these
        with pytest.raises(UserError, match=rf"teacher\.training\.{name}: only students"):
            TeacherSettings(replace(SETTINGS, **{name: 64}))
    with pytest.raises(UserError, match=r"teacher\.mining\.depth: 3 less skip 3"):
        NegativeMining(depth=3, skip=3)
    with pytest.raises(UserError, match="there is no example to train on"):
        train(TeacherSettings(SETTINGS), Triples((), (), np.zeros((0, 3), np.int32)))
