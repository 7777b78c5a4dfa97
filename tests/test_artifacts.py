"""The artifact store with real processes: races, kills and damaged entries."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.artifacts import MANIFEST, ArtifactStore, canonical_json

KEY = {"model": "tiny", "length": 32}

BUILDER = """
import os, sys, time
from pathlib import Path
from optical_sweeps.artifacts import ArtifactStore

root, log, mode, go = sys.argv[1:]
log = Path(log)

def build(folder):
    (log / f"build-{os.getpid()}").touch()
    (folder / "parts").mkdir()
    for part in range(5):
        (folder / "parts" / f"{part}.bin").write_bytes(bytes([part]) * 100_000)
        time.sleep({"race": 0.05, "hang": 0.05, "quick": 0.004}[mode])
        if mode == "hang" and part == 2:
            (log / "half").touch()
            time.sleep(600)

(log / f"ready-{os.getpid()}").touch()
while not Path(go).exists():
    time.sleep(0.005)
messages = []
store = ArtifactStore(root, announce=messages.append)
folder = store.get_or_build("index", {"model": "tiny", "length": 32}, build)
assert all((folder / "parts" / f"{part}.bin").read_bytes() == bytes([part]) * 100_000 for part in range(5))
print(folder, len(messages))
"""


def start(root: Path, log: Path, mode: str, go: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", BUILDER, str(root), str(log), mode, str(go)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.005)


def build(folder: Path) -> None:
    (folder / "parts").mkdir()
    for part in range(5):
        (folder / "parts" / f"{part}.bin").write_bytes(bytes([part]) * 100_000)


def unexpected(folder: Path) -> None:
    raise AssertionError("built again")


@pytest.fixture
def log(tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    return folder


def test_four_processes_racing_build_once(tmp_path, log):
    racers = [start(tmp_path / "store", log, "race", tmp_path / "go") for _ in range(4)]
    for racer in racers:
        wait_for(log / f"ready-{racer.pid}")
    (tmp_path / "go").touch()
    outputs = [racer.communicate(timeout=60) for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 4, outputs
    assert len(list(log.glob("build-*"))) == 1
    assert len({out.split()[0] for out, _ in outputs}) == 1


def test_a_waiting_process_announces_it_and_then_reads(tmp_path, log):
    (tmp_path / "go").touch()
    builder = start(tmp_path / "store", log, "race", tmp_path / "go")
    while not list(log.glob("build-*")):
        time.sleep(0.005)
    messages: list[str] = []
    ArtifactStore(tmp_path / "store", announce=messages.append).get_or_build("index", KEY, unexpected)
    builder.communicate(timeout=60)
    assert len(messages) == 1
    assert "waiting for another process" in messages[0]


def test_a_killed_build_is_cleaned_up_and_completed(tmp_path, log):
    (tmp_path / "go").touch()
    builder = start(tmp_path / "store", log, "hang", tmp_path / "go")
    wait_for(log / "half")
    kill(builder)
    store = ArtifactStore(tmp_path / "store")
    assert store.ls() == []
    assert len(list((tmp_path / "store/index").glob(".*.tmp-*"))) == 1
    folder = store.get_or_build("index", KEY, build)
    assert sorted(path.name for path in (folder / "parts").iterdir()) == [f"{part}.bin" for part in range(5)]
    assert list((tmp_path / "store/index").glob(".*.tmp-*")) == []
    assert [entry.problem for entry in store.verify()] == [None]


def test_kills_at_any_moment_leave_a_store_that_completes(tmp_path, log):
    (tmp_path / "go").touch()
    moments = random.Random(7)
    for _ in range(8):
        builder = start(tmp_path / "store", log, "quick", tmp_path / "go")
        begun = time.monotonic() + 60
        seen = len(list(log.glob("build-*")))
        while len(list(log.glob("build-*"))) == seen and builder.poll() is None and time.monotonic() < begun:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.03))
        kill(builder)
    store = ArtifactStore(tmp_path / "store")
    assert all(entry.problem is None for entry in store.ls())
    folder = store.get_or_build("index", KEY, build)
    undisturbed = ArtifactStore(tmp_path / "other").get_or_build("index", KEY, build)
    files = json.loads((folder / MANIFEST).read_text())["files"]
    assert files == json.loads((undisturbed / MANIFEST).read_text())["files"]


def test_existing_entries_are_not_built_again(tmp_path):
    store = ArtifactStore(tmp_path)
    folder = store.get_or_build("index", KEY, build)
    assert store.get_or_build("index", dict(reversed(KEY.items())), unexpected) == folder
    assert store.get_or_build("teacher", KEY, build) != folder
    assert store.get_or_build("index", {**KEY, "length": 64}, build) != folder


def test_a_failed_build_leaves_nothing(tmp_path):
    def fail(folder: Path) -> None:
        (folder / "half.bin").write_bytes(b"x")
        raise RuntimeError("out of memory")

    store = ArtifactStore(tmp_path)
    with pytest.raises(RuntimeError, match="out of memory"):
        store.get_or_build("index", KEY, fail)
    assert [path.name for path in (tmp_path / "index").iterdir() if not path.name.endswith(".lock")] == []
    assert store.get_or_build("index", KEY, build).is_dir()


def _truncate(folder: Path) -> None:
    os.truncate(folder / "parts/3.bin", 10)


def _remove_part(folder: Path) -> None:
    (folder / "parts/3.bin").unlink()


def _remove_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def _cut_manifest(folder: Path) -> None:
    os.truncate(folder / MANIFEST, 40)


def _spoil_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text("[]")


DAMAGES = [_truncate, _remove_part, _remove_manifest, _cut_manifest, _spoil_manifest]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_detected_reported_and_repaired(tmp_path, damage):
    messages: list[str] = []
    store = ArtifactStore(tmp_path, announce=messages.append)
    damage(store.get_or_build("index", KEY, build))
    assert [entry.problem is None for entry in store.ls()] == [False]
    folder = store.get_or_build("index", KEY, build)
    assert (folder / "parts/3.bin").stat().st_size == 100_000
    assert len(messages) == 1
    assert "building it again" in messages[0]
    assert [entry.problem for entry in store.verify()] == [None]


@pytest.mark.parametrize("damage", DAMAGES)
def test_prune_removes_only_broken_entries(tmp_path, damage):
    store = ArtifactStore(tmp_path)
    sound = store.get_or_build("teacher", KEY, build)
    broken = store.get_or_build("index", KEY, build)
    damage(broken)
    size = sum(path.stat().st_size for path in broken.rglob("*") if path.is_file())
    assert store.prune() == size
    assert [entry.folder for entry in store.ls()] == [sound]
    assert store.prune(lambda entry: entry.kind == "teacher") > 500_000
    assert store.ls() == []


def test_prune_removes_remains_of_killed_builders_and_keeps_ongoing_builds(tmp_path, log):
    (tmp_path / "go").touch()
    store = ArtifactStore(tmp_path / "store")
    builder = start(tmp_path / "store", log, "hang", tmp_path / "go")
    wait_for(log / "half")
    assert store.prune() == 0
    assert len(list((tmp_path / "store/index").glob(".*.tmp-*"))) == 1
    kill(builder)
    assert store.prune() == 300_000
    assert list((tmp_path / "store/index").glob(".*.tmp-*")) == []


def test_verify_detects_a_changed_byte(tmp_path):
    store = ArtifactStore(tmp_path)
    folder = store.get_or_build("index", KEY, build)
    with (folder / "parts/2.bin").open("r+b") as file:
        file.seek(5_000)
        file.write(b"!")
    assert [entry.problem for entry in store.ls()] == [None]
    updates: list[tuple[int, int]] = []
    (entry,) = store.verify(lambda done, total: updates.append((done, total)))
    assert entry.problem == "parts/2.bin has changed since it was built"
    assert updates == [(1, 1)]


def test_ls_reports_key_and_size(tmp_path):
    store = ArtifactStore(tmp_path)
    folder = store.get_or_build("index", KEY, build)
    (entry,) = store.ls()
    assert (entry.kind, entry.folder, entry.key) == ("index", folder, KEY)
    assert entry.size > 500_000
    assert ArtifactStore(tmp_path / "nothing").ls() == []


def test_an_artifact_consists_of_plain_files(tmp_path):
    store = ArtifactStore(tmp_path)
    with pytest.raises(ValueError, match="plain files"):
        store.get_or_build("index", KEY, lambda folder: (folder / "link").symlink_to(tmp_path))
    with pytest.raises(ValueError, match="no file"):
        store.get_or_build("index", KEY, lambda folder: None)
    with pytest.raises(ValueError, match="its own manifest"):
        store.get_or_build("index", KEY, lambda folder: (folder / MANIFEST).touch())
    assert store.ls() == []


@pytest.mark.parametrize("key", [{"x": float("nan")}, {"x": Path("a")}, {"x": {1, 2}}, {"x": b"bytes"}])
def test_a_key_is_json(tmp_path, key):
    with pytest.raises(ValueError, match="JSON"):
        ArtifactStore(tmp_path).folder_of("index", key)


@pytest.mark.parametrize("kind", ["", "../index", "Index", ".hidden", "a/b"])
def test_a_kind_is_a_plain_name(tmp_path, kind):
    with pytest.raises(ValueError, match="kind"):
        ArtifactStore(tmp_path).folder_of(kind, KEY)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_canonical_json_ignores_only_the_order(key):
    text = canonical_json(key)
    assert canonical_json(dict(reversed(key.items()))) == text
    assert canonical_json(json.loads(text)) == text
    assert canonical_json({**key, "another key": 1}) != text or key.get("another key") == 1


PARTS_BUILDER = """
import sys, time
from pathlib import Path
from optical_sweeps.artifacts import ArtifactStore

