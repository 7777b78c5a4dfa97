"""A batch split over two processes gives the loss and gradients of one process with the whole batch."""

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives import Contrastive, Documents, Optical, ScoreKL, Triplet, needs
from optical_sweeps.objectives.devices import first_row, gathered, gathered_tokens, mean_vector
from optical_sweeps.transport import Sinkhorn
from tests.support.objective_batches import embeddings, rows

OBJECTIVES = {
    "contrastive": lambda: Contrastive(0.3, symmetric=True, learn_temperature=True, queue=6),
    "optical": lambda: Optical(Sinkhorn(epsilon=0.1)),
    "score_kl": lambda: ScoreKL(0.3),
    "score_kl mined": lambda: ScoreKL(0.3, "mined"),
    "score_kl both": lambda: ScoreKL(0.3, "both"),
    "triplet": lambda: Triplet(margin=0.5),
}
ENGLISH = torch.tensor([3, 4, 5, 3])
STEPS = 2


class Trained(torch.nn.Module):
    """A linear student with an objective, like a training step."""

    def __init__(self, objective):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.nn.Parameter(torch.eye(8) + 0.1 * torch.randn(8, 8, generator=generator))
        self.objective = objective

    def forward(self, student, teacher, english, documents):
        vectors = torch.nn.functional.normalize(student.vectors @ self.weight, dim=-1)
        tokens = TokenEmbeddings(vectors * student.mask[..., None], student.mask)
        context = {"documents": documents} if needs(self.objective) else {}
        return self.objective(tokens, teacher, english, **context).loss


def train(name, part, wrap=lambda module: module):
    """Losses of several steps on the rows `part` of each batch, and the last gradient of each parameter."""
    module = wrap(Trained(OBJECTIVES[name]()))
    losses = []
    for step in range(STEPS):
        module.zero_grad()
        student, teacher = embeddings([3, 5, 2, 4], seed=step), embeddings([4, 2, 6, 3], seed=step + 9)
        student, teacher = rows(student, part), rows(teacher, part)
        width = int(teacher.mask.any(0).sum())  # a device pads its own part
        teacher = TokenEmbeddings(teacher.vectors[:, :width], teacher.mask[:, :width])
        loss = module(student, teacher, ENGLISH[part] + 10 * step, mined(part))
        loss.backward()
        losses.append(loss.detach())
    return torch.stack(losses), {n.removeprefix("module."): p.grad for n, p in module.named_parameters()}


def mined(part):
    """Two documents per pair; neighbouring pairs share one of them."""
    numbers = torch.unique(torch.cat([part, part + 1]))
    candidates = (numbers == part[:, None]) | (numbers == part[:, None] + 1)
    return Documents(rows(embeddings([2, 4, 3, 1, 2], seed=30), numbers), candidates, numbers)


def worker(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    part = torch.tensor([[0, 1], [2, 3]][rank])
    results = {name: train(name, part, DistributedDataParallel) for name in OBJECTIVES}
    mine = torch.arange(2.0 + rank).reshape(-1, 1) + 10 * rank  # 2 rows on rank 0, 3 on rank 1
    ragged = mine.clone().requires_grad_()
    everyone = gathered(ragged)
    (everyone.square().sum() * (rank + 1)).backward()
    facts = {"gathered": everyone.detach(), "gradient": ragged.grad, "mean": mean_vector(mine)}
    facts["first_row"] = torch.tensor(first_row(mine))
    torch.save((results, facts), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    torch.multiprocessing.spawn(worker, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_two_processes_train_as_one(name, two_processes):
    losses, gradients = train(name, torch.arange(4))
    both = [results[name] for results, _ in two_processes]
    torch.testing.assert_close((both[0][0] + both[1][0]) / 2, losses)
    for parameter, gradient in gradients.items():
        for _, shared in both:
            torch.testing.assert_close(shared[parameter], gradient, atol=1e-6, rtol=1e-4)


def test_rows_of_all_devices_are_gathered_with_their_gradients(two_processes):
    rows = torch.tensor([[0.0], [1.0], [10.0], [11.0], [12.0]])
    for (_, facts), own in zip(two_processes, (rows[:2], rows[2:]), strict=True):
        assert torch.equal(facts["gathered"], rows)
        assert torch.equal(facts["gradient"], 2 * own * (1 + 2))  # both processes' losses
        torch.testing.assert_close(facts["mean"], rows.mean(0))
    assert [int(facts["first_row"]) for _, facts in two_processes] == [0, 2]


def test_one_process_is_uninterrupted():
    tokens = embeddings([2, 3])
    assert gathered_tokens(tokens) is tokens
    assert gathered(tokens.vectors) is tokens.vectors
    assert first_row(tokens.vectors) == 0
