"""Content-addressed store of what runs share: built once by whichever process comes first, read by all.

<root>/<kind>/<hash>/               an entry, named by the hash of its key: the files that were built
<root>/<kind>/<hash>/manifest.json  key, sizes, checksums; written last, so its presence means complete
<root>/<kind>/.<hash>.lock          held by who builds it; stays, since removing a lock file is a race
<root>/<kind>/.<hash>.tmp-*         a build under way, or what a killed builder left
<root>/<kind>/.<hash>.parts/        a build of many parts under way or cut off: the next builder goes on with it
<root>/<kind>/.<hash>.builders      locked, shared, by whoever works in .parts
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from optical_sweeps import __version__

STORE_FORMAT = 1
"""Raised when the layout of an entry changes: older entries are then never found again, only pruned."""

MANIFEST = "manifest.json"
_KIND = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True)
class Entry:
    """One folder of the store.

    Args:
        key: what determines the content; None where the manifest cannot be read.
        size: bytes on disk.
        problem: what is wrong with it, one line; None for a sound entry.
    """

    kind: str
    folder: Path
    key: Mapping[str, Any] | None
    size: int
    created: str | None
    problem: str | None


class ArtifactStore:
    """Folders by content, safe to share between processes and machines with a common file system.

    Args:
        root: the store's folder, made at the first build.
        announce: told, one line at a time, what a person should know: waiting, repairs.
    """

    def __init__(self, root: Path | str, announce: Callable[[str], None] = lambda line: None) -> None:
        self.root = Path(root)
        self._announce = announce

    def get_or_build(self, kind: str, key: Mapping[str, Any], build: Callable[[Path], None]) -> Path:
        """The folder of `key`, from the store or built into it: one process builds, the others wait and read.

        `build` is given an empty folder to fill with plain files. A build that fails leaves nothing.

        Args:
            kind: what is stored, such as `index`; a folder name.
            key: JSON-able; everything that determines the content.

        Raises:
            ValueError: `key` is not JSON, or `build` left something other than plain files.
        """
        folder = self.folder_of(kind, key)
        if _problem(folder) is None:
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with self._locked(kind, folder):
            problem = _problem(folder)
            if problem is None:
                return folder
            if folder.exists():
                self._announce(f"{folder}: {problem}; building it again")
            _remove_remains(folder)
            _build_into(folder, key, build)
        return folder

    def get_or_build_in_parts(self, kind: str, key: Mapping[str, Any], build: Callable[[Path], None]) -> Path:
        """The same for builds of hours: several processes build at once, and a killed one's parts stay.

        `build` is called in every process that comes, all on one folder, which may hold parts of earlier
        calls: it has to share out the parts, make each appear whole, and return when all are there.

        Raises:
            ValueError: `key` is not JSON, or `build` left something other than plain files.
        """
        folder = self.folder_of(kind, key)
        if _problem(folder) is None:
            return folder
        parts = _parts_of(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _builders(folder, fcntl.LOCK_SH):
            if _problem(folder) is None:
                return folder
            parts.mkdir(exist_ok=True)
            build(parts)
        with _builders(folder, fcntl.LOCK_EX):  # when every builder is through
            problem = _problem(folder)
            if problem is None:
                return folder
            if folder.exists():
                self._announce(f"{folder}: {problem}; building it again")
                _remove(folder)
            for left in (*parts.rglob("*.lock"), *parts.glob(MANIFEST)):  # the latter by one killed right here
                left.unlink()
            _write_manifest(parts, key)
            parts.rename(folder)
            _sync_folder(folder.parent)
        return folder

    def folder_of(self, kind: str, key: Mapping[str, Any]) -> Path:
        """Where the entry of `key` is or would be.

        Raises:
            ValueError: `key` is not JSON, or `kind` is not a plain lower-case name.
        """
        if not _KIND.fullmatch(kind):
            raise ValueError(f"kind {kind!r}: use lower-case letters, digits, - and _")
        content = canonical_json({"format": STORE_FORMAT, "kind": kind, "key": key})
        return self.root / kind / hashlib.blake2b(content.encode(), digest_size=16).hexdigest()

    def ls(self) -> list[Entry]:
        """Every entry, broken ones too; checks that files are there and of the right size."""
        return [_entry(folder, _problem(folder)) for folder in self._folders()]

    def verify(
        self, progress: Callable[[int, int], None] = lambda done, total: None, kind: str | None = None
    ) -> list[Entry]:
        """Every entry, with the checksum of every file compared.

        Args:
            progress: told (entries done, all).
            kind: entries of this kind alone.
        """
        folders = [folder for folder in self._folders() if kind in (None, folder.parent.name)]
        entries = []
        for done, folder in enumerate(folders, start=1):
            entries.append(_entry(folder, _problem(folder) or _checksum_problem(folder)))
            progress(done, len(folders))
        return entries

    def unfinished(self) -> list[Entry]:
        """Builds of many parts that are under way or were cut off."""
        entries = []
        for parts in sorted(self.root.glob("*/.*.parts")):
            with _builders(_folder_of_parts(parts), fcntl.LOCK_EX | fcntl.LOCK_NB) as idle:
                problem = "cut off; the next run goes on with it" if idle else "being built"
            entries.append(Entry(parts.parent.name, parts, None, _size(parts), None, problem))
        return entries

    def prune(
        self,
        unwanted: Callable[[Entry], bool] = lambda entry: entry.problem is not None,
        unfinished: bool = False,
    ) -> int:
        """Remove what killed builders left, and the entries that are `unwanted` (default: broken ones).

        What another process is building stays. Entries in use can be read on where they are open already.

        Args:
            unfinished: remove cut-off builds of many parts too, which the next run would go on with.

        Returns:
            bytes freed.
        """
        freed = self._prune_unfinished() if unfinished else 0
        leftovers = {path.with_name(path.name[1:].split(".")[0]) for path in self.root.glob("*/.*.tmp-*")}
        for folder in sorted({*self._folders(), *leftovers}):
            lock = _lock_of(folder)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                freed += _remove_leftovers(folder)
                if folder.exists() and unwanted(entry := _entry(folder, _problem(folder))):
                    freed += entry.size
                    _remove(folder)
            finally:
                lock.release()
        return freed

    def _prune_unfinished(self) -> int:
        freed = 0
        for parts in sorted(self.root.glob("*/.*.parts")):
            with _builders(_folder_of_parts(parts), fcntl.LOCK_EX | fcntl.LOCK_NB) as idle:
                if idle:
                    freed += _size(parts)
                    shutil.rmtree(parts, ignore_errors=True)
        return freed

    def _folders(self) -> Iterator[Path]:
        for folder in sorted(self.root.glob("*/*")):
            if folder.is_dir() and not folder.name.startswith("."):
                yield folder

    @contextmanager
    def _locked(self, kind: str, folder: Path) -> Iterator[None]:
        lock = _lock_of(folder)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self._announce(f"{kind}: waiting for another process to build {folder}")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def canonical_json(value: Any) -> str:
    """One text per JSON value, whatever the order of its keys.

    Raises:
        ValueError: not JSON; NaN and infinity are not.

    >>> canonical_json({"b": (1, 2), "a": None})
    '{"a":null,"b":[1,2]}'
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except TypeError as error:
        raise ValueError(f"not a JSON value: {error}") from error


