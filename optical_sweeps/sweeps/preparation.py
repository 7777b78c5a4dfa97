"""Whether what runs share stands in the artifact store: known from a note there, without loading any of it."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from optical_sweeps.artifacts import MANIFEST, canonical_json
from optical_sweeps.runs.run_folder import write_json
from optical_sweeps.runs.spec.identity import IDENTITY_SCHEMA, fact
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.slurm.submission_plan import Shared
from optical_sweeps.sweeps.compose import Sections, plain

SHARE = ("data", "languages", "backbone", "encoder", "teacher", "index", "paths")
"""Keys of a config of which runs are equal that share a teacher, an index and English vectors."""


def marker_of(spec: RunSpec) -> Path:
    """The note that says where in the store the parts of this run are that others share."""
    key = {
        "schema": IDENTITY_SCHEMA,
        "corpus": spec.corpus_print,
        "backbone": spec.backbone_print,
        "languages": sorted(spec.languages.all),
        "encoder": fact("encoder", spec.config["encoder"]),
        "teacher": fact("teacher", spec.config["teacher"]),
    }
    if index := fact("index", spec.config["index"]):  # notes of early runs are of the default alone
        key["index"] = index
    if (content := spec.teacher.fingerprint()) is not None:
        key["teacher_content"] = content
    name = hashlib.blake2b(canonical_json(key).encode(), digest_size=16).hexdigest()
    return spec.artifacts / "prepared" / f"{name}.json"


def note_prepared(spec: RunSpec, folders: Sequence[Path]) -> None:
    """Write down, unless it stands there, that a run's shared parts are these entries of the store."""
    marker = marker_of(spec)
    note = {"folders": [folder.relative_to(spec.artifacts).as_posix() for folder in folders]}
    if _read(marker) != note:
        marker.parent.mkdir(parents=True, exist_ok=True)
        write_json(marker, note)


def is_prepared(marker: Path) -> bool:
    """Whether the note is there, and the entries it names."""
    folders = _read(marker).get("folders")
    if not isinstance(folders, list) or not folders:
        return False
    return all((marker.parent.parent / str(folder) / MANIFEST).is_file() for folder in folders)


def shared_among(points: Iterable[tuple[str, Sections]]) -> list[Shared]:
    """Runs with their configs, grouped by what they share."""
    groups: dict[tuple[str, ...], list[str]] = {}
    first: dict[tuple[str, ...], Sections] = {}
    for run, sections in points:
        settings = tuple(sections[name].text for name in SHARE)
        groups.setdefault(settings, []).append(run)
        first.setdefault(settings, sections)
    return [
        Shared(str(marker_of(RunSpec.from_plain(plain(first[settings])))), tuple(dict.fromkeys(runs)))
        for settings, runs in groups.items()
    ]


def _read(marker: Path) -> dict[str, Any]:
    try:
        note = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
