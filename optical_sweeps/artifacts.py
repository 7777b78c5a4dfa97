"""Content-addressed store of artifacts that runs share: one process builds an entry, all others read it.

<root>/<kind>/<hash>/               an entry; the hash of its key names it
<root>/<kind>/<hash>/manifest.json  key, sizes and checksums; written last, so a folder that has it is complete
<root>/<kind>/.<hash>.lock          held by the builders of the entry; never removed, which would be a race
<root>/<kind>/.<hash>.tmp-*         an ongoing build, or the remains of a killed one
<root>/<kind>/.<hash>.parts/        an unfinished build in parts, which the next builder continues
"""

import fcntl
import hashlib
import json
import re
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from optical_sweeps import __version__
from optical_sweeps.atomic_files import flush_to_disk
from optical_sweeps.limits import read_json

STORE_FORMAT = 1
"""Raised when the layout of an entry changes: older entries are never read again and can only be pruned."""

MANIFEST = "manifest.json"
_KIND = re.compile(r"[a-z][a-z0-9_-]*")
_NAME = re.compile(r"[0-9a-f]{32}")

Build = Callable[[Path], None]
"""Fills a folder with plain files."""


@dataclass(frozen=True)
class Entry:
    """One folder of the store.

    Args:
        key: the values that determine the content; None if the manifest cannot be read.
        size: bytes on disk.
        problem: one line on what is wrong with the entry; None if it is sound.
    """

    kind: str
    folder: Path
    key: Mapping[str, object] | None
    size: int
    created: str | None
    problem: str | None


