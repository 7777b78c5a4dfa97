"""Packed bitext equals a plain reading of its sources, in any number of processes and after any kill."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.corpora import packed_bitext, pair_blocks
from optical_sweeps.corpora.bitext_sources import BitextSources
from optical_sweeps.corpora.words import visible
from tests.support.user_errors import failure

SMALL = [(pair_blocks, "CHUNK", 3), (packed_bitext, "ROWS", 4), (packed_bitext, "SORTED_AT_ONCE", 5)]
"""Sizes at which small data take the paths of large data."""
TEXTS = st.text("abä \u0301\u200bж", min_size=1, max_size=4).map(lambda text: f"x{text}x")


class Identifier:
    """Takes every text with a ж for Russian."""

    def identify(self, text: str) -> tuple[str, float]:
        return ("ru", 1.0) if "ж" in text else ("fi", 0.0)


def expected(pairs, weight):
    """The kept pairs and the counts of dropped ones, by the definition of the filters."""
    kept, seen, dropped = [], set(), {}
    for english, translation in pairs:
        key = visible(english), visible(translation)
        if len(english) > 5 or len(translation) > 5:
            name = "length"
        elif key in seen:
            name = "duplicate"
        else:
            seen.add(key)
            name = "language_id" if "ж" in english + translation else None
        if name:
            dropped[name] = dropped.get(name, 0) + 1
        else:
            kept += [(english, translation)] * weight
    return kept, dropped


@pytest.mark.parametrize("cores", [1, 2])
@settings(deadline=None, max_examples=8)
@given(pairs=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=40), weight=st.integers(1, 3))
def test_packing_keeps_what_the_filters_say(cores, pairs, weight):
    kept, dropped = expected(pairs, weight)
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        for module, constant, value in SMALL:
            patch.setattr(module, constant, value)
        patch.setattr(pair_blocks, "CHUNKS_ALONE", 1 if cores == 2 else 1000)
        patch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
        (Path(name) / "fi.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in pairs), encoding="utf-8")
        sources = BitextSources(
            sources=[{"files": f"{name}/fi.tsv", "weight": float(weight)}],
            filters={"max_length": 5, "language_id": Identifier()},
            cache=f"{name}/cache",
        )
        if not kept:
            assert "no pair remains" in failure(lambda: sources.read("fi"))
            return
        bitext, report = sources.read("fi")
        assert list(zip(bitext.english, bitext.translations, strict=True)) == kept
        assert (dict(report.dropped), report.kept) == (dropped, len(kept))
        again, same_report = sources.read("fi")  # from the packed files
        assert (list(again.english), same_report) == (list(bitext.english), report)
        assert again.fingerprint() == bitext.fingerprint()


def write(path: Path, count: int, word: str = "sana") -> None:
    path.write_text("".join(f"line {n} of text\t{word} {n}\n" for n in range(count)), encoding="utf-8")


def sources_of(folder: Path, **options) -> BitextSources:
    return BitextSources(sources=[{"files": str(folder / "{language}.tsv")}], cache=folder / "cache", **options)


def test_a_changed_file_or_filter_packs_again_and_a_deleted_file_does_not(tmp_path):
    path = tmp_path / "fi.tsv"
    write(path, 10)
    first = sources_of(tmp_path).read("fi")[0]
    write(path, 12)
    second = sources_of(tmp_path).read("fi")[0]
    shorter = sources_of(tmp_path, filters={"max_length": 14}).read("fi")[0]
    assert (len(first), len(second), len(shorter)) == (10, 12, 10)
    path.unlink()
    assert len(sources_of(tmp_path).read("fi")[0]) == 12


def test_the_fingerprint_depends_on_the_pairs_alone(tmp_path):
    fingerprints = []
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "fi.tsv", 5, word="sana" if name != "c" else "muu")
        fingerprints.append(sources_of(tmp_path / name).read("fi")[0].fingerprint())
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]
    (pack,) = (tmp_path / "a").glob("cache/*/pack.json")
    assert json.loads(pack.read_text())["fingerprint"] == fingerprints[0]
    files = {f"{side}.{kind}" for side in ("english", "translations") for kind in ("bin", "offsets")}
    assert {path.name for path in pack.parent.iterdir()} == {*files, "report.json", "pack.json"}


def test_packing_takes_little_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(pair_blocks, "CHUNK", 100)
    monkeypatch.setattr(packed_bitext, "ROWS", 100)
    monkeypatch.setattr(packed_bitext, "SORTED_AT_ONCE", 100)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    peaks = []
    for language, count in (("fi", 300), ("sv", 3_000)):
        write(tmp_path / f"{language}.tsv", count)
        tracemalloc.start()
        bitext, _ = sources_of(tmp_path).read(language)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(bitext) == count
    assert peaks[1] < peaks[0] + 3_000 * 16  # 5 bytes a pair; half of the texts would take 200 kB more


def test_hashes_are_sorted_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(packed_bitext, "SORTED_AT_ONCE", 7)
    monkeypatch.setattr(packed_bitext, "ROWS", 5)
    values = np.random.default_rng(0).integers(0, 40, 100).astype("<u8") * np.uint64(2**58)
    values.tofile(tmp_path / "hashes")
    firsts = np.unique(values, return_index=True)[1]
    repeated = packed_bitext._repeated(tmp_path / "hashes", len(values))
    assert np.flatnonzero(~repeated).tolist() == sorted(firsts.tolist())


PACK = """
import sys
from pathlib import Path
from optical_sweeps.corpora import pair_blocks
from optical_sweeps.corpora.bitext_sources import BitextSources
pair_blocks.CHUNK, pair_blocks.CHUNKS_ALONE = 200, 2
folder = Path(sys.argv[1])
print("packing", flush=True)
sources = BitextSources(sources=[{"files": str(folder / "{language}.tsv")}], cache=folder / "cache")
print(sources.read("fi")[0].fingerprint())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_packing_leaves_no_process_and_the_next_one_completes(tmp_path, number):
    write(tmp_path / "fi.tsv", 20_000)
    environment = os.environ | {"MARKER_OF_TEST": str(tmp_path)}
    command = [sys.executable, "-c", PACK, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    process.stdout.readline()
    deadline = time.monotonic() + 60
    while not list((tmp_path / "cache").glob(".fi-*.tmp-*/hashes")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(timeout=60) == -number
    process.stdout.close()
    while left := processes_with(str(tmp_path)):
        assert time.monotonic() < deadline, f"{left} still run"
        time.sleep(0.05)
    assert not list((tmp_path / "cache").glob("fi-*"))
    bitext, _ = sources_of(tmp_path).read("fi")
    assert (len(bitext), bitext.translations[19_999]) == (20_000, "sana 19999")
    assert not list((tmp_path / "cache").glob(".fi-*.tmp-*"))


def processes_with(marker: str) -> list[str]:
    """Processes whose environment contains a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marker.encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(path.parent.name)
        except OSError:
            continue
    return found
