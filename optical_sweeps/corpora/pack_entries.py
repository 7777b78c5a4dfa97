"""The packed bitext and documents below a folder of artifacts, as `cache` lists, verifies and removes them."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from filelock import FileLock

from optical_sweeps.artifacts import Entry, file_checksum
from optical_sweeps.console import no_progress
from optical_sweeps.limits import read_json


def pack_entries(
    root: Path, checksums: bool = False, progress: Callable[[int, int], None] = no_progress
) -> list[Entry]:
    """Every pack below `root`, broken ones included.

    Args:
        checksums: compare every file's checksum, not only its size.
        progress: called with (packs done, all packs).
    """
    folders = [
        path.parent for path in sorted(root.glob("*/*/pack.json")) if not path.parent.name.startswith(".")
    ]
    entries = []
    for done, folder in enumerate(folders, start=1):
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        problem = _problem(folder, checksums)
        entries.append(Entry(folder.parent.name, folder, None, size, None, problem))
        progress(done, len(folders))
    return entries


def remove_pack(folder: Path) -> None:
    """Remove a pack, which no process is building; a process that has its files open can go on reading."""
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        shutil.rmtree(folder, ignore_errors=True)


def _problem(folder: Path, checksums: bool) -> str | None:
    """What is wrong with a pack; None if it is sound. Packs of earlier versions have sizes alone."""
    try:
        pack = read_json(folder / "pack.json")
        sizes, digests = dict(pack["sizes"]), dict(pack.get("blake2b", {}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "unreadable pack.json"
    for name, size in sizes.items():
        if PurePosixPath(name).name != name:
            return f"pack.json names {name!r}, which is no file of the pack"
        path = folder / name
        if path.is_symlink() or not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes instead of {size}"
        if checksums and name in digests and file_checksum(path) != digests[name]:
            return f"{name} has changed since it was packed"
    return None


def checksums_of(folder: Path) -> Mapping[str, str]:
    """The checksum of every file of a folder."""
    return {path.name: file_checksum(path) for path in sorted(folder.iterdir())}