root, log, part = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

def build(folder):
    (folder / part).write_text(part)
    (log / f"{part}-begun").touch()
    deadline = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2 or not (log / f"{part}-go").exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)

print(ArtifactStore(root).get_or_build_in_parts("index", {"a": 1}, build))
"""


def start_part(root: Path, log: Path, part: str) -> subprocess.Popen:
    command = [sys.executable, "-c", PARTS_BUILDER, str(root), str(log), part]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_builders_of_parts_work_at_once_and_the_last_to_leave_completes(tmp_path, log):
    store = ArtifactStore(tmp_path)
    builders = [start_part(tmp_path, log, part) for part in ("one", "other")]
    for part in ("one", "other"):
        wait_for(log / f"{part}-begun")
    assert [entry.problem for entry in store.unfinished()] == ["being built"]
    assert store.prune(unfinished=True) == 0
    (log / "one-go").touch()
    time.sleep(0.2)
    assert store.ls() == [], "one builder has finished, the other still works in the folder"
    (log / "other-go").touch()
    outputs = [builder.communicate(timeout=60) for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0], outputs
    assert {Path(out.strip()) for out, _ in outputs} == {store.folder_of("index", {"a": 1})}
    assert [entry.problem for entry in store.verify()] == [None]
    assert store.unfinished() == []


def test_parts_survive_their_builder_and_can_be_pruned(tmp_path):
    store = ArtifactStore(tmp_path)

    def cut_off(folder: Path) -> None:
        (folder / "first").write_bytes(bytes(1000))
        (folder / "first.lock").touch()
        raise KeyboardInterrupt

    def rest(folder: Path) -> None:
        assert (folder / "first").exists()
        (folder / "second").touch()

    with pytest.raises(KeyboardInterrupt):
        store.get_or_build_in_parts("index", KEY, cut_off)
    (entry,) = store.unfinished()
    assert (entry.kind, entry.size) == ("index", 1000)
    assert "the next run continues" in str(entry.problem)
    assert store.prune() == 0
    folder = store.get_or_build_in_parts("index", KEY, rest)
    assert sorted(path.name for path in folder.iterdir()) == ["first", "manifest.json", "second"]
    assert store.get_or_build_in_parts("index", KEY, unexpected) == folder
    with pytest.raises(KeyboardInterrupt):
        store.get_or_build_in_parts("index", {**KEY, "other": 1}, cut_off)
    assert store.prune(unfinished=True) == 1000
    assert store.unfinished() == []
    assert [entry.folder for entry in store.ls()] == [folder]


@pytest.mark.parametrize("damage", [_remove_manifest, _cut_manifest, _spoil_manifest])
def test_a_broken_entry_of_parts_is_built_again(tmp_path, damage):
    messages: list[str] = []
    store = ArtifactStore(tmp_path, announce=messages.append)
    damage(store.get_or_build_in_parts("index", KEY, build))
    folder = store.get_or_build_in_parts("index", KEY, build)
    assert [(entry.folder, entry.problem) for entry in store.verify()] == [(folder, None)]
    assert "building it again" in messages[0]


KILLS = """
import hashlib, json, os, random, signal, sys, time
from pathlib import Path

