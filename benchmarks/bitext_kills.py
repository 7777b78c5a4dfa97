"""SIGKILL at random moments of packing bitext and of storing teacher vectors.

Workers are forked from one process that has imported the libraries, so that kills interrupt work, not imports.
"""

import multiprocessing
import os
import random
import shutil
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np

LIBRARIES = ("torch", "optical_sweeps.runs.shared.teacher_vectors", "optical_sweeps.corpora.bitext_sources")
SENTENCES = 20_000


def kill_packing(study: Path, languages: Sequence[str], kills: int, seconds: float) -> tuple[int, bool]:
    """How many kills hit a working process, and whether the results equal those without kills.

    Args:
        seconds: that packing the languages takes, roughly.
    """
    folders = study / "artifacts" / "killed", study / "artifacts" / "alone"
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    killed = _killed(pack, (study, folders[0], languages), kills, seconds / 2)
    _finish(pack, (study, folders[1], languages))
    equal = _contents(folders[0]) == _contents(folders[1])
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return killed, equal


def kill_storing(study: Path, kills: int) -> tuple[int, bool]:
    """How many kills hit a process that stores vectors, and whether they equal those without kills."""
    folders = study / "artifacts" / "killed", study / "artifacts" / "alone"
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    start = time.perf_counter()
    _finish(store, (study, folders[1]))
    # finished shards stay, so the kills are spread over the time of the whole work
    killed = _killed(store, (study, folders[0]), kills, 1.5 * (time.perf_counter() - start) / kills)
    equal = _vectors(folders[0]) == _vectors(folders[1])
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return killed, equal


def pack(study: Path, cache: Path, languages: Sequence[str]) -> None:
    """Pack some languages of a study."""
    from optical_sweeps.corpora.bitext_sources import BitextSources

    sources = BitextSources(sources=[{"files": str(study / "bitext.{language}.tsv")}], cache=cache)
    for language in languages:
        sources.read(language)


def store(study: Path, folder: Path) -> None:
    """Store the teacher's vectors of some English sentences, in small shards."""
    import torch

    from optical_sweeps.encoders.build_encoder import build_token_encoder
    from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
    from optical_sweeps.encoders.tiny_backbone import TinyBackbone
    from optical_sweeps.runs.shared import sentence_store
    from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds
    from optical_sweeps.runs.shared.teacher_vectors import TeacherVectors

    torch.set_num_threads(1)
    sentence_store.FIRST_SHARD, sentence_store.SHARD_SECONDS = 256, 0.5
    texts = english_sentences(study)
    teacher = build_token_encoder(TokenEncoderSettings(dim=128), TinyBackbone(), texts[:500])
    TeacherVectors(teacher, "teacher", "query").stored(ArtifactBuilds.at(folder), texts)


def english_sentences(study: Path) -> list[str]:
    """The first English sentences of a study."""
    with (study / "bitext.de.tsv").open(encoding="utf-8") as file:
        return [next(file).partition("\t")[0] for _ in range(SENTENCES)]


def _killed(work: Callable[..., None], arguments: tuple[object, ...], kills: int, longest: float) -> int:
    """Start and kill processes, two at a time, then let one finish; returns the kills that hit one at work.

    Args:
        longest: seconds between two kills at most.
    """
    moments, killed = random.Random(1), 0
    first = _start(work, arguments)
    for _ in range(kills):
        second = _start(work, arguments)  # waits for the first, or shares its work
        time.sleep(moments.uniform(0, longest))
        first.kill()
        first.join()
        killed += first.exitcode == -9
        first = second
    first.join()
    _finish(work, arguments)
    return killed


def _finish(work: Callable[..., None], arguments: tuple[object, ...]) -> None:
    process = _start(work, arguments)
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"{work.__name__}: ended with {process.exitcode}")


def _start(work: Callable[..., None], arguments: tuple[object, ...]) -> ForkServerProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*LIBRARIES, __name__])
    process = context.Process(target=_quietly, args=(work, arguments))
    process.start()
    return process


def _quietly(work: Callable[..., None], arguments: tuple[object, ...]) -> None:
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        work(*arguments)


def _contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every packed file; the stamp in `pack.json` is that of the same sources."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("*/*")}


def _vectors(folder: Path) -> dict[bytes, bytes]:
    """The vectors of each stored sentence; raises if a sentence is stored twice."""
    vectors: dict[bytes, bytes] = {}
    for path in sorted(folder.glob("english/[!.]*/hashes.npy")):  # without the remains of killed builds
        hashes, offsets = np.load(path), np.load(path.with_name("offsets.npy"))
        rows = np.load(path.with_name("vectors.npy"), mmap_mode="r")
        for name, start, stop in zip(hashes, offsets, offsets[1:], strict=False):
            if name in vectors:
                raise RuntimeError("a sentence is stored twice")
            vectors[bytes(name)] = rows[start:stop].tobytes()
    return vectors
