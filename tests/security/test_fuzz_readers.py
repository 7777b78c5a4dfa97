"""Readers of foreign bytes: whatever is in a file, a reader returns values or raises a `UserError`.

Each reader gets the bytes of a valid file with random changes: parts cut out, repeated, or exchanged for pieces
that are hard to parse, and compressed by any of the formats. `OPTICAL_SWEEPS_FUZZ_EXAMPLES` sets the number of
examples for each reader; docs/contribute/development.md has the figures of a long run.
"""

import bz2
import gzip
import io
import json
import os
import struct
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import optuna
import pandas
import pytest
import safetensors.numpy
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.corpora.readers.alignments import read_alignments
from optical_sweeps.corpora.readers.bitext import json_lines_pairs, moses_pairs, tsv_pairs
from optical_sweeps.corpora.readers.documents import read_documents
from optical_sweeps.corpora.readers.gettext import gettext_pairs
from optical_sweeps.corpora.readers.json_lines import read_objects
from optical_sweeps.corpora.readers.lines import read_lines
from optical_sweeps.corpora.readers.relevant_pairs import read_relevant_pairs
from optical_sweeps.corpora.readers.tmx import tmx_pairs
from optical_sweeps.corpora.readers.trec import read_qrels, read_topics
from optical_sweeps.corpora.readers.triples import read_triples
from optical_sweeps.curves.tables.result_tables import _queries_of
from optical_sweeps.encoders.build_encoder import build_token_encoder
from optical_sweeps.encoders.colbert_formats.checkpoint_files import read_object, read_weights
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.saved_encoders import DIFFERENCE, VERSION, fingerprint, load_difference
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError
from optical_sweeps.report.expected import read_expected
from optical_sweeps.retrieval.pruned_index import CentroidLists
from optical_sweeps.retrieval.shards import is_sound, load_shard
from optical_sweeps.retrieval.trec_runs import read_run
from optical_sweeps.runs.metrics_log import MetricsLog
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.slurm.submission_plan import Submission
from optical_sweeps.sweeps.grid import Grid
from optical_sweeps.tracking.offline_log import OfflineLog
from optical_sweeps.tracking.run_log import RunLog
from optical_sweeps.tracking.service_cache import ServiceCache
from optical_sweeps.training.training_checkpoints import UnusableCheckpoint
from optical_sweeps.training.training_checkpoints import read as read_checkpoint
from optical_sweeps.tuning.search_space import Interval, SearchSpace
from optical_sweeps.tuning.trial_store import DRAWN, STORAGE_FILE, TrialStore
from optical_sweeps.tuning.tuning_settings import TuningSettings

EXAMPLES = int(os.environ.get("OPTICAL_SWEEPS_FUZZ_EXAMPLES", "25"))
LONG = "OPTICAL_SWEEPS_FUZZ_EXAMPLES" in os.environ
"""A long run draws new examples each time; CI repeats the same ones."""
SECONDS = 5
"""No example of a few hundred bytes may take more of the CPU's time."""