class ArtifactStore:
    """Folders by content, safe to share between processes and between machines with a common file system.

    Args:
        root: the store's folder, created by the first build.
        announce: called with one line for the user when the store waits for another process or
            repairs an entry.
    """

    def __init__(self, root: Path | str, announce: Callable[[str], None] = lambda line: None) -> None:
        self.root = Path(root)
        self._announce = announce

    def get_or_build(self, kind: str, key: Mapping[str, object], build: Build) -> Path:
        """The folder of `key`, from the store or built into it; other processes wait for the builder.

        `build` is called with an empty folder. A build that fails leaves nothing behind.

        Args:
            kind: what is stored, such as `index`; becomes a folder name.
            key: JSON values that determine the content.

        Raises:
            ValueError: `key` is not JSON, or `build` left something other than plain files.
        """
        folder = self.folder_of(kind, key)
        if _problem(folder) is None:
            return folder
        with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB) as free:
            if free:
                self._build(folder, key, build)
                return folder
        self._announce(f"{kind}: waiting for another process to build {folder}")
        with _locked(folder, fcntl.LOCK_EX):
            self._build(folder, key, build)
        return folder

    def _build(self, folder: Path, key: Mapping[str, object], build: Build) -> None:
        if self._is_sound_or_removed(folder):
            return
        _remove_leftovers(folder)
        temporary = _temporary(folder)
        temporary.mkdir()
        try:
            build(temporary)
            _publish(temporary, folder, key)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def get_or_build_in_parts(self, kind: str, key: Mapping[str, object], build: Build) -> Path:
        """Like `get_or_build`, but processes build together, and finished parts survive a kill.

        Every process calls `build` on the same folder, which may hold parts of earlier calls. `build` has to
        divide the parts among the processes, create each part atomically, and return once all parts exist.

        Raises:
            ValueError: `key` is not JSON, or `build` left something other than plain files.
        """
        folder = self.folder_of(kind, key)
        if _problem(folder) is None:
            return folder
        parts = _parts_of(folder)
        with _locked(folder, fcntl.LOCK_SH):
            if _problem(folder) is None:
                return folder
            parts.mkdir(exist_ok=True)
            build(parts)
        with _locked(folder, fcntl.LOCK_EX):  # granted once every builder has returned
            if not self._is_sound_or_removed(folder):
                # A process that was killed while it published may have left a manifest.
                for leftover in (*parts.rglob("*.lock"), *parts.glob(MANIFEST)):
                    leftover.unlink()
                _publish(parts, folder, key)
        return folder

    def _is_sound_or_removed(self, folder: Path) -> bool:
        """Whether the entry is sound; a broken one is removed. Requires the exclusive lock."""
        problem = _problem(folder)
        if problem is not None and folder.exists():
            self._announce(f"{folder}: {problem}; building it again")
            _remove(folder)
        return problem is None

    def folder_of(self, kind: str, key: Mapping[str, object]) -> Path:
        """The folder of the entry of `key`, whether it exists or not.

        Raises:
            ValueError: `key` is not JSON, or `kind` is not a plain lower-case name.
        """
        if not _KIND.fullmatch(kind):
            raise ValueError(f"kind {kind!r}: use lower-case letters, digits, - and _")
        content = canonical_json({"format": STORE_FORMAT, "kind": kind, "key": key})
        return self.root / kind / hashlib.blake2b(content.encode(), digest_size=16).hexdigest()

    def matching(self, kind: str, values: Mapping[str, object], skip: set[Path]) -> list[Path]:
        """The sound entries of a kind whose keys contain these values, by name.

        Args:
            skip: folders to pass over; every sound entry is added to it.
        """
        found = []
        for folder in self._folders(kind):
            if folder not in skip and _problem(folder) is None:
                skip.add(folder)
                if values.items() <= _Manifest.read(folder).key.items():
                    found.append(folder)
        return found

    def ls(self) -> list[Entry]:
        """All entries, broken ones included; files are checked for presence and size."""
        return [_entry(folder, _problem(folder)) for folder in self._folders()]

    def verify(
        self, progress: Callable[[int, int], None] = lambda done, total: None, kind: str | None = None
    ) -> list[Entry]:
        """All entries, or those of one kind, with every file's checksum compared.

        Args:
            progress: called with (entries done, all entries).
        """
        folders = [folder for folder in self._folders() if kind in (None, folder.parent.name)]
        entries = []
        for done, folder in enumerate(folders, start=1):
            entries.append(_entry(folder, _problem(folder) or _checksum_problem(folder)))
            progress(done, len(folders))
        return entries

    def unfinished(self) -> list[Entry]:
        """Builds in parts that are ongoing or were interrupted."""
        return [
            _entry(parts, "interrupted; the next run continues it" if idle else "being built")
            for parts, idle in self._parts()
        ]

    def prune(
        self,
        unwanted: Callable[[Entry], bool] = lambda entry: entry.problem is not None,
        unfinished: bool = False,
    ) -> int:
        """Remove the remains of killed builders and the entries that are `unwanted` (default: broken ones).

        Ongoing builds stay. A process that has an entry's files open can go on reading them.

        Args:
            unfinished: also remove interrupted builds in parts, which the next run would continue.

        Returns:
            the number of bytes freed.
        """
        freed = 0
        for parts, idle in self._parts() if unfinished else ():
            if idle:
                freed += _size(parts)
                shutil.rmtree(parts, ignore_errors=True)
        leftovers = {path.with_name(path.name[1:].split(".")[0]) for path in self.root.glob("*/.*.tmp-*")}
        entries = set(self._folders())
        for folder in sorted({*entries, *leftovers}):
            with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB) as free:
                if not free:
                    continue
                freed += _remove_leftovers(folder)
                if folder in entries and unwanted(entry := _entry(folder, _problem(folder))):
                    freed += entry.size
                    _remove(folder)
        return freed

    def _folders(self, kind: str = "*") -> Iterator[Path]:
        for folder in sorted(self.root.glob(f"{kind}/*")):
            if folder.is_dir() and _NAME.fullmatch(folder.name):  # others, such as packed texts, are no entries
                yield folder

    def _parts(self) -> Iterator[tuple[Path, bool]]:
        """Each unfinished build in parts, and whether no process works on it; locked while it is yielded."""
        for parts in sorted(self.root.glob("*/.*.parts")):
            folder = parts.with_name(parts.name.removeprefix(".").removesuffix(".parts"))
            with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB) as idle:
                yield parts, idle


def canonical_json(value: object) -> str:
    """The same text for equal JSON values, regardless of the order of their keys.

    Raises:
        ValueError: not JSON; NaN and infinity are not JSON either.

    >>> canonical_json({"b": (1, 2), "a": None})
    '{"a":null,"b":[1,2]}'
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except TypeError as error:
        raise ValueError(f"not a JSON value: {error}") from error


@contextmanager
def _locked(folder: Path, mode: int) -> Iterator[bool]:
    """Hold an entry's lock in a mode of `flock`; yields False if LOCK_NB is set and the lock is taken."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("ab+") as file:
        try:
            fcntl.flock(file, mode)
        except BlockingIOError:
            yield False
        else:
            yield True


