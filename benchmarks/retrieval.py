"""Retrieval compared with other libraries: exact MaxSim, indexing, a million passages, measures, stages.

    python benchmarks/retrieval.py search   --peers PYTHON [--passages 100000]      about 10 minutes
    python benchmarks/retrieval.py index    --peers PYTHON --debian FOLDER          about 15 minutes
    python benchmarks/retrieval.py million  --folder DIR                            about 10 minutes, 7 GB
    python benchmarks/retrieval.py stages   --debian FOLDER --index FOLDER --teacher FOLDER --student FOLDER
    python benchmarks/retrieval.py stages   ... --recombined --passages 1000000 --folder DIR    20 minutes, 4 GB
    python benchmarks/retrieval.py measures                                         about 1 minute
    python benchmarks/retrieval.py agreement --debian FOLDER                        about 10 minutes

PYTHON is the interpreter of an environment with the peers: the same version of torch, pylate 1.1.2,
sentence-transformers, maxsim-cpu 0.1.0, fast-maxsim 0.2.0. For `stages`, --index and --teacher are entries of
the artifact store of a run of experiment=debian (the teacher's `encoder`), --student its `checkpoints`.
Every number is the median of --repeats calls after a warm-up call. Programs take turns,
--rounds times, each in its own process, whose peak memory is reported. `--json FILE` writes all numbers.

`search`: token vectors of length 1 are drawn once and rounded to 8 bits, so that every index and every peer
has the same vectors apart from float16's rounding, and the ten best documents can be compared. Peers get
float32 with documents sorted by length and padded within chunks, outside the measured time.
"""

import argparse
import importlib
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

DIM, QUERY_TOKENS, K = 128, 32, 10
BATCHES = (1, 16)
CHUNK = 4_096  # documents that a peer scores at a time
OURS = ("optical-sweeps float16", "optical-sweeps int8", "optical-sweeps float32")
PEERS = ("pylate colbert_scores", "torch einsum", "maxsim-cpu", "fast-maxsim", "maxsim-cpu variable")
PRECISIONS = ("float32", "bfloat16")
NOISE = 0.3
"""Length of the noise that is added to a token vector of length 1."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*PARTS, "_searcher", "_encoder"])
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--debian", type=Path)
    parser.add_argument("--documents", type=int, default=4096, help="of Debian, for index and agreement")
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    for name in ("--index", "--teacher", "--student"):
        parser.add_argument(name, type=Path, help="for stages")
    parser.add_argument("--queries", type=int, default=1000, help="of each language, for stages")
    parser.add_argument("--timed", type=int, default=256, help="queries that are timed, for stages")
    parser.add_argument("--first-stage", type=int, default=1000, help="candidates to rerank, for stages")
    parser.add_argument("--recombined", action="store_true", help="for stages: passages of two documents")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.part.startswith("_"):
        print(json.dumps(WORKERS[arguments.part](*arguments.words)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        figures = {"machine": machine(), **PARTS[arguments.part](arguments, Path(folder))}
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


# ------------------------------------------------------------------------------------------------ the machine


def machine() -> dict[str, object]:
    """What two cores can do: float32 and integer products, and bytes read from memory."""
    import torch

    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    whole = [torch.randint(-127, 128, (4096, 1024), dtype=torch.int8) for _ in range(2)]
    ones = np.ones(2**28, np.float32)
    sgemm = 2 * 2048**3 / median(lambda: a @ b, 7) / 1e9
    wholes = 2 * 4096 * 4096 * 1024 / median(lambda: torch._int_mm(whole[0], whole[1].T), 7) / 1e9
    reading = ones.nbytes / median(lambda: torch.from_numpy(ones).sum(), 7) / 1e9
    facts = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "load": os.getloadavg()[0],
        "sgemm_gflops": round(sgemm),
        "int8_gops": round(wholes),
        "read_gb_s": round(reading, 1),
    }
    print("machine:", facts, flush=True)
    return facts


def median(work: Callable[[], object], repeats: int) -> float:
    """Median seconds of a call, after one warm-up call."""
    work()
    return statistics.median(seconds(work) for _ in range(repeats))


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_gb() -> float:
    """Peak memory of this program; getrusage would report the larger of its own and its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1e6


