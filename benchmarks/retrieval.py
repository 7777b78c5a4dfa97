"""Retrieval compared with other libraries: exact MaxSim, indexing, a million passages, measures, PLAID.

    python benchmarks/retrieval.py search   --peers PYTHON [--passages 100000]      about 10 minutes
    python benchmarks/retrieval.py index    --peers PYTHON --debian FOLDER          about 15 minutes
    python benchmarks/retrieval.py million  --folder DIR                            about 10 minutes, 7 GB
    python benchmarks/retrieval.py measures                                         about 1 minute
    python benchmarks/retrieval.py agreement --debian FOLDER [--plaid PYTHON]       about 10 minutes

PYTHON is the interpreter of an environment with the peers: the same version of torch, pylate 1.1.2,
sentence-transformers, maxsim-cpu 0.1.0. `--plaid` names an environment with fast-plaid and the torch it was
compiled for. Every number is the median of --repeats calls after a warm-up call. Programs take turns,
--rounds times, each in its own process, whose peak memory is reported. `--json FILE` writes all numbers.

`search`: token vectors of length 1 are drawn once and rounded to 8 bits, so that every index and every peer
has the same vectors apart from float16's rounding, and the ten best documents can be compared. Peers get
float32 with documents sorted by length and padded within chunks, outside the measured time.
"""

import argparse
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
PEERS = ("pylate colbert_scores", "torch einsum", "maxsim-cpu", "maxsim-cpu variable")
PRECISIONS = ("float32", "bfloat16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*PARTS, "_searcher", "_encoder", "_plaid"])
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--plaid")
    parser.add_argument("--debian", type=Path)
    parser.add_argument("--documents", type=int, default=4096, help="of Debian, for index and agreement")
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path)
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


def maxsim_cpu(folder: Path) -> Callable[[np.ndarray], list[list[int]]]:
    """maxsim-cpu's dense function on groups of equal length, so that nothing is padded."""
    import maxsim_cpu

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
            scores = np.concatenate([maxsim_cpu.maxsim_scores(query, own) for _, own in groups])
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
    "maxsim-cpu": maxsim_cpu,
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
    """nDCG@10 of exact search in three precisions, of PLAID, of BM25, and of BM25 reranked.

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
    from optical_sweeps.retrieval.trec_runs import read_run

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
        runs["BM25, first 100 reranked"] = rerank(first, queries, runs["BM25"], 100)
    except Exception as error:
        print(f"no BM25: {error}")
    if arguments.plaid:
        np.save(folder / "queries.npy", queries.vectors)
        np.save(folder / "query_offsets.npy", queries.offsets)
        (folder / "names.json").write_text(json.dumps(names))
        told = in_process(arguments.plaid, "_plaid", str(folder))
        print("plaid:", told)
        for bits in (2, 4):
            runs[f"PLAID, {bits} bits"] = read_run(folder / f"plaid-{bits}.trec")
            runs[f"PLAID, {bits} bits, first 100 reranked"] = rerank(
                first, queries, runs[f"PLAID, {bits} bits"], 100
            )
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


def plaid_worker(folder: str) -> dict[str, object]:
    """Run PLAID in the environment that fast-plaid was compiled for."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
    from optical_sweeps.retrieval.plaid import PlaidIndex, PlaidSettings, build_plaid
    from optical_sweeps.retrieval.token_index import TokenIndex
    from optical_sweeps.retrieval.trec_runs import write_run

    place = Path(folder)
    index = TokenIndex.load(place / "float32")
    queries = RaggedEmbeddings(np.load(place / "queries.npy"), np.load(place / "query_offsets.npy"))
    names = json.loads((place / "names.json").read_text())
    told = {}
    for bits in (2, 4):
        settings, own = PlaidSettings(bits=bits), place / f"plaid-{bits}"
        own.mkdir()
        told[f"build_{bits}_s"] = seconds(lambda own=own, settings=settings: build_plaid(own, index, settings))
        plaid = PlaidIndex(own, index.ids, settings)
        start = time.perf_counter()
        run = plaid.search(names, queries, 100)
        told[f"search_{bits}_s"] = time.perf_counter() - start
        told[f"bytes_{bits}"] = sum(path.stat().st_size for path in own.rglob("*") if path.is_file())
        write_run(run, place / f"plaid-{bits}.trec")
    return told


PARTS = {
    "search": search_part,
    "index": index_part,
    "million": million_part,
    "measures": measures_part,
    "agreement": agreement_part,
}
WORKERS = {"_searcher": searcher, "_encoder": encoder_worker, "_plaid": plaid_worker}

if __name__ == "__main__":
    main()
