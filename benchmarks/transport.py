"""Transport solvers compared: ours, POT, SciPy, geomloss and OTT-JAX, in one run on the same problems.

    python benchmarks/transport.py [--repeats 7] [--threads 1] [--json transport.json] [--slow]

Every method gets the same batch of float32 costs and returns a plan. The measured time covers solving,
detached loss and backward pass. Methods take turns, so that other load affects all of them. Times are
medians of wall clock and of the CPU time of all threads. Peers that are not installed are left out.

merr is the largest L1 error of either marginal over the batch; gap = (cost - exact) / (independent -
exact), pooled over the batch, where `independent` is the plan a b'.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from optical_sweeps.transport import (
    Exact,
    Ipot,
    Partial,
    Sinkhorn,
    TransportProblem,
    Unbalanced,
    aligned_pairs,
    alignment_error_rate,
    marginal_error,
)

SHAPES = ((256, 32), (64, 64))
DIMENSION = 128
LONG = 1.0  # seconds: methods slower than this are timed once, and their first call counts


@dataclass(frozen=True)
class Batch:
    """Problems of one kind, and the vectors they come from (for peers that take points)."""

    name: str
    cost: Tensor
    problem: TransportProblem
    x: Tensor
    y: Tensor
    lengths: Tensor


@dataclass(frozen=True)
class Method:
    """A solver under test: `solve(batch)` returns plans; `claim` is its requested marginal error."""

    name: str
    group: str
    solve: Callable[[Batch], Tensor]
    claim: float
    full_only: bool = False


@dataclass(frozen=True)
class Row:
    batch: str
    group: str
    method: str
    wall_ms: float
    cpu_ms: float
    repeats: int
    merr: float
    gap: float
    remark: str


def make_batch(count: int, size: int, ragged: bool, aligned: bool, seed: int = 0) -> Batch:
    """Costs 1 - cos of random unit vectors; `aligned`: one side is a noisy permutation of the other."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.nn.functional.normalize(torch.randn(count, size, DIMENSION, generator=generator), dim=-1)
    y = torch.randn(count, size, DIMENSION, generator=generator)
    if aligned:
        order = torch.rand(count, size, generator=generator).argsort(1)
        moved = x.gather(1, order.unsqueeze(2).expand_as(x))
        y = moved + 0.7 * y / DIMENSION**0.5
    y = torch.nn.functional.normalize(y, dim=-1)
    lengths = torch.full((2, count), size)
    if ragged:
        lengths = torch.randint(size // 4, size + 1, (2, count), generator=generator)
    cost = (1 - x @ y.mT).contiguous()
    problem = TransportProblem.from_lengths(cost, lengths[0], lengths[1])
    kind = ("ragged" if ragged else "full") + (" aligned" if aligned else " random")
    return Batch(f"{count}x{size} {kind}", cost, problem, x, y, lengths)


def ours(solver: Callable[[TransportProblem], object]) -> Callable[[Batch], Tensor]:
    return lambda batch: solver(batch.problem).matrix  # type: ignore[attr-defined]


def pot_loop(batch: Batch) -> Tensor:
    import ot

    plans = torch.zeros_like(batch.cost)
    for p, (n, m) in enumerate(batch.lengths.T.tolist()):
        cost = batch.cost[p, :n, :m].numpy().astype(np.float64)
        plan = ot.emd(np.full(n, 1 / n), np.full(m, 1 / m), cost)
        plans[p, :n, :m] = torch.from_numpy(plan)
    return plans


def scipy_loop(batch: Batch) -> Tensor:
    from scipy.optimize import linear_sum_assignment

    plans = torch.zeros_like(batch.cost)
    size = batch.cost.shape[1]
    for p, cost in enumerate(batch.cost.numpy()):
        rows, columns = linear_sum_assignment(cost)
        plans[p, rows, columns] = 1 / size
    return plans


def pot_batched(
    method: str, epsilon: float | None, iterations: int, tolerance: float
) -> Callable[[Batch], Tensor]:
    from ot.batch import solve_batch

    def solve(batch: Batch) -> Tensor:
        a, b = batch.problem.a, batch.problem.b
        return solve_batch(
            batch.cost, epsilon, a, b, max_iter=iterations, tol=tolerance, method=method, grad="detach"
        ).plan

    return solve


def geomloss_potentials(epsilon: float) -> Callable[[Batch], Tensor]:
    from geomloss import SamplesLoss

    # |x - y|^2 / 2 = 1 - cos for unit vectors, and blur^2 is epsilon; 200 iterations is scaling^200 apart
    loss = SamplesLoss(
        "sinkhorn", p=2, blur=epsilon**0.5, scaling=0.985, debias=False, potentials=True, backend="tensorized"
    )

    def solve(batch: Batch) -> Tensor:
        a, b = batch.problem.a, batch.problem.b
        f, g = loss(a, batch.x, b, batch.y)
        exponent = (f.unsqueeze(2) + g.unsqueeze(1) - batch.cost) / epsilon
        return exponent.exp() * a.unsqueeze(2) * b.unsqueeze(1)

    return solve


def ott_vmapped(epsilon: float, threshold: float) -> Callable[[Batch], Tensor]:
    import jax
    from ott.geometry import geometry
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    solver = sinkhorn.Sinkhorn(threshold=threshold, max_iterations=10_000)

    def one(cost, a, b):  # type: ignore[no-untyped-def]
        problem = linear_problem.LinearProblem(geometry.Geometry(cost_matrix=cost, epsilon=epsilon), a, b)
        return solver(problem).matrix

    batched = jax.jit(jax.vmap(one))

    def solve(batch: Batch) -> Tensor:
        arrays = (batch.cost, batch.problem.a, batch.problem.b)
        plan = batched(*(jax.numpy.asarray(array.numpy()) for array in arrays))
        return torch.from_numpy(np.array(plan))

    return solve


def methods(slow: bool) -> list[Method]:
    every = [
        Method("ours exact", "exact", ours(Exact()), 1e-6),
        Method("POT emd, loop", "exact", pot_loop, 1e-6),
        Method("SciPy assignment, loop", "exact", scipy_loop, 1e-6, full_only=True),
        Method("ours sinkhorn", "eps .05", ours(Sinkhorn(0.05)), 1e-6),
        Method("ours sinkhorn, tensors", "eps .05", ours(Sinkhorn(0.05, implementation="tensor")), 1e-6),
        Method("POT batched log", "eps .05", pot_batched("log_sinkhorn", 0.05, 1000, 1e-6), 1e-6),
        Method("POT batched kernel", "eps .05", pot_batched("sinkhorn", 0.05, 1000, 1e-6), 1e-6),
        Method("ours sinkhorn", "eps .01", ours(Sinkhorn(0.01)), 1e-6),
        Method("ours sinkhorn, tensors", "eps .01", ours(Sinkhorn(0.01, implementation="tensor")), 1e-6),
        Method(
            "ours 40 iterations, rounded",
            "eps .01",
            ours(Sinkhorn(0.01, max_iterations=40, newton=False, rounding=True)),
            1e-6,
        ),
        Method(
            "POT batched log, 1,000 iterations", "eps .01", pot_batched("log_sinkhorn", 0.01, 1000, 1e-6), 1e-6
        ),
        Method("ours IPOT, beta .5, 50 steps", "proximal", ours(Ipot()), 1e-3),
        Method("POT batched proximal, defaults", "proximal", pot_batched("proximal", None, 1000, 1e-5), 1e-3),
    ]
    if slow:
        kernel = pot_batched("sinkhorn", 0.01, 1000, 1e-6)
        every.append(Method("POT batched kernel, 1,000 iterations", "eps .01", kernel, 1e-6))
    if find_spec("geomloss"):
        every.append(Method("geomloss, eps-scaling .985", "eps .01", geomloss_potentials(0.01), 1e-6))
    if find_spec("ott"):
        every.append(Method("OTT-JAX vmapped", "eps .05", ott_vmapped(0.05, 1e-6), 1e-6))
        every.append(Method("OTT-JAX vmapped, to 1e-3", "eps .01", ott_vmapped(0.01, 1e-3), 1e-3))
    return every


def timed(method: Method, batch: Batch) -> tuple[Tensor, float, float]:
    """The plan, and wall and CPU seconds of solving, detached loss and backward pass."""
    cost = batch.cost.clone().requires_grad_()
    wall, cpu = time.perf_counter(), time.process_time()
    plan = method.solve(batch).detach()
    torch.linalg.vecdot(plan.flatten(1), cost.flatten(1)).mean().backward()
    return plan, time.perf_counter() - wall, time.process_time() - cpu


def judge(method: Method, batch: Batch, plan: Tensor, exact: Tensor) -> tuple[float, float, str]:
    """The marginal error, the gap, and what is wrong with the plan, if anything."""
    a, b = batch.problem.a.double(), batch.problem.b.double()
    cost = torch.where(batch.problem.mask, batch.cost.double(), 0.0)
    plan = plan.double()
    merr = marginal_error(plan, a, b).max().item()
    independent = a.unsqueeze(2) * b.unsqueeze(1)
    value, baseline = ((matrix * cost).sum((1, 2)) for matrix in (plan, independent))
    gap = ((value - exact).sum() / (baseline - exact).sum()).item()
    if not torch.isfinite(plan).all():
        return merr, gap, "wrong: not finite"
    if (plan - independent).abs().max() < 1e-6:
        return merr, gap, "wrong: the independent coupling"
    # float32 sums of 64 masses are worth 1e-7 and a little
    return merr, gap, "" if merr <= method.claim * 1.05 + 2e-7 else f"missed {method.claim:.0e}"


def compare(batch: Batch, contenders: list[Method], repeats: int) -> list[Row]:
    walls: dict[int, list[float]] = {}
    cpus: dict[int, list[float]] = {}
    plans: dict[int, Tensor] = {}
    contenders = [m for m in contenders if not (m.full_only and "ragged" in batch.name)]
    for index, method in enumerate(contenders):  # compilation and first touches do not count
        plans[index], wall, cpu = timed(method, batch)
        slow = wall > LONG and not method.name.startswith(("ours", "OTT"))
        walls[index], cpus[index] = ([wall], [cpu]) if slow else ([], [])
        print(f"{batch.name}: {method.name} ({method.group}) {wall:.2f} s", file=sys.stderr, flush=True)
    for _ in range(repeats):
        for index, method in enumerate(contenders):
            if walls[index] and walls[index][0] > LONG:
                continue
            _, wall, cpu = timed(method, batch)
            walls[index].append(wall)
            cpus[index].append(cpu)
    exact = (plans[0].double() * torch.where(batch.problem.mask, batch.cost.double(), 0.0)).sum((1, 2))
    rows = []
    for index, method in enumerate(contenders):
        merr, gap, remark = judge(method, batch, plans[index], exact)
        wall, cpu = (1e3 * statistics.median(times[index]) for times in (walls, cpus))
        count = len(walls[index])
        rows.append(Row(batch.name, method.group, method.name, wall, cpu, count, merr, gap, remark))
    return rows


def training_share(repeats: int) -> dict[str, float]:
    """Share of transport in a training step: 4 layers, size 384, batch 32, 32 tokens, cached teacher."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(384, 12, 1536, dropout=0.1, batch_first=True, activation="gelu")
    encoder = torch.nn.Sequential(torch.nn.TransformerEncoder(layer, 4), torch.nn.Linear(384, DIMENSION))
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-4)
    tokens, teacher = (
        torch.randn(32, 32, 384),
        torch.nn.functional.normalize(torch.randn(32, 32, DIMENSION), dim=-1),
    )
    mask = torch.arange(32) < torch.randint(8, 33, (32, 1))
    shares: dict[str, float] = {}
    for name, solver in (
        ("exact", Exact()),
        ("sinkhorn eps .05", Sinkhorn()),
        ("sinkhorn eps .01", Sinkhorn(0.01)),
    ):
        steps, parts = [], []
        for _ in range(repeats + 2):
            start = time.perf_counter()
            student = torch.nn.functional.normalize(encoder(tokens), dim=-1)
            cost = 1 - student @ teacher.mT
            before = time.perf_counter()
            loss = solver(TransportProblem.uniform(cost, mask, mask)).cost.mean()
            parts.append(time.perf_counter() - before)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            steps.append(time.perf_counter() - start)
        shares[name] = statistics.median(parts[2:]) / statistics.median(steps[2:])
        shares[f"{name}, step ms"] = 1e3 * statistics.median(steps[2:])
    return shares


def alignment_errors(sentences: int = 200, noise: float = 1.0) -> dict[str, float]:
    """Alignment error rate of each solver on a synthetic daughter language with gold word alignments.

    English words have random vectors. A daughter word has the mean vector of the words it translates, plus
    noise of `noise` times their length. Words are reordered, determiners fused and words split, so links
    are not one to one.
    """
    from random import Random

    from optical_sweeps.corpora.builders.language_family import BaseLanguage, Daughter, DaughterLanguage

    base = BaseLanguage(lexicon_size=500, zipf_exponent=1.0, seed=0)
    settings = Daughter(word_order="SOV", adjective_after_noun=True, fused_determiners=0.3, split_words=0.2)
    daughter = DaughterLanguage("daughter", base, settings)
    random, generator = Random(0), torch.Generator().manual_seed(0)
    vectors = {base.form(lexeme): torch.randn(64, generator=generator) for lexeme in base.lexemes}
    pairs = []
    for _ in range(sentences):
        sentence = base.sentence(base.noun_phrase(random), random)
        pairs.append((base.text(sentence).split(), *daughter.translate(sentence)))
    rows, columns = (max(len(x) for x in side) for side in (_words(pairs, 1), _words(pairs, 0)))
    x, y = torch.zeros(sentences, rows, 64), torch.zeros(sentences, columns, 64)
    lengths = torch.tensor([[len(t.split()) for _, t, _ in pairs], [len(e) for e, _, _ in pairs]])
    for p, (english, translation, links) in enumerate(pairs):
        y[p, : len(english)] = torch.stack([vectors[word] for word in english])
        for i in range(len(translation.split())):
            linked = [vectors[english[j]] for k, j in links if k == i]
            x[p, i] = torch.stack(linked).mean(0) if linked else 0.0
            x[p, i] += noise * torch.randn(64, generator=generator)
    unit_x, unit_y = (torch.nn.functional.normalize(side, dim=-1) for side in (x, y))
    problem = TransportProblem.from_lengths(1 - unit_x @ unit_y.mT, *lengths)
    rates = {}
    for name, solver in (
        ("exact", Exact()),
        ("sinkhorn eps .1", Sinkhorn(0.1)),
        ("sinkhorn eps .05", Sinkhorn()),
        ("sinkhorn eps .01", Sinkhorn(0.01)),
        ("ipot", Ipot()),
        ("unbalanced rho .5", Unbalanced(rho=0.5)),
        ("partial .8", Partial(0.8)),
    ):
        plan = solver(problem)
        errors = [alignment_error_rate(aligned_pairs(plan, p), links) for p, (_, _, links) in enumerate(pairs)]
        rates[name] = statistics.fmean(errors)
    return rates


def _words(pairs: list, side: int) -> list[list[str]]:
    return [pair[side].split() if isinstance(pair[side], str) else pair[side] for pair in pairs]


def floors() -> dict[str, float]:
    """Peak rates of this machine: float32 multiply-adds per second and core, and bytes copied per second."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    x = torch.randn(512, 512)
    best = min(_seconds(lambda: x @ x) for _ in range(30))
    source, target = torch.randn(1 << 18), torch.empty(1 << 18)
    copy = min(_seconds(lambda: target.copy_(source)) for _ in range(30))
    torch.set_num_threads(threads)
    return {"multiply_adds_per_second": 512**3 / best, "copied_bytes_per_second": 2 * 4 * (1 << 18) / copy}


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def machine() -> dict[str, object]:
    versions = {}
    for name in ("torch", "numba", "POT", "scipy", "geomloss", "ott-jax", "jax", "numpy"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(
            (line.split(":")[1].strip() for line in lines if line.startswith("model name")), processor
        )
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],
        "versions": versions,
    }


