"""The teacher of a study in the artifact store: trained, or loaded from a checkpoint of another program."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.console import echo, progress
from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.corpora.triples import Triples
from optical_sweeps.encoders.checkpoints import fingerprint, load_encoder, save_encoder
from optical_sweeps.encoders.token_encoder import TokenEncoder, build_token_encoder
from optical_sweeps.interruption import Interruption
from optical_sweeps.runs.shared.hard_negatives import with_mined_negatives
from optical_sweeps.runs.spec.identity import fact
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.training.checkpoints import Checkpoints

RECIPE = 2
"""Raised when a change of code changes what an unchanged key builds."""

Texts = Callable[[], list[str]]


def teacher_folder(
    spec: RunSpec, store: ArtifactStore, built: dict[str, float], interruption: Interruption, texts: Texts
) -> Path:
    """The store's entry of the study's teacher, built if it is not there.

    Args:
        built: told the seconds under `teacher`, where it had to be built.
        texts: gives every text of the study, for a vocabulary fitted to them.

    Raises:
        Interrupted: the process was asked to stop; a training goes on from there.
    """
    if spec.teacher.uses_backbone:
        return _trained(spec, store, built, interruption, texts)
    return _loaded(spec, store, built)


# Entries of the store never change, so a process that runs a whole sweep reads each of them once.
@lru_cache(maxsize=2)
def load_teacher(folder: Path) -> TokenEncoder:
    """The encoder of a teacher's entry."""
    return load_encoder(folder / "encoder")


@lru_cache(maxsize=2)
def teacher_fingerprint(folder: Path) -> str:
    """Of the encoder of a teacher's entry."""
    return fingerprint(load_teacher(folder))


def _loaded(spec: RunSpec, store: ArtifactStore, built: dict[str, float]) -> Path:
    key = {"recipe": RECIPE, "checkpoint": spec.teacher.fingerprint()}

    def build(folder: Path) -> None:
        start = time.perf_counter()
        save_encoder(spec.teacher.load(), folder / "encoder")
        _note(built, start, f"the checkpoint {spec.teacher.path}")

    return store.get_or_build("teacher", key, build)


def _trained(
    spec: RunSpec, store: ArtifactStore, built: dict[str, float], interruption: Interruption, texts: Texts
) -> Path:
    vocabulary = _vocabulary(spec, texts) if spec.backbone.reads_texts else []
    key = {
        "recipe": RECIPE,
        "backbone": spec.backbone_print,
        "vocabulary": fingerprint_of_texts(sorted(set(vocabulary))) if spec.backbone.reads_texts else None,
        **_content(spec),
        "encoder": fact("encoder", spec.config["encoder"]),
        "teacher": fact("teacher", spec.config["teacher"]),
    }

    def build(folder: Path) -> None:
        previous = None
        if spec.teacher.negatives == "checkpoint":
            previous = teacher_folder(_without_negatives(spec), store, built, interruption, lambda: vocabulary)
        examples = _examples(spec, store, previous, built, interruption)
        start = time.perf_counter()
        if previous is None:
            encoder = build_token_encoder(spec.encoder, spec.backbone, vocabulary)
        else:
            encoder = load_encoder(previous / "encoder").requires_grad_(True)
        with progress("teacher") as advance:
            teacher = spec.teacher.train(
                encoder, examples, spec.machine, advance, checkpoints=checkpoints, interruption=interruption
            )
        save_encoder(teacher, folder / "encoder")
        what = "query-document pairs" if spec.teacher.reads_pairs else "triples"
        _note(built, start, f"training on {len(examples)} {what}")

    entry = store.folder_of("teacher", key)
    # beside the entry, which is whole or not there; the dot hides it from the store
    checkpoints = Checkpoints(entry.with_name(f".{entry.name}.resume"), entry.name, echo)
    store.get_or_build("teacher", key, build)
    if "teacher" in built:
        checkpoints.remove()
    return entry


def _content(spec: RunSpec) -> Mapping[str, str]:
    """What the teacher is trained on, by content."""
    if not spec.teacher.reads_pairs:
        return {"triples": spec.teacher.fingerprint()}
    pairs = spec.corpus.relevant_pairs()
    return {"pairs": fingerprint_of_texts(part for p in pairs for part in (p.query, p.document, p.concept))}


def _vocabulary(spec: RunSpec, texts: Texts) -> list[str]:
    if spec.teacher.reads_pairs:
        return texts()
    triples = spec.teacher.triples.triples()
    return [*texts(), *(text for stretch in triples.texts() for text in stretch)]


def _examples(
    spec: RunSpec,
    store: ArtifactStore,
    previous: Path | None,
    built: dict[str, float],
    interruption: Interruption,
) -> Sequence[Any] | Triples:
    """The corpus's pairs, or triples, with the negatives that the settings ask for."""
    if spec.teacher.reads_pairs and spec.teacher.negatives == "none":
        return tuple(spec.corpus.relevant_pairs())
    if spec.teacher.reads_pairs:
        triples = Triples.of_pairs(spec.corpus.relevant_pairs())
    else:
        triples = spec.teacher.triples.triples()
    if spec.teacher.negatives == "none":
        return triples
    encoder = load_encoder(previous / "encoder").to(spec.machine.device()) if previous is not None else None
    return with_mined_negatives(triples, spec.teacher.mining, encoder, store, built, interruption.checked)


def _without_negatives(spec: RunSpec) -> RunSpec:
    """The study whose teacher mines for that of `spec`."""
    alone = spec.teacher.reads_pairs
    changes = {"negatives": "none", "mining": {}} | ({"loss": "in_batch"} if alone else {})
    config = {name: value for name, value in spec.config["teacher"].items() if name not in changes}
    changes.pop("mining")
    config |= changes
    teacher = dataclasses.replace(spec.teacher, **changes)
    return dataclasses.replace(spec, teacher=teacher, config={**spec.config, "teacher": config})


def _note(built: dict[str, float], start: float, what: str) -> None:
    seconds = time.perf_counter() - start
    built["teacher"] = built.get("teacher", 0.0) + seconds  # one that mines is built before
    echo(f"teacher: built from {what} in {seconds:.1f} s")
