# ruff: noqa: E402
"""What a GPU does with every part that has code for one: checks against the CPU, times, and the card's limits.

    python benchmarks/gpu.py [--json gpu.json]           at most 8 minutes on a GPU of 24 GB
    python benchmarks/gpu.py --device cpu --small        the same calls, tiny, on a CPU: 1 minute

It needs torch, numpy, numba, safetensors, transformers and lightning, and the sources of this package (run it
in their folder). Packages that only validate settings and annotate shapes may be missing; `stand_ins` replaces
them. Triton and late-interaction-kernels take part where they are installed; `TRITON_INTERPRET=1` runs Triton
on a CPU.

Every row of the table has a part, what was measured, the number and its unit, what the card allows (from the
products and copies that `limits` measures first), and whether the check passed. Times are medians of 7 calls (1
if small) after warm-up calls, between synchronisations. A part that fails reports its error; the others go on.

- transport: Triton and tensor Sinkhorn against exact transport: marginal error, and the gap of the cost as a
  share of that between the independent and the exact plan. Floor: reading the costs and writing the plans.
- training: steps of a 12-layer BERT of 768 components with random weights, 192 pairs of 32 tokens, in three
  precisions, with a stored and an online teacher. Floor: 6 FLOP a weight and token, 8 with the teacher.
- encoding: documents of 180 tokens by the same encoder. Floor: 2 FLOP a weight and token.
- search: 50,000 passages of 60 tokens in int8; exact and pruned search, whose order must be the CPU's.
- ddp: a short distillation by one process and by two (on two GPUs, or on the CPU where there are not two),
  whose losses must agree.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import stand_ins

STAND_INS = stand_ins.install()  # before anything of the package is imported

import lightning
import numpy as np
import torch
import torch.nn.functional as functional

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.mixture import FixedTotal
from optical_sweeps.encoders.backbones import Backbone
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.tiny_backbone import train_tokenizer
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings, TokenEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.objectives import Optical
from optical_sweeps.retrieval.maxsim import search
from optical_sweeps.retrieval.pruned_index import build_pruned
from optical_sweeps.retrieval.pruned_search import search_pruned
from optical_sweeps.retrieval.search_settings import PrunedSearch
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.training.bitext_data import BitextDataModule, DrawnBitext
from optical_sweeps.training.callbacks import DevValidation
from optical_sweeps.training.context import TrainingContext
from optical_sweeps.training.distillation_module import DistillationModule
from optical_sweeps.training.fit import fit
from optical_sweeps.training.machine import Machine
from optical_sweeps.training.online_teacher import OnlineTeacher
from optical_sweeps.training.ranks import join
from optical_sweeps.training.stored_teacher import StoredTeacher
from optical_sweeps.training.training_settings import TrainingSettings
from optical_sweeps.transport import Exact, Sinkhorn, TransportProblem

DIM, K, WARM_STEPS = 128, 10, 4
WORDS = 2_000


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    part: str
    case: str
    value: float | None = None
    unit: str = ""
    limit: float | None = None
    check: str = ""


@dataclass
class Bench:
    """The device, and the rates that `limits` measures on it: FLOP/s by precision, and bytes per second."""

    device: str
    small: bool
    folder: Path
    flops: dict[str, float]
    bandwidth: float = math.nan

    def synchronise(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def seconds(self, work: Callable[[], object]) -> float:
        """Median seconds of a call."""
        for _ in range(1 if self.small else 2):
            work()
        times = []
        for _ in range(1 if self.small else 7):
            self.synchronise()
            start = time.perf_counter()
            work()
            self.synchronise()
            times.append(time.perf_counter() - start)
        return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rank", type=Path, help=argparse.SUPPRESS)  # a process of the part ddp
    arguments = parser.parse_args()
    if arguments.rank:
        distil_as_rank(arguments.rank, arguments.device)
        return
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch sees no GPU; use --device cpu --small to check the calls on a CPU")
    started, rows = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments.device, arguments.small, Path(folder), {})
        for name, part in PARTS.items():
            try:
                for row in part(bench):
                    rows.append(row)
                    print_row(row)
            except Exception as error:
                traceback.print_exc()
                rows.append(Row(name, "failed", check=f"FAILED: {type(error).__name__}: {error}"[:200]))
                print_row(rows[-1])
    name = torch.cuda.get_device_name() if arguments.device == "cuda" else "CPU"
    facts = {"device": name, "torch": torch.__version__, "lightning": lightning.__version__}
    facts |= {"stand_ins": STAND_INS, "seconds": round(time.perf_counter() - started)}
    print(facts)
    if arguments.json:
        content = {**facts, "rows": [asdict(row) for row in rows]}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")
    if any(row.check.startswith("FAILED") for row in rows):
        raise SystemExit(1)


def print_row(row: Row) -> None:
    value = "" if row.value is None else f"{row.value:.4g} {row.unit}"
    limit = "" if row.limit is None else f"{row.limit:.4g}"
    print(f"| {row.part} | {row.case} | {value} | {limit} | {row.check} |", flush=True)


def passed(condition: object, otherwise: str) -> str:
    return "ok" if condition else f"FAILED: {otherwise}"


# --------------------------------------------------------------------------------------- what the card allows


def limits(bench: Bench) -> Iterator[Row]:
    """Products of square matrices in each precision, and copying memory."""
    size = 256 if bench.small else 8192
    for name in precisions(bench):
        a, b = (torch.randn(size, size, device=bench.device, dtype=getattr(torch, name)) for _ in range(2))
        bench.flops[name] = 2 * size**3 / bench.seconds(lambda a=a, b=b: a @ b)
        yield Row("limits", f"product in {name}", bench.flops[name] / 1e12, "TFLOP/s")
    source = torch.empty(2**20 if bench.small else 2**30, dtype=torch.uint8, device=bench.device)
    target = torch.empty_like(source)
    bench.bandwidth = 2 * len(source) / bench.seconds(lambda: target.copy_(source))
    yield Row("limits", "copy, read and written", bench.bandwidth / 1e9, "GB/s")


def precisions(bench: Bench) -> tuple[str, ...]:
    return ("float32", "bfloat16", "float16") if bench.device == "cuda" else ("float32", "bfloat16")


# --------------------------------------------------------------------------------------------------- transport


def transport(bench: Bench) -> Iterator[Row]:
    """Sinkhorn's plans beside exact ones."""
    runs_triton = bool(find_spec("triton")) and (
        bench.device == "cuda" or os.environ.get("TRITON_INTERPRET") == "1"
    )
    for count, size in ((4, 8),) if bench.small else ((192, 32), (256, 64), (64, 128)):
        cost = costs(count, size)
        lengths = torch.randint(size // 2, size + 1, (2, count), generator=torch.Generator().manual_seed(1))
        on_cpu = TransportProblem.from_lengths(cost, *lengths)
        problem = TransportProblem.from_lengths(cost.to(bench.device), *lengths.to(bench.device))
        exact = Exact()(on_cpu).matrix
        best, independent = ((plan * cost).sum() for plan in (exact, on_cpu.a[:, :, None] * on_cpu.b[:, None]))
        floor = 2 * cost.numel() * 4 / bench.bandwidth * 1e3
        for name in ("tensor", "fused"):
            case = f"{count} problems of {size} x {size}, {name}"
            if name == "fused" and not runs_triton:
                yield Row("transport", case, check="skipped: Triton is not installed, or cannot run here")
                continue
            solver = Sinkhorn(epsilon=0.01, implementation=name)
            plan = solver(problem)
            gap = float(((plan.matrix.cpu() * cost).sum() - best) / (independent - best))
            worst = float(plan.marginal_error.max())
            check = passed(plan.converged.all() and -1e-4 < gap < 0.1, f"marginals {worst:.1e}, gap {gap:.2e}")
            took = bench.seconds(lambda solver=solver, problem=problem: solver(problem)) * 1e3
            yield Row("transport", case, took, "ms", floor, f"{check}, marginals {worst:.1e}, gap {gap:.1e}")


def costs(count: int, size: int) -> torch.Tensor:
    """1 - cos of unit vectors and a noisy permutation of them."""
    generator = torch.Generator().manual_seed(0)
    x, noise = (torch.randn(count, size, DIM, generator=generator) for _ in range(2))
    y = functional.normalize(functional.normalize(x, dim=2).flip(1) + 0.7 * noise / DIM**0.5, dim=2)
    return (1 - functional.normalize(x, dim=2) @ y.mT).contiguous()


# ------------------------------------------------------------------------------------------ training, encoding


def base_encoder(small: bool) -> tuple[TokenEncoder, int]:
    """A BERT with random weights, and its weights besides the word vectors."""
    import transformers

    tokenizer = train_tokenizer(texts(WORDS, 8), 4_000)
    layers, width = (2, 64) if small else (12, 768)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 32,
        intermediate_size=4 * width, max_position_embeddings=256, pad_token_id=tokenizer.pad_token_id,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    config._attn_implementation = "sdpa"
    torch.manual_seed(0)
    model = transformers.BertModel(config, add_pooling_layer=False)
    settings = TokenEncoderSettings(dim=DIM, query_prefix="", document_prefix="")
    encoder = TokenEncoder(Backbone(model.eval(), tokenizer, "base"), settings)
    weights = sum(value.numel() for value in model.encoder.parameters()) + width * DIM
    return encoder, weights


def texts(count: int, words: int, seed: int = 0) -> list[str]:
    """Texts of random words of three syllables."""
    rng = np.random.default_rng(seed)
    syllables = [first + second for first in "bdfgklmnprst" for second in "aeiou"]
    vocabulary = ["".join(rng.choice(syllables, 3)) for _ in range(WORDS)]
    return [" ".join(rng.choice(vocabulary, words)) for _ in range(count)]


class NoEvaluation:
    """A dev evaluator that costs nothing."""

    def evaluate(self, student: object, step: int) -> float:
        return 0.0


class Losses:
    """Remembers the logged losses."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.values += [value for name, value in metrics.items() if name == "train/loss"]

    def state_dict(self) -> dict[str, object]:
        return {}

    def load_state_dict(self, state: object) -> None: ...


def distil(
    encoder: TokenEncoder,
    pairs: int,
    settings: TrainingSettings,
    objective: Optical,
    context: TrainingContext,
    device: str,
) -> None:
    """Train a copy of the encoder on random pairs, all of one language."""
    english, coded = texts(pairs, 16), texts(pairs, 16, seed=1)
    drawn = DrawnBitext(
        FixedTotal(total=pairs, ratio=1.0).draw({"xx": pairs}, [], ["xx"]),
        {"xx": Bitext("xx", tuple(english), tuple(coded))},
    )
    teacher = encoder.to(device)
    stored = settings.teacher == "stored"
    source = (
        StoredTeacher({"query": teacher.encode(drawn.english, "query")})
        if stored
        else OnlineTeacher(teacher, {"query": drawn.tokenise(teacher, drawn.english, "query")})
    )
    student = encoder.copy().freeze(embeddings=True).train()
    data = BitextDataModule(drawn, student, source, ["query"], frozenset(), settings, context, seed=1)
    module = DistillationModule(
        student, source, objective, settings,
        steps=data.steps, wreck=context.folder / "wreck", ranks=context.ranks,
    )  # fmt: skip
    fit(module, data, DevValidation(NoEvaluation(), settings, data.steps, context), context, seed=1)


def training(bench: Bench) -> Iterator[Row]:
    """Pairs per second, peak memory, and the share of transport."""
    encoder, weights = base_encoder(bench.small)
    batch, steps = (8, 6) if bench.small else (192, 16)
    lightning_name = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}
    solver = Sinkhorn(implementation="fused" if bench.device == "cuda" and find_spec("triton") else "auto")
    tokens = batch * 32
    for name in precisions(bench):
        for teacher in ("stored", "online"):
            times: list[float] = []
            losses = Losses()

            def tick(step: int, total: int, times: list[float] = times) -> None:
                bench.synchronise()
                times.append(time.perf_counter())

            settings = TrainingSettings(
                batch_size=batch, precision=lightning_name[name], teacher=teacher, log_every=1
            )
            machine = Machine(accelerator="gpu" if bench.device == "cuda" else "cpu")
            context = TrainingContext(machine, bench.folder, progress=tick, logger=losses)
            if bench.device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            distil(encoder, batch * steps, settings, Optical(solver), context, bench.device)
            step = statistics.median(np.diff(times[WARM_STEPS - 1 :]))
            floor = (6 if teacher == "stored" else 8) * weights * tokens / bench.flops[name]
            check = passed(losses.values and np.isfinite(losses.values).all(), f"losses {losses.values}")
            case = f"{name}, {teacher} teacher"
            yield Row("training", case, batch / step, "pairs/s", batch / floor, check)
            if bench.device == "cuda":
                peak = torch.cuda.max_memory_allocated() / 1e9
                yield Row("training", f"{case}, memory", peak, "GB")
            if name == "float32" and teacher == "stored":
                yield Row(
                    "training", "share of the objective", transport_share(bench, solver, batch, step), "%"
                )


def transport_share(bench: Bench, solver: Sinkhorn, batch: int, step: float) -> float:
    """Percent of a step that the objective takes, forward and backward, for the same shapes."""
    mask = torch.ones(batch, 32, dtype=torch.bool, device=bench.device)
    student, teacher = (
        functional.normalize(torch.randn(batch, 32, DIM, device=bench.device), dim=2) for _ in range(2)
    )
    student.requires_grad_()
    objective = Optical(solver)

    english = torch.arange(batch, device=bench.device)

    def work() -> None:
        tokens = TokenEmbeddings(student, mask), TokenEmbeddings(teacher, mask)
        objective(*tokens, english).loss.backward()

    return 100 * bench.seconds(work) / step


def encoding(bench: Bench) -> Iterator[Row]:
    """Tokens per second of documents; lower precisions must agree with float32."""
    encoder, weights = base_encoder(bench.small)
    encoder.to(bench.device)
    documents = texts(16 if bench.small else 2_048, 90)
    reference = encoder.encode(documents, "document", batch_size=128)
    for name in precisions(bench):
        took = bench.seconds(
            lambda name=name: encoder.encode(documents, "document", batch_size=128, precision=name)
        )
        again = encoder.encode(documents, "document", batch_size=128, precision=name)
        cosine = float((again.vectors * reference.vectors).sum(1).min())
        tokens = len(reference.vectors)
        check = passed(cosine > 0.99, "cosine") + f", lowest cosine {cosine:.5f}"
        floor = bench.flops[name] / (2 * weights)
        yield Row("encoding", name, tokens / took, "tokens/s", floor, check)


# ------------------------------------------------------------------------------------------------------ search


def search_part(bench: Bench) -> Iterator[Row]:
    """Queries per second of exact and pruned search, with the CPU's order."""
    passages, count = (200, 4) if bench.small else (50_000, 64)
    rng = np.random.default_rng(0)
    means = rng.standard_normal((5_000, DIM), dtype=np.float32)
    offsets = np.arange(passages + 1, dtype=np.int64) * 60
    rows = [around(rng, means, 60 * min(4_096, passages - first)) for first in range(0, passages, 4_096)]
    ids = [f"d{number:06d}" for number in range(passages)]
    documents = RaggedEmbeddings(np.concatenate(rows), offsets)
    index = TokenIndex.build(bench.folder / "index", ids, [documents], "int8")
    names = [str(number) for number in range(count)]
    queries = RaggedEmbeddings(around(rng, means, count * 32), np.arange(count + 1, dtype=np.int64) * 32)
    work = 2 * index.tokens * 32 * DIM
    rate = min(bench.flops["float32"] / work, bench.bandwidth / (index.tokens * (DIM + 4)) * count)
    exact = search(index, names, queries, K)
    took = bench.seconds(lambda: search(index, names, queries, K, device=bench.device))
    check = same_order(search(index, names, queries, K, device=bench.device), exact)
    yield Row("search", f"exact, {passages:,} passages", count / took, "queries/s", rate, check)
    pruned = build_pruned(bench.folder / "pruned", index, PrunedSearch(), device=bench.device)
    on_cpu = search_pruned(pruned, names, queries, K, passages, passages)
    check = same_order(on_cpu, exact)
    settings = PrunedSearch()
    probes, candidates = settings.probes, settings.candidates

    def find() -> object:
        return search_pruned(pruned, names, queries, K, probes, candidates, device=bench.device)

    yield Row("search", "pruned, defaults", count / bench.seconds(find), "queries/s", None, check)
    yield from peer_search(bench, documents, queries, exact, rate)


def around(rng: np.random.Generator, means: np.ndarray, rows: int) -> np.ndarray:
    vectors = means[rng.integers(0, len(means), rows)] + 0.5 * rng.standard_normal(
        (rows, DIM), dtype=np.float32
    )
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def same_order(run: object, exact: object) -> str:
    """Scores within rounding, and the same documents except where such scores tie."""
    close = all(np.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(run.scores, exact.scores, strict=True))
    pairs = zip(run.documents, exact.documents, strict=True)
    same = statistics.mean(set(a) == set(b) for a, b in pairs)
    return passed(close and same > 0.9, f"scores close: {close}") + f", {same:.0%} with the CPU's ten"


def peer_search(
    bench: Bench, documents: RaggedEmbeddings, queries: RaggedEmbeddings, exact: object, rate: float
) -> Iterator[Row]:
    """late-interaction-kernels on float32 vectors that lie on the device already."""
    if not find_spec("late_interaction_kernels"):
        yield Row("search", "late-interaction-kernels", check="skipped: not installed")
        return
    from late_interaction_kernels import maxsim

    d = torch.from_numpy(documents.vectors).view(-1, 60, DIM).to(bench.device)
    q = torch.from_numpy(queries.vectors).view(-1, 32, DIM).to(bench.device)
    with torch.inference_mode():
        took = bench.seconds(lambda: maxsim(q, d).topk(K))
        best = maxsim(q, d).topk(K).values.cpu().numpy()
    close = np.allclose(best, np.stack(exact.scores), rtol=0.05)  # ours are of int8 vectors
    yield Row("search", "late-interaction-kernels", len(q) / took, "queries/s", rate, passed(close, "scores"))


# --------------------------------------------------------------------------------------------------------- ddp


def ddp(bench: Bench) -> Iterator[Row]:
    """The losses of a distillation by one process and by two."""
    device = "cuda" if bench.device == "cuda" and torch.cuda.device_count() > 1 else "cpu"
    losses = []
    for world in (1, 2):
        target = bench.folder / f"losses-{world}.json"
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={world}"] * (world > 1)
        command = [sys.executable, *launcher, __file__, "--device", device, "--rank", str(target)]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-1500:])
        losses.append(json.loads(target.read_text()))
        check = passed(np.allclose(losses[-1], losses[0], rtol=1e-3), f"losses {losses}")
        case = f"{world} process{'es' * (world > 1)} on {device}"
        yield Row("ddp", case, time.perf_counter() - start, "s with start-up", None, check)


def distil_as_rank(target: Path, device: str) -> None:
    """One process of a distillation; rank 0 writes the losses."""
    torch.set_num_threads(1)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    machine = Machine(accelerator="gpu" if device == "cuda" else "cpu", devices=world)
    ranks, losses = join(world, device), Losses()
    context = TrainingContext(machine, target.parent / f"rank-{ranks.rank}", ranks=ranks, logger=losses)
    settings = TrainingSettings(batch_size=8, log_every=1)
    distil(base_encoder(small=True)[0], 48, settings, Optical(Sinkhorn()), context, device)
    if ranks.is_first:
        target.write_text(json.dumps(losses.values))


PARTS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "limits": limits,
    "transport": transport,
    "training": training,
    "encoding": encoding,
    "search": search_part,
    "ddp": ddp,
}

if __name__ == "__main__":
    main()