def _lock_of(folder: Path) -> FileLock:
    return FileLock(folder.with_name(f".{folder.name}.lock"))


def _parts_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.parts")


def _folder_of_parts(parts: Path) -> Path:
    return parts.with_name(parts.name.removeprefix(".").removesuffix(".parts"))


@contextmanager
def _builders(folder: Path, mode: int) -> Iterator[bool]:
    """Shared by those who build parts, exclusive for those who need them gone; yields whether it was had.

    The file stays: removing a lock file is a race.
    """
    with folder.with_name(f".{folder.name}.builders").open("a+") as file:
        try:
            fcntl.flock(file, mode)
        except BlockingIOError:
            yield False
        else:
            yield True


def _build_into(folder: Path, key: Mapping[str, Any], build: Callable[[Path], None]) -> None:
    temporary = folder.with_name(f".{folder.name}.tmp-{uuid.uuid4().hex}")
    temporary.mkdir()
    try:
        build(temporary)
        _write_manifest(temporary, key)
        temporary.rename(folder)
        _sync_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_manifest(folder: Path, key: Mapping[str, Any]) -> None:
    files = {}
    folders = [folder]
    for path in sorted(folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            folders.append(path)
            continue
        if path.is_symlink() or not path.is_file():
            raise ValueError(f"{path}: an artifact consists of plain files")
        _sync(path)
        files[path.relative_to(folder).as_posix()] = {"size": path.stat().st_size, "blake2b": _checksum(path)}
    if not files or MANIFEST in files:
        raise ValueError(f"{folder}: the build wrote {'its own manifest' if files else 'no file'}")
    manifest = {
        "key": key,
        "files": files,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "created_by": f"optical-sweeps {__version__}",
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _sync(folder / MANIFEST)
    for path in folders:
        _sync_folder(path)


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an entry; OSError, ValueError or KeyError where there is none to be read."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return {
        "key": dict(manifest["key"]),
        "files": dict(manifest["files"]),
        "created": str(manifest["created"]),
    }


def _problem(folder: Path) -> str | None:
    """What makes an entry unusable, without reading its files; None where it is sound."""
    try:
        files = _manifest(folder)["files"]
    except FileNotFoundError:
        return "no manifest"
    except (OSError, ValueError, KeyError, TypeError):
        return "unreadable manifest"
    for name, fact in files.items():
        try:
            size = (folder / name).stat().st_size
        except OSError:
            return f"{name} is missing"
        if size != fact["size"]:
            return f"{name} has {size} bytes in place of {fact['size']}"
    return None


def _checksum_problem(folder: Path) -> str | None:
    for name, fact in _manifest(folder)["files"].items():
        if _checksum(folder / name) != fact["blake2b"]:
            return f"{name} has changed since it was built"
    return None


def _entry(folder: Path, problem: str | None) -> Entry:
    try:
        manifest = _manifest(folder)
    except (OSError, ValueError, KeyError, TypeError):
        manifest = {"key": None, "created": None}
    return Entry(folder.parent.name, folder, manifest["key"], _size(folder), manifest["created"], problem)


def _remove_remains(folder: Path) -> None:
    """What is in the way of a build: a broken entry, and what killed builders of it left. Needs the lock."""
    _remove_leftovers(folder)
    if folder.exists():
        _remove(folder)


def _remove_leftovers(folder: Path) -> int:
    freed = 0
    for path in folder.parent.glob(f".{folder.name}.tmp-*"):
        freed += _size(path)
        shutil.rmtree(path, ignore_errors=True)
    return freed


def _remove(folder: Path) -> None:
    """Take an entry away at once: a reader finds all of it or nothing."""
    doomed = folder.with_name(f".{folder.name}.tmp-{uuid.uuid4().hex}")
    folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
