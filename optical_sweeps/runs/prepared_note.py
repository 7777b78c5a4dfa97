"""The note that everything a group of runs shares is built: `<store>/prepared/<name>.json` lists store entries.

Reading the note tells whether the shared parts exist without loading any of them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from optical_sweeps.artifacts import MANIFEST
from optical_sweeps.limits import read_json
from optical_sweeps.runs.run_folder import write_json


def write_note(note: Path, folders: Sequence[Path]) -> None:
    """Record that these entries of the store are all that the runs share; an equal note is left alone."""
    content = {"folders": [folder.relative_to(note.parent.parent).as_posix() for folder in folders]}
    if _read(note) != content:
        note.parent.mkdir(parents=True, exist_ok=True)
        write_json(note, content)


def is_prepared(note: Path) -> bool:
    """Whether the note and all entries that it names exist."""
    folders = _read(note).get("folders")
    if not isinstance(folders, list) or not folders:
        return False
    return all((note.parent.parent / str(folder) / MANIFEST).is_file() for folder in folders)


def _read(note: Path) -> Mapping[str, object]:
    try:
        content = read_json(note)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
