"""What a GPU must compute as the CPU does; `pytest -m gpu` on a machine with one, skipped elsewhere."""

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.objectives import Contrastive, Optical
from optical_sweeps.retrieval.maxsim import search
from optical_sweeps.retrieval.pruned_index import build_pruned
from optical_sweeps.retrieval.pruned_search import search_pruned
from optical_sweeps.retrieval.rerank import rerank
from optical_sweeps.retrieval.search_settings import PrunedSearch
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.training.context import TrainingContext
from optical_sweeps.training.machine import Machine
from optical_sweeps.transport import Exact, Sinkhorn, TransportProblem
from tests.support.training_study import SETTINGS, History, make_encoder, sentences, train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU"),
]
DOCUMENTS, NAMES = 300, [f"q{number}" for number in range(8)]


def unit(lengths: list[int], seed: int) -> RaggedEmbeddings:
    vectors = np.random.default_rng(seed).standard_normal((sum(lengths), 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return RaggedEmbeddings(vectors, np.cumsum([0, *lengths]).astype(np.int64))


@pytest.fixture(scope="module", params=["float32", "float16", "int8"])
def index(request, tmp_path_factory) -> TokenIndex:
    documents = unit([number % 13 for number in range(DOCUMENTS)], 1)
    folder = tmp_path_factory.mktemp("index")
    return TokenIndex.build(folder, [f"d{number}" for number in range(DOCUMENTS)], [documents], request.param)


@pytest.mark.parametrize("implementation", ["tensor", "fused"])
def test_sinkhorn_reaches_the_exact_cost(implementation):
    if implementation == "fused" and not find_spec("triton"):
        pytest.skip("Triton is not installed")
    generator = torch.Generator().manual_seed(0)
    cost = torch.rand(16, 20, 24, generator=generator)
    lengths = torch.randint(5, 21, (2, 16), generator=generator)
    exact = Exact()(TransportProblem.from_lengths(cost, *lengths))
    problem = TransportProblem.from_lengths(cost.cuda(), *lengths.cuda())
    plan = Sinkhorn(epsilon=1e-3, implementation=implementation)(problem)
    assert plan.converged.all()
    assert plan.matrix.is_cuda
    best, reached = ((one.matrix.cpu() * cost).sum((1, 2)) for one in (exact, plan))
    assert (reached - best).abs().max() < 0.01
    on_cpu = Sinkhorn(epsilon=1e-3)(TransportProblem.from_lengths(cost, *lengths))
    assert (plan.matrix.cpu() - on_cpu.matrix).abs().max() < 1e-4


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("teacher", ["stored", "online"])
@pytest.mark.parametrize("objective", [Contrastive(), Optical(Sinkhorn())], ids=["contrastive", "optical"])
def test_training_follows_the_cpus(tmp_path, precision, teacher, objective):
    losses = []
    for accelerator, own in (("cpu", "32-true"), ("gpu", precision)):
        encoder, history = make_encoder(), History()
        settings = replace(SETTINGS, precision=own, teacher=teacher)
        machine = Machine(accelerator=accelerator)
        context = TrainingContext(machine, tmp_path / accelerator, logger=history)
        source = make_encoder().to(machine.device())
        train(encoder, source, objective, settings, NoSearch(), context)
        losses.append([row["train/loss"] for _, row in history.rows if "train/loss" in row])
    tolerance = 1e-3 if precision == "32-true" else 0.1
    np.testing.assert_allclose(losses[1], losses[0], rtol=tolerance, atol=tolerance)


class NoSearch:
    """A dev evaluator that costs nothing."""

    def evaluate(self, student: object, step: int) -> float:
        return 0.0


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_vectors_are_those_of_the_cpu(precision):
    encoder, texts = make_encoder(), sentences(["red", "cat", "house", "sun"], 50, 0)
    expected = encoder.encode(texts, "document").vectors
    vectors = encoder.cuda().encode(texts, "document", precision=precision).vectors
    assert (vectors * expected).sum(1).min() > (1 - 1e-5 if precision == "float32" else 0.999)


def test_searches_have_the_cpus_order(index, tmp_path):
    queries = unit([9, 32, 1, 40, 12, 7, 3, 25], 2)
    candidates = np.arange(0, DOCUMENTS, 2)
    pruned = {
        device: build_pruned(tmp_path, index, PrunedSearch(centroids=40), device=device)
        for device in ("cpu", "cuda")
    }
    searches = {
        "exact": lambda device: search(index, NAMES, queries, 20, device=device),
        "rerank": lambda device: rerank(index, NAMES, queries, lambda _: candidates, 20, device=device),
        "pruned": lambda device: search_pruned(
            pruned[device], NAMES, queries, 20, 40, DOCUMENTS, device=device
        ),
    }
    for name, find in searches.items():
        ours, theirs = find("cuda"), find("cpu")
        for row in range(len(NAMES)):
            np.testing.assert_allclose(ours.scores[row], theirs.scores[row], atol=1e-4, err_msg=name)
            assert len(set(ours.documents[row]) & set(theirs.documents[row])) >= 19, name


def test_the_benchmark_passes_its_own_checks(tmp_path):
    """Also the distillation by one process and by two."""
    benchmark = Path(__file__).parents[1] / "benchmarks/gpu.py"
    done = subprocess.run(
        [sys.executable, str(benchmark), "--small"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