def _array(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def _zip(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", content)
    return file.getvalue()


def _wandb() -> bytes:
    import zlib

    from wandb.proto.wandb_internal_pb2 import Record

    blocks = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
    for number in range(1, 4):
        record = Record(num=number)
        record.history.item.add(key="loss", value_json="1")
        payload = record.SerializeToString()
        blocks += struct.pack("<IHB", zlib.crc32(payload, zlib.crc32(b"\x01")), len(payload), 1) + payload
    return blocks


PO = b"""msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

msgid "a"
msgstr "b"

msgid "c\\x41"
msgstr[0] "d"
"""
MO = struct.pack("<7I", 0x950412DE, 0, 1, 28, 36, 0, 0) + struct.pack("<4I", 1, 44, 1, 46) + b"a\0b\0"
TMX = b"""<?xml version="1.0"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx><body><tu><tuv xml:lang="en"><seg>a</seg></tuv>
<tuv xml:lang="de"><seg>b<ph>x</ph></seg></tuv></tu></body></tmx>"""
SGML = b"<top>\n<num> Number: 1\n<title> a text\n</top>\n<top>\n<num> 2\n<title> b\n</top>\n"
JSONL = b"""{"id": "1", "title": "t", "text": "a", "translation": {"en": "a", "de": "b"}}
{"id": "2", "text": "b", "translation": {"en": "a", "de": "b"}}
"""
GRID = b"""{"schema": 3, "config": "train", "config_dir": null, "points": [
{"overrides": ["seed=1"], "run": "ab", "label": "x", "note": null}
]}
"""
PLAN = b"""{"schema": 3, "launcher": {"time": "1:00:00", "cpus": 2}, "from_config": [], "started_in": "/",
"packs": [["a"]], "shared": [{"note": "n", "runs": ["a"]}],
"jobs": [{"job": "1", "first": 0, "count": 1, "role": "array"}]}"""
EXPECTED = b"""tolerance: {nDCG@10: {ok: 0.001}}
runs:
  - where: {objective: none}
    scores: {test/nDCG@10/group:all: 0.5}
"""
METRICS = b'{"step": 1, "train/loss": 0.5}\n{"step": 2, "dev/nDCG@10/all": 0.25}\n'
CACHE = gzip.compress(b"""{"format": 2, "runs": {"a": {"stamp": [1, "x"], "config": {}, "summary": {"s": 1},
"group": "g", "complete": true, "files": {"f": "p"}, "history": [{"_step": 1}]}}}""")
SHARD = b'{"documents": 1, "tokens": 2, "dim": 2, "dtype": "float32", "largest_norm": 0.0, "files": {}}'
VECTORS = _array(np.ones((2, 2), np.float32))
PICKLE = b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R."
TENSORS = safetensors.numpy.save({"linear.weight": np.ones((2, 2), np.float32)}, {"format": "x", "schema": "1"})


@dataclass(frozen=True)
class Reader:
    """A reader, the name of its file, and valid bytes to start from."""

    read: Callable[[Path], object]
    name: str
    seeds: tuple[bytes, ...]
    archives: bool = True
    """Whether the file may be compressed."""


def _all(values: Iterable[object]) -> list[object]:
    return list(values)


def _store_of(path: Path) -> object:
    """The store's view of an entry with this manifest."""
    folder = path.parent / "store" / "thing" / "0" / "manifest.json"
    folder.parent.mkdir(parents=True)
    path.rename(folder)
    return ArtifactStore(path.parent / "store").ls()


def _per_query_table() -> bytes:
    rows = [("test", "de", "nDCG@10", query, 0.5) for query in "ab"]
    file = io.BytesIO()
    pandas.DataFrame(rows, columns=["split", "language", "measure", "query_id", "value"]).to_parquet(file)
    return file.getvalue()


def _per_query(path: Path) -> object:
    run = RunLog("a", {}, {}, files={"per_query.parquet": path})
    return _queries_of(run, ["nDCG@10"], ["test"])


def _shard(path: Path) -> object:
    """A shard with sound arrays and these facts; its reader promises ValueError or OSError."""
    path.with_name("vectors.npy").write_bytes(VECTORS)
    path.with_name("offsets.npy").write_bytes(_array(np.array([0, 2])))
    is_sound(path.parent, 1, "float32")
    try:
        return load_shard(path.parent)
    except (ValueError, OSError):
        return None


@cache
def _teacher() -> TokenEncoder:
    settings = TokenEncoderSettings(dim=4, query_length=8, document_length=8)
    return build_token_encoder(settings, TinyBackbone(layers=1, hidden_size=8, heads=2), ["red"])


def _difference() -> bytes:
    metadata = {
        "format": DIFFERENCE, "version": str(VERSION), "base": fingerprint(_teacher()),
        "settings": json.dumps(asdict(_teacher().settings)),
    }  # fmt: skip
    return safetensors.numpy.save({"projection.weight": np.ones((4, 8), np.float32)}, metadata)


def _packed_cache(path: Path) -> object:
    path.write_bytes(gzip.compress(path.read_bytes()))
    return ServiceCache(path).runs


def _weights(path: Path) -> object:
    return read_weights(path.parent, ("linear.weight",))


def _journal() -> bytes:
    """The storage of a tuning with one trial of one value."""
    with tempfile.TemporaryDirectory() as folder:
        backend = optuna.storages.journal.JournalFileBackend(f"{folder}/{STORAGE_FILE}")
        storage = optuna.storages.JournalStorage(backend)
        trial = optuna.create_study(storage=storage, study_name="mse", direction="maximize").ask()
        trial.suggest_float("training.learning_rate", 0.1, 1.0)
        trial.set_user_attr(DRAWN, True)
        return Path(folder, STORAGE_FILE).read_bytes()


def _trials(path: Path) -> object:
    spaces = {"mse": SearchSpace("mse", {"training.learning_rate": Interval(0.1, 1.0)})}
    return TrialStore(path.parent, TuningSettings(objectives=["mse"]), spaces).trials("mse")


def _lists(path: Path) -> object:
    """A pruned index's lists with these documents; their reader promises ValueError or OSError."""
    np.save(path.with_name("offsets.npy"), np.array([0, 2]))
    try:
        lists = CentroidLists.load(path.parent, 2, 1)
    except (ValueError, OSError):
        return None
    assert set(lists.documents.tolist()) <= {0, 1}
    return lists


READERS = {
    "lines": Reader(lambda path: _all(read_lines(path)), "a.txt", (b"one\ntwo\r\nthree",)),
    "jsonl": Reader(lambda path: _all(read_objects(path)), "a.jsonl", (JSONL,)),
    "tsv bitext": Reader(lambda path: _all(tsv_pairs(path, "de")), "a.tsv", (b"a\tb\nc\td\n",)),
    "moses bitext": Reader(lambda path: _all(moses_pairs(path, path, "de")), "a.en", (b"a\nb\n",)),
    "jsonl bitext": Reader(
        lambda path: _all(json_lines_pairs(path, "translation.en", "translation.de")), "a.jsonl", (JSONL,)
    ),
    "tmx": Reader(lambda path: _all(tmx_pairs(path, "de")), "a.tmx", (TMX,)),
    "gettext po": Reader(lambda path: _all(gettext_pairs(path)), "a.po", (PO,)),
    "gettext mo": Reader(lambda path: _all(gettext_pairs(path)), "a.mo", (MO,)),
    "documents tsv": Reader(read_documents, "a.tsv", (b"1\ttitle\ttext\n2\tt\tx\n",)),
    "documents jsonl": Reader(read_documents, "a.jsonl", (JSONL,)),
    "qrels": Reader(lambda path: read_qrels(path, {"1", "2"}, {"a", "b"}), "a.qrels", (b"1 0 a 1\n2 0 b 2\n",)),
    "topics": Reader(read_topics, "a.tsv", (b"1\ta text\n2\tb\n", SGML)),
    "topics jsonl": Reader(read_topics, "a.jsonl", (b'{"id": "1", "text": "a"}\n',)),
    "triples": Reader(lambda path: _all(read_triples(path)), "a.tsv", (b"q\tp\tn\n",)),
    "triples jsonl": Reader(lambda path: _all(read_triples(path)), "a.jsonl", (b'["q", "p", "n"]\n',)),
    "relevant pairs": Reader(read_relevant_pairs, "a.tsv", (b"q\td\n",)),
    "alignments": Reader(lambda path: _all(read_alignments(path)), "a.txt", (b"0-0 1p2 3-1\n0-0\n",)),
    "TREC run": Reader(read_run, "a.trec", (b"q1 Q0 d1 1 0.5 tag\nq1 Q0 d2 2 0.25 tag\n",)),
    "W&B log": Reader(lambda path: _all(OfflineLog(path)), "run-x.wandb", (_wandb(),), archives=False),
    "record": Reader(lambda path: RunFolder(path.parent).record(), "record.json", (b'{"schema": 1}',), False),
    "failure": Reader(lambda path: RunFolder(path.parent).failure(), "FAILED.json", (b"{}",), False),
    "grid": Reader(lambda path: Grid.load(path.parent), "grid.json", (GRID,), False),
    "submission": Reader(lambda path: Submission.load(path.parent), "plan.json", (PLAN,), False),
    "manifest": Reader(_store_of, "manifest.json", (b'{"key": {}, "files": {}, "created": "x"}',), False),
    "expected scores": Reader(read_expected, "a.yaml", (EXPECTED,), False),
    "shard": Reader(lambda path: is_sound(path.parent, 1, "float32"), "vectors.npy", (VECTORS,), False),
    "checkpoint": Reader(lambda path: read_checkpoint(path, "a"), "resume-1.safetensors", (TENSORS,), False),
    "weights": Reader(_weights, "model.safetensors", (TENSORS,), False),
    "pickled weights": Reader(_weights, "pytorch_model.bin", (PICKLE, _zip(b"x")), False),
    "metrics": Reader(lambda path: MetricsLog(path).last_value("loss"), "metrics.jsonl", (METRICS,), False),
    "cache of the service": Reader(lambda path: ServiceCache(path).runs, "cache.json.gz", (CACHE,), False),
    "cache of the service, content": Reader(_packed_cache, "cache.json", (gzip.decompress(CACHE),), False),
    "per-query table": Reader(_per_query, "per_query.parquet", (_per_query_table(),), False),
    "facts of a shard": Reader(_shard, "shard.json", (SHARD,), False),
    "student": Reader(
        lambda path: load_difference(path, _teacher()), "student.safetensors", (_difference(),), False
    ),
    "trials of a tuning": Reader(_trials, STORAGE_FILE, (_journal(),), False),
    "lists of a pruned index": Reader(_lists, "documents.npy", (_array(np.array([0, 1], np.int32)),), False),
    "checkpoint json": Reader(read_object, "config.json", (b'{"dim": 128}',), False),
}  # fmt: skip


PIECES = st.sampled_from(
    [
        b"", b"\0", b"\xff", b"\n", b"\r", b"\t", b" ", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xed\xa0\x80",
        b'"', b"\\", b"{", b"}", b"[" * 3000, b"]", b"null", b"NaN", b"1e999", b"-1", b"9" * 5000, b"<", b"&x;",
        b"<!ENTITY a 'b'>", b"\x1b[2J", b"../", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"\xff" * 8,
        b"\\ud800", b"%s", b"${oc.env:HOME}", b"\x80\x02.",
    ]
)  # fmt: skip
REPLACEMENT = st.one_of(PIECES, st.binary(max_size=12))
EDIT = st.tuples(st.integers(0, 600), st.integers(0, 40), REPLACEMENT, st.integers(1, 3))
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes, "gzip": gzip.compress, "zip": _zip, "bz2": bz2.compress,
    "zstd": zstandard.compress,
}  # fmt: skip


def mutated(seed: bytes, edits: Iterable[tuple[int, int, bytes, int]]) -> bytes:
    """The bytes with a part at each place replaced by a repeated piece."""
    for place, length, piece, times in edits:
        place %= len(seed) + 1
        seed = seed[:place] + piece * times + seed[place + length :]
    return seed


@pytest.mark.parametrize("name", READERS)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=not LONG,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_a_reader_returns_values_or_a_user_error(name, data):
    reader = READERS[name]
    content = mutated(data.draw(st.sampled_from(reader.seeds)), data.draw(st.lists(EDIT, max_size=5)))
    if reader.archives:
        content = PACKERS[data.draw(st.sampled_from(list(PACKERS)))](content)
        content = mutated(content, data.draw(st.lists(EDIT, max_size=1)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, reader.name)
        path.write_bytes(content)
        start = time.process_time()
        message = ""
        try:
            reader.read(path)
        except (UserError, UnusableCheckpoint) as error:
            message = str(error)
        assert "\n" not in message
        assert time.process_time() - start < SECONDS


@pytest.mark.parametrize("name", READERS)
def test_a_reader_accepts_or_refuses_its_seeds(name, tmp_path):
    for number, seed in enumerate(READERS[name].seeds):
        path = tmp_path / str(number) / READERS[name].name
        path.parent.mkdir()
        path.write_bytes(seed)
        try:
            READERS[name].read(path)
        except (UserError, UnusableCheckpoint):
            assert name in ("checkpoint", "pickled weights", "expected scores"), "the seed must be a valid file"