def _parts_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.parts")


def _temporary(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.tmp-{uuid.uuid4().hex}")


def _publish(built: Path, folder: Path, key: Mapping[str, object]) -> None:
    """Turn a built folder into an entry."""
    _write_manifest(built, key)
    built.rename(folder)
    flush_to_disk(folder.parent)


def _write_manifest(folder: Path, key: Mapping[str, object]) -> None:
    files = {}
    folders = [folder]
    for path in sorted(folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            folders.append(path)
            continue
        if path.is_symlink() or not path.is_file():
            raise ValueError(f"{path}: an artifact consists of plain files")
        flush_to_disk(path)
        files[path.relative_to(folder).as_posix()] = {
            "size": path.stat().st_size,
            "blake2b": file_checksum(path),
        }
    if not files or MANIFEST in files:
        raise ValueError(f"{folder}: the build wrote {'its own manifest' if files else 'no file'}")
    manifest = {
        "key": key,
        "files": files,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "created_by": f"optical-sweeps {__version__}",
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for path in (folder / MANIFEST, *folders):
        flush_to_disk(path)


@dataclass(frozen=True)
class _Manifest:
    key: dict[str, object]
    sizes: dict[str, int]
    checksums: dict[str, str]
    created: str

    @classmethod
    def read(cls, folder: Path) -> "_Manifest":
        """The manifest of an entry.

        Raises:
            OSError, ValueError, KeyError, TypeError: it is missing or damaged.
        """
        content = read_json(folder / MANIFEST)
        files = dict(content["files"])
        sizes = {name: int(file["size"]) for name, file in files.items()}
        checksums = {name: str(file["blake2b"]) for name, file in files.items()}
        return cls(dict(content["key"]), sizes, checksums, str(content["created"]))


def _problem(folder: Path) -> str | None:
    """What makes an entry unusable, without reading its files; None if it is sound."""
    try:
        manifest = _Manifest.read(folder)
    except FileNotFoundError:
        return "no manifest"
    except (OSError, ValueError, KeyError, TypeError):
        return "unreadable manifest"
    for name, expected in manifest.sizes.items():
        if problem := _file_problem(folder, name, expected):
            return problem
    return None


def _file_problem(folder: Path, name: str, expected: int) -> str | None:
    """What is wrong with a file of an entry: only plain files inside the entry count, never links."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or name.startswith("/"):
        return f"the manifest names {name!r}, which lies outside the entry"
    path = folder
    for part in parts[:-1]:
        path = path / part
        if path.is_symlink():
            return f"{path.relative_to(folder)} is a link instead of a folder"
    try:
        status = (folder / name).lstat()
    except OSError:
        return f"{name} is missing"
    if not stat.S_ISREG(status.st_mode):
        return f"{name} is not a plain file"
    if status.st_size != expected:
        return f"{name} has {status.st_size} bytes instead of {expected}"
    return None


def _checksum_problem(folder: Path) -> str | None:
    for name, expected in _Manifest.read(folder).checksums.items():
        if file_checksum(folder / name) != expected:
            return f"{name} has changed since it was built"
    return None


def _entry(folder: Path, problem: str | None) -> Entry:
    key, created = None, None
    try:
        manifest = _Manifest.read(folder)
        key, created = manifest.key, manifest.created
    except (OSError, ValueError, KeyError, TypeError):
        pass  # `problem` says so
    return Entry(folder.parent.name, folder, key, _size(folder), created, problem)


def _remove_leftovers(folder: Path) -> int:
    """Remove what killed builders of an entry left, and return its bytes. Requires the exclusive lock."""
    freed = 0
    for path in folder.parent.glob(f".{folder.name}.tmp-*"):
        freed += _size(path)
        shutil.rmtree(path, ignore_errors=True)
    return freed


def _remove(folder: Path) -> None:
    """Remove an entry atomically: a reader finds all of it or nothing."""
    doomed = _temporary(folder)
    folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def file_checksum(path: Path) -> str:
    """BLAKE2b of a file's content, of 128 bits, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