def in_process(python: str, *words: str) -> dict:
    """Run a part of this file in another process and return what it prints."""
    command = [python, __file__, *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


# ---------------------------------------------------------------------------------------------------- search


def search_part(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Exact MaxSim compared with the peers, for single queries and batches."""
    draw_passages(folder, arguments.passages)
    tokens = int(np.load(folder / "offsets.npy")[-1])
    rows: dict[str, list[dict]] = {name: [] for name in (*OURS, *PEERS)}
    for _ in range(arguments.rounds):
        for name in rows:
            python = sys.executable if name in OURS else arguments.peers
            rows[name].append(in_process(python, "_searcher", str(folder), name, str(arguments.repeats)))
            print(name, rows[name][-1]["rate"], flush=True)
    figures = {name: merged(told) for name, told in rows.items()}
    best = figures["pylate colbert_scores"]["best"]
    print(f"\n{arguments.passages:,} passages, {tokens:,} tokens; queries of {QUERY_TOKENS} tokens, top {K}")
    print(
        "| who | "
        + " | ".join(f"{n} at once: queries/s, GFLOP/s" for n in BATCHES)
        + " | memory GB | same 10 |"
    )
    print("| --- |" + " --- |" * (len(BATCHES) + 2))
    for name, told in figures.items():
        cells = [
            f"{told['rate'][n]:.2f}, {told['rate'][n] * flops(tokens) / 1e9:.0f}" for n in map(str, BATCHES)
        ]
        same = statistics.mean(set(a) == set(b) for a, b in zip(told["best"], best, strict=True))
        told["same_top_10"] = same
        print(f"| {name} | {' | '.join(cells)} | {told['memory_gb']:.1f} | {same:.0%} |")
    for ours in OURS:
        ratios = {
            n: figures[ours]["rate"][n] / max(figures[peer]["rate"][n] for peer in PEERS)
            for n in map(str, BATCHES)
        }
        figures[ours]["ratio"] = ratios
        store = sum(path.stat().st_size for path in (folder / ours.split()[1]).rglob("*")) / 1e9
        figures[ours]["store_gb"] = store
        told = ", ".join(f"{value:.1f} for {n} at once" for n, value in ratios.items())
        beyond = figures[ours]["memory_gb"] - store
        print(f"{ours}: times the fastest peer: {told}; store {store:.2f} GB, memory beyond it {beyond:.2f} GB")
    return {"passages": arguments.passages, "tokens": tokens, "search": figures}


def flops(tokens: int) -> int:
    """FLOP of one query in the product alone."""
    return 2 * tokens * QUERY_TOKENS * DIM


def merged(told: list[dict]) -> dict:
    rates = {n: statistics.median(one["rate"][n] for one in told) for n in told[0]["rate"]}
    return {"rate": rates, "memory_gb": max(one["memory_gb"] for one in told), "best": told[0]["best"]}


def draw_passages(folder: Path, passages: int) -> None:
    """Indexes of every precision, and plain arrays for the peers, all with the same vectors."""
    from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
    from optical_sweeps.retrieval.shards import quantise
    from optical_sweeps.retrieval.token_index import TokenIndex

    rng = np.random.default_rng(0)
    lengths = rng.integers(40, 81, passages)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    np.save(folder / "offsets.npy", offsets)
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (int(offsets[-1]), DIM))
    for start in range(0, len(vectors), 2**17):
        stretch = unit(rng, min(2**17, len(vectors) - start))
        codes, scales = quantise(stretch)
        vectors[start : start + len(stretch)] = codes * scales[:, None]
    np.save(folder / "queries.npy", unit(rng, max(BATCHES) * QUERY_TOKENS).reshape(-1, QUERY_TOKENS, DIM))
    ids = [f"d{number:08d}" for number in range(passages)]
    for dtype in ("float16", "int8", "float32"):
        batches = (
            RaggedEmbeddings(
                vectors[offsets[a] : offsets[min(a + 4096, passages)]],
                offsets[a : min(a + 4096, passages) + 1] - offsets[a],
            )
            for a in range(0, passages, 4096)
        )
        TokenIndex.build(folder / dtype, ids, batches, dtype)


def unit(rng: np.random.Generator, rows: int) -> np.ndarray:
    vectors = rng.standard_normal((rows, DIM), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def searcher(folder: str, name: str, repeats: str) -> dict[str, object]:
    """Queries per second and memory of one program, and its results for the first queries."""
    queries = np.load(Path(folder) / "queries.npy")
    search = SEARCHERS[name](Path(folder))
    search(queries[:1])
    rate = {
        n: n / statistics.median(seconds(lambda n=n: search(queries[:n])) for _ in range(int(repeats)))
        for n in BATCHES
    }
    return {"rate": rate, "memory_gb": peak_gb(), "best": search(queries[:16])}


def ours(dtype: str) -> Callable[[Path], Callable[[np.ndarray], list[list[int]]]]:
    def load(folder: Path) -> Callable[[np.ndarray], list[list[int]]]:
        from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
        from optical_sweeps.retrieval.maxsim import search
        from optical_sweeps.retrieval.token_index import TokenIndex

        index = TokenIndex.load(folder / dtype)

        def find(queries: np.ndarray) -> list[list[int]]:
            offsets = np.arange(len(queries) + 1) * QUERY_TOKENS
            names = [str(number) for number in range(len(queries))]
            run = search(index, names, RaggedEmbeddings(queries.reshape(-1, DIM), offsets), K)
            return [[int(name[1:]) for name in documents] for documents in run.documents]

        return find

    return load


def padded_chunks(folder: Path) -> list[tuple[np.ndarray, object]]:
    """(document numbers, padded vectors [documents, longest, DIM]) in chunks of similar length."""
    import torch

    offsets, vectors = np.load(folder / "offsets.npy"), np.load(folder / "vectors.npy", mmap_mode="r")
    order = np.argsort(np.diff(offsets), kind="stable")
    chunks = []
    for start in range(0, len(order), CHUNK):
        members = order[start : start + CHUNK]
        texts = [torch.from_numpy(np.array(vectors[offsets[n] : offsets[n + 1]])) for n in members]
        chunks.append((members, torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)))
    return chunks


def by_chunks(
    score: Callable[[object, object], object],
) -> Callable[[Path], Callable[[np.ndarray], list[list[int]]]]:
    def load(folder: Path) -> Callable[[np.ndarray], list[list[int]]]:
        import torch

        chunks = padded_chunks(folder)
        members = np.concatenate([own for own, _ in chunks])

        def find(queries: np.ndarray) -> list[list[int]]:
            with torch.inference_mode():
                scores = torch.cat([score(torch.from_numpy(queries), vectors) for _, vectors in chunks], dim=1)
                return [members[row].tolist() for row in scores.topk(K, dim=1).indices.numpy()]

        return find

    return load


def pylate_scores(queries: object, documents: object) -> object:
    import torch
    from pylate.scores import colbert_scores

    # Several queries at once: as many as keep the similarities below 1 GB.
    step = max(1, 2**28 // (documents.shape[0] * documents.shape[1] * QUERY_TOKENS))
    return torch.cat([colbert_scores(queries[a : a + step], documents) for a in range(0, len(queries), step)])


def einsum_scores(queries: object, documents: object) -> object:
    import torch

    step = max(1, 2**28 // (documents.shape[0] * documents.shape[1] * QUERY_TOKENS))
    parts = [
        torch.einsum("qid,bjd->qbij", queries[a : a + step], documents).amax(-1).sum(-1)
        for a in range(0, len(queries), step)
    ]
    return torch.cat(parts)


def dense(module: str) -> Callable[[Path], Callable[[np.ndarray], list[list[int]]]]:
    """The dense function of maxsim-cpu, or of its fork fast-maxsim."""
    return lambda folder: equal_lengths(folder, importlib.import_module(module).maxsim_scores)


def equal_lengths(folder: Path, score: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable:
    """A dense function on groups of equal length, so that nothing is padded."""
    offsets, vectors = np.load(folder / "offsets.npy"), np.load(folder / "vectors.npy", mmap_mode="r")
    lengths = np.diff(offsets)
    groups = []
    for length in np.unique(lengths):
        members = np.flatnonzero(lengths == length)
        rows = offsets[members][:, None] + np.arange(length)
        groups.append((members, np.ascontiguousarray(vectors[rows])))
    members = np.concatenate([own for own, _ in groups])

    def find(queries: np.ndarray) -> list[list[int]]:
        best = []
        for query in queries:
            scores = np.concatenate([score(query, own) for _, own in groups])
            top = np.argpartition(scores, -K)[-K:]
            best.append(members[top[np.argsort(-scores[top])]].tolist())
        return best

    return find


def maxsim_cpu_variable(folder: Path) -> Callable[[np.ndarray], list[list[int]]]:
    import maxsim_cpu

    offsets, vectors = np.load(folder / "offsets.npy"), np.load(folder / "vectors.npy")
    texts = [vectors[a:b] for a, b in itertools.pairwise(offsets)]

    def find(queries: np.ndarray) -> list[list[int]]:
        best = []
        for query in queries:
            scores = np.asarray(maxsim_cpu.maxsim_scores_variable(query, texts))
            top = np.argpartition(scores, -K)[-K:]
            best.append(top[np.argsort(-scores[top])].tolist())
        return best

    return find


SEARCHERS: dict[str, Callable[[Path], Callable[[np.ndarray], list[list[int]]]]] = {
    **{name: ours(name.split()[1]) for name in OURS},
    "pylate colbert_scores": by_chunks(pylate_scores),
    "torch einsum": by_chunks(einsum_scores),
    "maxsim-cpu": dense("maxsim_cpu"),
    "fast-maxsim": dense("fast_maxsim"),
    "maxsim-cpu variable": maxsim_cpu_variable,
}


# ----------------------------------------------------------------------------------------------------- index


def index_part(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Documents per second into an index, compared with PyLate's encode, in two precisions."""
    texts = debian_documents(arguments.debian, arguments.documents)[1]
    (folder / "texts.json").write_text(json.dumps(texts))
    save_backbone(folder / "model")
    python = {"ours, to disk": sys.executable, "pylate encode": arguments.peers}
    told: dict[str, list[dict]] = {f"{who}, {precision}": [] for precision in PRECISIONS for who in python}
    for _ in range(arguments.rounds):
        for name in told:
            who, precision = name.rsplit(", ", 1)
            told[name].append(in_process(python[who], "_encoder", str(folder), who, precision))
            print(name, told[name][-1], flush=True)
    rates = {name: statistics.median(one["documents_a_second"] for one in all_) for name, all_ in told.items()}
    print(f"\n{len(texts)} documents of Debian\n| who | documents/s |\n| --- | --- |")
    for name, rate in rates.items():
        print(f"| {name} | {rate:.1f} |")
    ratios = {
        f"{one} / {other}": rates[f"ours, to disk, {one}"] / rates[f"pylate encode, {other}"]
        for one, other in (("float32", "float32"), ("bfloat16", "bfloat16"), ("bfloat16", "float32"))
    }
    print("ours / pylate:", {name: round(ratio, 2) for name, ratio in ratios.items()})
    return {"documents": len(texts), "index": rates, "ratios": ratios, "tokens": told}


def debian_documents(folder: Path, count: int) -> tuple[list[str], list[str]]:
    """Ids and texts of evenly spaced documents of the collection."""
    import gzip

    with gzip.open(folder / "docs.tsv.gz", "rt", encoding="utf-8") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines]
    chosen = [rows[int(place)] for place in np.linspace(0, len(rows) - 1, min(count, len(rows)))]
    return [row[0] for row in chosen], [". ".join(row[1:]) for row in chosen]


def save_backbone(folder: Path) -> None:
    """Save the complete offline multilingual-e5-small in the layout that PyLate reads."""
    from optical_sweeps.encoders.e5_backbone import E5SmallOffline

    backbone = E5SmallOffline(layers=4, prune_vocabulary=False).build(None)
    backbone.model.save_pretrained(folder)
    backbone.tokenizer.save_pretrained(folder)
    # Two generations of transformers name a tokenizer's class in two ways.
    for name, keys in (("tokenizer_config.json", ("tokenizer_class", "backend")), ("config.json", ())):
        facts = json.loads((folder / name).read_text())
        facts.update({key: "PreTrainedTokenizerFast" for key in keys if key == "tokenizer_class"})
        (folder / name).write_text(json.dumps(facts))


def encoder_worker(folder: str, who: str, precision: str) -> dict[str, object]:
    texts = json.loads((Path(folder) / "texts.json").read_text())
    encode = (ours_encode if who.startswith("ours") else pylate_encode)(Path(folder), precision)
    encode(texts[:64])
    start, cpu = time.perf_counter(), time.process_time()
    tokens = encode(texts)
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {
        "documents_a_second": len(texts) / took,
        "documents_a_cpu_second": len(texts) / cpu,
        "tokens": tokens,
        "memory_gb": peak_gb(),
    }


def ours_encode(folder: Path, precision: str) -> Callable[[list[str]], int]:
    from optical_sweeps.encoders.e5_backbone import E5SmallOffline
    from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
    from optical_sweeps.encoders.token_encoder import TokenEncoder
    from optical_sweeps.retrieval.index_documents import index_documents
    from optical_sweeps.retrieval.index_settings import IndexSettings

    backbone = E5SmallOffline(layers=4, prune_vocabulary=False).build(None)
    of_colbert = TokenEncoderSettings(
        query_prefix="[Q] ", document_prefix="[D] ", use_special_tokens=True, use_prefix_tokens=True
    )
    encoder = TokenEncoder(backbone, of_colbert).eval()

    def encode(texts: list[str]) -> int:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            ids = [str(number) for number in range(len(texts))]
            settings = IndexSettings("float16", encode_dtype=precision)
            return index_documents(Path(place), ids, texts, encoder, settings).tokens

    return encode


def pylate_encode(folder: Path, precision: str) -> Callable[[list[str]], int]:
    import torch
    from pylate import models

    model = models.ColBERT(
        str(folder / "model"), device="cpu", embedding_size=DIM, document_length=180, query_length=32,
        query_prefix="[Q] ", document_prefix="[D] ",
    ).to(getattr(torch, precision))  # fmt: skip

    def encode(texts: list[str]) -> int:
        vectors = model.encode(
            texts, is_query=False, batch_size=64, show_progress_bar=False,
            convert_to_numpy=precision == "float32", convert_to_tensor=precision != "float32",
        )  # fmt: skip
        return sum(len(one) for one in vectors)

    return encode


# --------------------------------------------------------------------------------------------------- stages


def stages_part(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Pruned search and reranking against exact search, in CPU time of one thread, taking turns.

    Debian's test titles of seven languages, with a trained student, over all documents in int8; with
    --recombined over --passages passages that consist of two documents each, with noise.
    """
    import torch

    torch.set_num_threads(1)
    made = recombined_vectors(arguments, folder) if arguments.recombined else debian_vectors(arguments)
    index, names, queries, languages, qrels = made
    with MemoryWatch() as watch:
        start, built = time.perf_counter(), time.process_time()
        pruned = build_stage(folder / "pruned", index)
        figures: dict[str, object] = {
            "documents": len(index), "tokens": index.tokens, "centroids": len(pruned.centroids),
            "build_cpu_s": time.process_time() - built, "build_s": time.perf_counter() - start,
            "peak_gb_building": watch.peak(),
        }  # fmt: skip
    systems = stages(index, pruned, arguments.first_stage)
    chosen = range(min(len(names), arguments.timed))
    timed_names, timed = [names[number] for number in chosen], queries.take(list(chosen))
    costs: dict[str, list[float]] = {name: [] for name in systems}
    for find in systems.values():
        find(timed_names[:2], timed.take([0, 1]))
    for _ in range(arguments.repeats):
        for name, find in systems.items():
            start = time.process_time()
            find(timed_names, timed)
            costs[name].append((time.process_time() - start) / len(timed_names))
    figures["cpu_ms_a_query"] = {name: statistics.median(values) * 1e3 for name, values in costs.items()}
    exact = figures["cpu_ms_a_query"]["exact"]
    figures["times_exact"] = {name: exact / value for name, value in figures["cpu_ms_a_query"].items()}
    figures["kept of the timed"] = kept_shares(systems, timed_names, timed)
    if qrels:
        figures["nDCG@10"] = stage_measures(systems, names, queries, languages, qrels)
    for name, value in figures.items():
        print(f"| {name} | {value} |", flush=True)
    return figures


def build_stage(folder: Path, index: object) -> object:
    from optical_sweeps.retrieval.pruned_index import build_pruned
    from optical_sweeps.retrieval.search_settings import PrunedSearch

    return build_pruned(folder, index, PrunedSearch())


def stages(index: object, pruned: object, candidates: int) -> dict[str, Callable]:
    """Exact search, pruned search with several settings, and reranking of random candidates."""
    from optical_sweeps.retrieval.maxsim import search
    from optical_sweeps.retrieval.pruned_search import search_pruned
    from optical_sweeps.retrieval.rerank import rerank

    rng = np.random.default_rng(3)
    drawn = [rng.choice(len(index), min(candidates, len(index)), replace=False) for _ in range(64)]
    systems: dict[str, Callable] = {"exact": lambda names, queries: search(index, names, queries, K)}
    for probes, count in ((16, 256), (32, 512), (64, 512), (64, 1024), (128, 1024)):
        systems[f"pruned, {probes} probes, {count} candidates"] = lambda names, queries, p=probes, c=count: (
            search_pruned(pruned, names, queries, K, p, c)
        )
    systems[f"rerank {candidates}"] = lambda names, queries: rerank(
        index, names, queries, lambda query: drawn[query % len(drawn)], K
    )
    return systems


def debian_vectors(arguments: argparse.Namespace) -> tuple:
    """Debian's index, and up to --queries test titles of each language by the student, with their qrels."""
    from optical_sweeps.encoders.saved_encoders import load_encoder, load_student
    from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
    from optical_sweeps.retrieval.token_index import TokenIndex

    index = TokenIndex.load(arguments.index)
    student = load_student(arguments.student, load_encoder(arguments.teacher)).eval()
    names, texts, languages, qrels = [], [], [], {}
    for language in ("da", "fr", "sk", "ja", "uk", "cs", "fi"):
        place = arguments.debian / language
        for line in (place / "qrels.test.txt").read_text(encoding="utf-8").splitlines():
            query, _, document, grade = line.split()
            qrels.setdefault(f"{language}:{query}", {})[document] = int(grade)
        rows = (place / "queries.test.tsv").read_text(encoding="utf-8").splitlines()
        for row in rows[: arguments.queries]:
            query, text = row.split("\t")
            names.append(f"{language}:{query}")
            texts.append(text)
            languages.append(language)
    order = np.random.default_rng(0).permutation(len(names)).tolist()  # timed: a mixture of languages
    names, texts, languages = ([values[n] for n in order] for values in (names, texts, languages))
    queries = student.encode(texts, "query")
    assert isinstance(queries, RaggedEmbeddings)
    return index, names, queries, languages, qrels


def recombined_vectors(arguments: argparse.Namespace, folder: Path) -> tuple:
    """An int8 index of --passages passages, each two of Debian's documents with noise, and Debian's titles."""
    from optical_sweeps.encoders.ragged import take_rows
    from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
    from optical_sweeps.retrieval.build_index import build_index
    from optical_sweeps.retrieval.index_settings import IndexSettings

    source, names, queries, languages, _ = debian_vectors(arguments)
    (shard,) = source.shards

    def encode(first: int, last: int):
        for start in range(first, last, 4096):
            rng = np.random.default_rng(start)
            count = min(4096, last - start)
            rows, offsets = take_rows(shard.offsets, rng.integers(0, len(source), 2 * count))
            vectors = shard.floats(rows)
            vectors += NOISE / vectors.shape[1] ** 0.5 * rng.standard_normal(vectors.shape, dtype=np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            yield RaggedEmbeddings(vectors, offsets[::2])

    ids = [f"d{number:08d}" for number in range(arguments.passages)]
    with MemoryWatch() as watch:
        index = build_index(folder / "index", ids, encode, IndexSettings("int8"))
    print("peak GB while the index was built:", watch.peak(), flush=True)
    return index, names, queries, languages, {}


def kept_shares(systems: dict, names: list, queries: object) -> dict[str, float]:
    """The mean share of the exact ten documents that each pruned search returns."""
    runs = {name: find(names, queries).documents for name, find in systems.items() if "rerank" not in name}
    return {
        name: statistics.mean(len(set(a) & set(b)) / len(b) for a, b in zip(found, runs["exact"], strict=True))
        for name, found in runs.items()
    }


def stage_measures(systems: dict, names: list, queries: object, languages: list, qrels: dict) -> dict:
    """nDCG@10 of each system by language, and the share of the exact ten documents that it keeps."""
    from optical_sweeps.evaluation.measures import Measure, evaluate

    measure, values, exact = Measure.parse("nDCG@10"), {}, None
    for name, find in systems.items():
        if name.startswith("rerank"):
            continue
        run = find(names, queries)
        exact = exact or run
        kept = [len(set(a) & set(b)) / len(b) for a, b in zip(run.documents, exact.documents, strict=True) if b]
        scores = evaluate(run, {query: qrels[query] for query in names}, [measure])
        value_of = dict(zip(scores.query_ids, scores.values[measure].tolist(), strict=True))
        values[name] = {
            language: statistics.mean(
                value_of[query] for query, own in zip(names, languages, strict=True) if own == language
            )
            for language in dict.fromkeys(languages)
        } | {"kept": statistics.mean(kept)}
    return values


# --------------------------------------------------------------------------------------------------- million


def million_part(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Index and search a million passages of 50 tokens, and watch the memory."""
    from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
    from optical_sweeps.retrieval.build_index import build_index
    from optical_sweeps.retrieval.index_settings import IndexSettings
    from optical_sweeps.retrieval.maxsim import search
    from optical_sweeps.retrieval.token_index import TokenIndex

    passages = 1_000_000
    lengths = np.random.default_rng(1).integers(30, 71, passages)

    def encode(first: int, last: int):
        for start in range(first, last, 4096):
            own = lengths[start : min(start + 4096, last)]
            rows = unit(np.random.default_rng(start), int(own.sum()))
            yield RaggedEmbeddings(rows, np.concatenate([[0], np.cumsum(own)]).astype(np.int64))

    ids = [f"d{number:08d}" for number in range(passages)]
    with MemoryWatch() as watch:
        built = seconds(lambda: build_index(folder, ids, encode, IndexSettings("int8")))
        indexing = watch.peak()
    index = TokenIndex.load(folder)
    rng = np.random.default_rng(2)
    figures: dict[str, object] = {"passages": passages, "tokens": index.tokens, "built_s": built}
    with MemoryWatch() as watch:
        for count in (1, 16):
            queries = RaggedEmbeddings(unit(rng, count * QUERY_TOKENS), np.arange(count + 1) * QUERY_TOKENS)
            names = [str(number) for number in range(count)]
            took = median(lambda q=queries, n=names: search(index, n, q, 100), 3)
            figures[f"queries_a_second_{count}"] = count / took
        searching = watch.peak()
    figures.update({"peak_gb_indexing": indexing, "peak_gb_searching": searching})
    figures["disk_gb"] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9
    for name, value in figures.items():
        print(f"| {name} | {value} |")
    print("memory: anonymous is held; mapped pages of the index are the system's to take back")
    return figures


class MemoryWatch:
    """Peak resident memory of this process, sampled ten times per second: in total, and its own only."""

    def __enter__(self) -> "MemoryWatch":
        self.most = {"VmRSS": 0, "RssAnon": 0}
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    def peak(self) -> dict[str, float]:
        return {name: round(kilobytes / 1e6, 2) for name, kilobytes in self.most.items()}

    def _watch(self) -> None:
        while not self.stop.wait(0.1):
            for line in Path("/proc/self/status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in self.most:
                    self.most[name] = max(self.most[name], int(value.split()[0]))


# -------------------------------------------------------------------------------------------------- measures


def measures_part(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """5,000 queries by 1,000 documents, from run file to means; compared with pytrec_eval's values."""
    import pytrec_eval

    from optical_sweeps.evaluation.measures import Measure, evaluate, warm_up
    from optical_sweeps.retrieval.trec_runs import RetrievalRun, read_run, write_run

    rng = np.random.default_rng(0)
    names = [f"{number // 7}#{number % 7}" for number in range(200_000)]
    documents, scores = [], []
    for _ in range(5000):
        documents.append(tuple(names[n] for n in rng.choice(len(names), 1000, replace=False)))
        scores.append((np.sort(rng.choice(2**20, 1000, replace=False))[::-1] / 2**16).astype(np.float32))
    ids = tuple(f"q{number}" for number in range(5000))
    qrels = {
        q: {d: int(rng.integers(1, 4)) for d in own[5:400:37]} for q, own in zip(ids, documents, strict=True)
    }
    write_run(RetrievalRun(ids, tuple(documents), tuple(scores)), folder / "run.trec")
    write_run(RetrievalRun(ids, tuple(documents), tuple(scores)), folder / "run.trec.gz")
    wanted = [Measure.parse(text) for text in ("nDCG@10", "MAP@100", "Recall@1000")]
    warm_up()
    figures: dict[str, object] = {}
    for name in ("run.trec", "run.trec.gz"):
        took = median(lambda n=name: evaluate(read_run(folder / n), qrels, wanted), arguments.repeats)
        figures[f"{name}_s"] = took
    ours = evaluate(read_run(folder / "run.trec"), qrels, wanted)
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "map_cut.100", "recall.1000"}).evaluate(
        {q: dict(zip(d, map(float, s), strict=True)) for q, d, s in zip(ids, documents, scores, strict=True)}
    )
    spelt = {"nDCG@10": "ndcg_cut_10", "MAP@100": "map_cut_100", "Recall@1000": "recall_1000"}
    figures["largest_difference_to_pytrec_eval"] = max(
        abs(value - theirs[query][spelt[str(measure)]])
        for measure, values in ours.values.items()
        for query, value in zip(ours.query_ids, values.tolist(), strict=True)
    )
    for name, value in figures.items():
        print(f"| {name} | {value} |")
    return figures


# ------------------------------------------------------------------------------------------------- agreement


def agreement_part(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """nDCG@10 of exact search in three precisions, of BM25, and of BM25 reranked.

    The documents are Debian's. A query is the title of a document, which is its relevant document and does
    not contain the title in its text.
    """
    from optical_sweeps.encoders.e5_backbone import E5SmallOffline
    from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
    from optical_sweeps.encoders.token_encoder import TokenEncoder
    from optical_sweeps.evaluation.measures import Measure, evaluate
    from optical_sweeps.retrieval.index_documents import index_documents
    from optical_sweeps.retrieval.index_settings import IndexSettings
    from optical_sweeps.retrieval.maxsim import search
    from optical_sweeps.retrieval.rerank import rerank
    from optical_sweeps.retrieval.token_index import TokenIndex

    ids, whole = debian_documents(arguments.debian, arguments.documents)
    titles, texts = zip(*(text.partition(". ")[::2] for text in whole), strict=True)
    backbone = E5SmallOffline(layers=4, prune_vocabulary=False).build(None)
    encoder = TokenEncoder(backbone, TokenEncoderSettings()).eval()
    chosen = range(0, len(ids), max(1, len(ids) // 500))
    names = [ids[number] for number in chosen]
    queries = encoder.encode([titles[number] for number in chosen], "query")
    qrels = {name: {name: 1} for name in names}
    first = index_documents(folder / "float32", ids, texts, encoder, IndexSettings())
    stored = [first.vectors_of(number) for number in range(len(first))]
    runs = {"exact float32": search(first, names, queries, 100)}
    for dtype in ("float16", "int8"):
        index = TokenIndex.build(folder / dtype, ids, [joined(stored)], dtype)
        runs[f"exact {dtype}"] = search(index, names, queries, 100)
    lower = IndexSettings(encode_dtype="bfloat16")
    index = index_documents(folder / "bfloat16", ids, texts, encoder, lower)
    runs["exact float32, encoded in bfloat16"] = search(index, names, queries, 100)
    try:
        from optical_sweeps.retrieval.lexical import LexicalIndex

        runs["BM25"] = LexicalIndex(ids, texts).search(names, [titles[number] for number in chosen], 100)
        place_of = {name: place for place, name in enumerate(ids)}
        candidates = [[place_of[name] for name in found] for found in runs["BM25"].documents]
        runs["BM25, first 100 reranked"] = rerank(
            first, names, queries, lambda query: np.array(candidates[query], np.int64), 100
        )
    except Exception as error:
        print(f"no BM25: {error}")
    measure = Measure.parse("nDCG@10")
    values = {name: evaluate(run, qrels, [measure]).mean(measure) for name, run in runs.items()}
    print(f"\n{len(ids)} documents of Debian, {len(names)} queries")
    print("| search | nDCG@10 | difference |\n| --- | --- | --- |")
    for name, value in values.items():
        print(f"| {name} | {value:.4f} | {value - values['exact float32']:+.4f} |")
    return {"documents": len(ids), "queries": len(names), "nDCG@10": values}


def joined(texts: list[np.ndarray]) -> object:
    from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings

    return RaggedEmbeddings(np.concatenate(texts), np.cumsum([0, *map(len, texts)]).astype(np.int64))


PARTS = {
    "search": search_part,
    "index": index_part,
    "stages": stages_part,
    "million": million_part,
    "measures": measures_part,
    "agreement": agreement_part,
}
WORKERS = {"_searcher": searcher, "_encoder": encoder_worker}

if __name__ == "__main__":
    main()