def table(rows: list[Row]) -> str:
    lines = ["| problems | group | method | wall ms | cpu ms | merr | gap % | remark |", "| --- " * 8 + "|"]
    for row in rows:
        numbers = f"{row.wall_ms:.2f} | {row.cpu_ms:.2f} | {row.merr:.0e} | {100 * row.gap:.2f}"
        lines.append(f"| {row.batch} | {row.group} | {row.method} | {numbers} | {row.remark} |")
    return "\n".join(lines)


def ratios(rows: list[Row]) -> str:
    """Speed of our solver relative to each peer of its group, by wall time and by CPU time."""
    lines = ["| problems | group | peer | times faster (wall) | (cpu) |", "| --- " * 5 + "|"]
    first = {(row.batch, row.group): row for row in reversed(rows) if row.method.startswith("ours")}
    for row in rows:
        mine = first[(row.batch, row.group)]
        if not row.method.startswith("ours"):
            wall, cpu = row.wall_ms / mine.wall_ms, row.cpu_ms / mine.cpu_ms
            lines.append(f"| {row.batch} | {row.group} | {row.method} | {wall:.1f} | {cpu:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, help="for torch and for us; one is fair on a busy machine")
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--slow", action="store_true", help="also the peers that take minutes")
    parser.add_argument("--ours", action="store_true", help="leave the peers out")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    torch.set_num_threads(arguments.threads or torch.get_num_threads())
    before = machine()
    contenders = [m for m in methods(arguments.slow) if m.name.startswith("ours") or not arguments.ours]
    rows: list[Row] = []
    for count, size in SHAPES:
        for ragged in (False, True):
            for aligned in (False, True):
                rows += compare(make_batch(count, size, ragged, aligned), contenders, arguments.repeats)
    result = {
        "machine": before,
        "load_average_after": os.getloadavg()[0],
        "floors": floors(),
        "training_share": training_share(arguments.repeats),
        "alignment_error_rate": alignment_errors(),
        "rows": [asdict(row) for row in rows],
    }
    print(table(rows), ratios(rows), sep="\n\n")
    print(json.dumps({key: value for key, value in result.items() if key != "rows"}, indent=1))
    if arguments.json:
        temporary = arguments.json.with_suffix(".tmp")
        temporary.write_text(json.dumps(result, indent=1))
        temporary.rename(arguments.json)


if __name__ == "__main__":
    main()
