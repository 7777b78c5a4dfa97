"""Checkpoints of a training in progress, in a folder that always holds a complete one.

<folder>/resume-000007.safetensors    tensors; the metadata holds the rest of the state in JSON, and a checksum
<folder>/attempts.json                the step at which each process started or resumed the training
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from optical_sweeps.atomic_files import flush_to_disk, replacing
from optical_sweeps.limits import parse_json, read_json

FORMAT = "optical-sweeps/resume"
SCHEMA = 1
"""Increased when a change of code makes older states unusable."""

KEPT = 2

State = dict[str, Any]
"""Nested dicts, lists and tuples of tensors and JSON scalars, like a PyTorch `state_dict`."""


class UnusableCheckpoint(Exception):
    """A checkpoint that cannot be resumed: it is truncated, corrupt, or belongs to another run or version."""


def _ignore(text: str) -> None:
    """Print nothing."""


def _accept(state: State) -> None:
    """Accept every state."""


@dataclass
class TrainingCheckpoints:
    """The checkpoints of one training.

    Args:
        folder: created at the first write.
        identity: hash of everything that can change the training's numbers; checkpoints of another identity
            are skipped.
        announce: called with one line when a file is skipped or cannot be written.
    """

    folder: Path
    identity: str
    announce: Callable[[str], None] = _ignore

    def __post_init__(self) -> None:
        self._write_failed = False

    def write(self, state: State) -> bool:
        """Write a state; returns False, and announces the first failure, when the disk refuses it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            number = max(map(_number, self._files()), default=0) + 1
            write_atomically(self.folder / f"resume-{number:06d}.safetensors", _to_bytes(state, self.identity))
            for old in (*self._files()[KEPT:], *self._leftovers()):
                old.unlink(missing_ok=True)
        except OSError as error:
            if not self._write_failed:
                reason = error.strerror or type(error).__name__
                self.announce(f"{self.folder}: no checkpoint written ({reason}); the run continues without")
            self._write_failed = True
            return False
        self._write_failed = False
        return True

    def newest(self, load: Callable[[State], None] = _accept) -> State | None:
        """The newest complete state of this training; None if there is none.

        Args:
            load: called with each state until it accepts one; raises UnusableCheckpoint to reject it.
        """
        for path in self._files():
            try:
                state = read(path, self.identity)
                load(state)
            except UnusableCheckpoint as error:
                self.announce(f"{path}: skipped: {error}")
            else:
                return state
        return None

    def begin(self, step: int) -> tuple[int, ...]:
        """Record that a process starts or resumes the training at a step; returns the steps of all attempts."""
        path = self.folder / "attempts.json"
        attempts = (*_attempts(path), step)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(attempts).encode())
        except OSError:
            return attempts  # `write` announces a full disk
        return attempts

    def remove(self) -> None:
        """Delete all checkpoints; called once the result of the training is stored elsewhere."""
        for path in (*self._files(), self.folder / "attempts.json", *self._leftovers()):
            path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _files(self) -> list[Path]:
        """Newest first."""
        return sorted(self.folder.glob("resume-[0-9]*.safetensors"), key=_number, reverse=True)

    def _leftovers(self) -> Iterator[Path]:
        return self.folder.glob(".*.tmp")


def read(path: Path, identity: str) -> State:
    """The state in a checkpoint file.

    Raises:
        UnusableCheckpoint: the file is incomplete or belongs to another training.
    """
    import safetensors
    import safetensors.torch

    try:
        with safetensors.safe_open(path, "pt") as content:
            metadata = content.metadata() or {}
        if metadata.get("format") != FORMAT or metadata.get("schema") != str(SCHEMA):
            raise UnusableCheckpoint("it was written by another version")
        if metadata.get("identity") != identity:
            raise UnusableCheckpoint("it belongs to a run with other settings")
        # read into memory, not mapped: the file may be replaced while its tensors are in use
        tensors = safetensors.torch.load(path.read_bytes())
        if _checksum(metadata["state"], identity, tensors) != metadata.get("checksum"):
            raise UnusableCheckpoint("its checksum does not match")
        state: State = _unpacked(parse_json(metadata["state"]), tensors)
        return state
    except (UnusableCheckpoint, MemoryError):
        raise
    except Exception as error:  # the exception depends on which byte is wrong
        raise UnusableCheckpoint("it is truncated or corrupt") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file or nothing; the content is on disk when this returns."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
        flush_to_disk(temporary)
    flush_to_disk(path.parent)


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


def _packed(value: object, name: str, tensors: dict[str, Tensor]) -> object:
    """A nested value as JSON; its tensors are added to `tensors`, named by their position."""
    if isinstance(value, Tensor):
        # cloned, since safetensors refuses tensors that share memory
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"dict": [[key, _packed(child, f"{name}/{key}", tensors)] for key, child in value.items()]}
    if isinstance(value, list | tuple):
        items = [_packed(child, f"{name}/{place}", tensors) for place, child in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"{name}: a checkpoint cannot hold a {type(value).__name__}")


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
        return tuple(map(int, read_json(path)))
    except (OSError, ValueError, TypeError):
        return ()
