"""Checkpoints of a training under way: a folder that always holds a whole one.

<folder>/resume-000007.safetensors    tensors; as metadata the rest of the state in JSON, and a checksum of all
<folder>/attempts.json                the steps at which processes took the training up

A checkpoint is written to a temporary name, brought to disk and renamed; the newest two are kept.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FORMAT = "optical-sweeps/resume"
SCHEMA = 1
"""Raised when a change of code makes older states unfit to go on from."""

KEPT = 2

State = Mapping[str, Any]
"""Nested dicts, lists and tuples of tensors and JSON's scalars."""


class UnusableCheckpoint(Exception):
    """A file that cannot be gone on from: cut short, changed, of another run or another version."""


@dataclass
class Checkpoints:
    """The checkpoints of one training.

    Args:
        folder: made at the first write.
        identity: of all that can change the training's numbers; a checkpoint of another one is passed over.
        announce: told one line where a file is passed over or cannot be written.
    """

    folder: Path
    identity: str
    announce: Callable[[str], None] = lambda line: None

    def __post_init__(self) -> None:
        self._refused = False

    def write(self, state: State) -> bool:
        """Keep a state; False, with one line the first time, where the disk refuses it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            number = max(map(_number, self._files()), default=0) + 1
            write_whole(self.folder / f"resume-{number:06d}.safetensors", _to_bytes(state, self.identity))
            for old in self._files()[KEPT:]:
                old.unlink(missing_ok=True)
        except OSError as error:
            if not self._refused:
                reason = error.strerror or type(error).__name__
                self.announce(f"{self.folder}: no checkpoint written ({reason}); the run goes on without")
            self._refused = True
            return False
        self._refused = False
        return True

    def newest(self, usable: Callable[[State], None] = lambda state: None) -> State | None:
        """The newest whole state of this training, None where there is none.

        Args:
            usable: raises UnusableCheckpoint for a state that does not fit what else is on disk.
        """
        for path in self._files():
            try:
                state = read(path, self.identity)
                usable(state)
            except UnusableCheckpoint as error:
                self.announce(f"{path}: passed over: {error}")
            else:
                return state
        return None

    def begin(self, step: int) -> tuple[int, ...]:
        """Note that a process takes the training up at a step; the steps of all that did so far."""
        path = self.folder / "attempts.json"
        attempts = (*_attempts(path), step)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(attempts).encode())
        except OSError:
            return attempts  # a full disk: `write` tells
        return attempts

    def remove(self) -> None:
        """Take all of them away: the training's result stands."""
        for path in (*self._files(), self.folder / "attempts.json", *self._leftovers()):
            path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _files(self) -> list[Path]:
        """Newest first."""
        return sorted(self.folder.glob("resume-[0-9]*.safetensors"), key=_number, reverse=True)

    def _leftovers(self) -> Iterator[Path]:
        return self.folder.glob(".*.part")


def read(path: Path, identity: str) -> State:
    """The state in a checkpoint's file.

    Raises:
        UnusableCheckpoint: it is not whole, or not of this training.
    """
    import safetensors
    import safetensors.torch

    try:
        with safetensors.safe_open(path, "pt") as content:
            metadata = content.metadata() or {}
        if metadata.get("format") != FORMAT or metadata.get("schema") != str(SCHEMA):
            raise UnusableCheckpoint("written by another version")
        if metadata.get("identity") != identity:
            raise UnusableCheckpoint("of other settings")
        # read, not mapped: the file may be replaced while its tensors are in use
        tensors = safetensors.torch.load(path.read_bytes())
        if _checksum(metadata["state"], identity, tensors) != metadata.get("checksum"):
            raise UnusableCheckpoint("its checksum is another")
        return _unpacked(json.loads(metadata["state"]), tensors)  # type: ignore[no-any-return]
    except (UnusableCheckpoint, MemoryError):
        raise
    except Exception as error:  # of many kinds, according to which byte is wrong
        raise UnusableCheckpoint("cut short or damaged") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, on disk when this returns."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _to_bytes(state: State, identity: str) -> bytes:
    import safetensors.torch

    tensors: dict[str, Tensor] = {}
    text = json.dumps(_packed(state, "", tensors))
    metadata = {
        "format": FORMAT,
        "schema": str(SCHEMA),
        "identity": identity,
        "state": text,
        "checksum": _checksum(text, identity, tensors),
    }
    return bytes(safetensors.torch.save(tensors, metadata))


def _packed(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """JSON in place of a nested value; its tensors go to `tensors` under names by their place."""
    if isinstance(value, Tensor):
        # cloned: two names may share memory, which the format refuses
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"dict": [[key, _packed(child, f"{name}/{key}", tensors)] for key, child in value.items()]}
    if isinstance(value, list | tuple):
        items = [_packed(child, f"{name}/{place}", tensors) for place, child in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"{name}: a checkpoint does not keep a {type(value).__name__}")


def _unpacked(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpacked(child, tensors) for child in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "tuple":
        return tuple(_unpacked(child, tensors) for child in content)
    return {key: _unpacked(child, tensors) for key, child in content}


def _checksum(text: str, identity: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.blake2b(f"{identity}\0{text}".encode(), digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _number(path: Path) -> int:
    digits = path.name.removeprefix("resume-").removesuffix(".safetensors")
    return int(digits) if digits.isdecimal() else -1


def _attempts(path: Path) -> tuple[int, ...]:
    try:
        return tuple(map(int, json.loads(path.read_bytes())))
    except (OSError, ValueError, TypeError):
        return ()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