import numpy as np

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.retrieval.build_index import build_index
from optical_sweeps.retrieval.index_settings import IndexSettings

class Settings(IndexSettings):
    def __post_init__(self):
        pass

ids = [f"d{n}" for n in range(60)]

def encode(first, last):
    for n in range(first, last):
        time.sleep(0.0005)
        vectors = np.random.default_rng(n).standard_normal((n % 7 + 1, 16)).astype(np.float32)
        yield RaggedEmbeddings(vectors, np.array([0, n % 7 + 1]))

def index(folder):
    build_index(folder, ids, encode, Settings("int8", 8))

def tokens(folder):
    for name in ("ids.npy", "offsets.npy"):
        time.sleep(0.004)
        np.save(folder / name, np.arange(20_000))

def checkpoint(folder):
    from safetensors.numpy import save_file
    (folder / "encoder").mkdir()
    for name in ("model", "projection"):
        time.sleep(0.004)
        save_file({name: np.arange(20_000.0)}, folder / "encoder" / f"{name}.safetensors")

def build(root, number):
    store, key = ArtifactStore(root), {"number": number}
    store.get_or_build("tokens", key, tokens)
    store.get_or_build_in_parts("index", key, index)
    store.get_or_build("teacher", key, checkpoint)

def content(root, number):
    store, found = ArtifactStore(root), {}
    for kind in ("tokens", "index", "teacher"):
        folder = store.folder_of(kind, {"number": number})
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != "manifest.json":
                found[f"{kind}/{path.relative_to(folder)}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found

import safetensors.numpy
root, moments = Path(sys.argv[1]), random.Random(11)
times = []
for number in (0, 1):  # the first is slow: its disk is cold
    start = time.monotonic()
    build(root / "undisturbed", number)
    times.append(time.monotonic() - start)
whole = min(times)
expected, kills, number = content(root / "undisturbed", 0), 0, 0
while kills < 50:
    child = os.fork()
    if not child:
        build(root / "killed", number)
        os._exit(0)
    time.sleep(moments.uniform(0, whole))
    os.kill(child, signal.SIGKILL)
    killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    kills += killed
    whole *= 1 if killed else 0.9  # it came too late
    if not killed or kills % 5 == 0:
        build(root / "killed", number)
        assert content(root / "killed", number) == expected, number
        number += 1
problems = [entry.problem for entry in ArtifactStore(root / "killed").verify()]
left = [str(p) for p in (root / "killed").rglob("*") if ".tmp" in p.name or p.name.endswith(".parts")]
told = {"files": len(expected), "kills": kills, "entries": len(problems), "problems": problems, "left": left}
print(json.dumps(told))
"""


def test_fifty_kills_of_tokens_index_and_checkpoint_change_nothing(tmp_path):
    """After kills at random moments, the next build completes the entries, byte for byte as without kills."""
    done = subprocess.run(
        [sys.executable, "-c", KILLS, str(tmp_path)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kills"] == 50
    assert told["files"] > 30
    assert told["entries"] % 3 == 0
    assert set(told["problems"]) == {None}
    assert told["left"] == []
