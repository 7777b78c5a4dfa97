"""An artifact that runs share: what identifies it, how it is built, and how it is loaded."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.console import Advance, echo, progress
from optical_sweeps.errors import UserError, first_line
from optical_sweeps.interruption import Interruption

T = TypeVar("T")
QUIET_SECONDS = 10.0
"""Seconds of a build before the first line about it, where output is no terminal."""


class StoredPart(ABC):
    """Something that the artifact store holds; a subclass names its inputs as dataclass fields.

    Attributes:
        kind: the folder of the store that holds it.
        recipe: number to raise when a change of code changes what an unchanged key builds.
        announced_from: seconds a build has to take to be announced on the console.
    """

    kind: ClassVar[str]
    recipe: ClassVar[int] = 1
    announced_from: ClassVar[float] = 0.0

    @property
    def part(self) -> str:
        """The name of the artifact in progress bars, messages and `record.json`."""
        return self.kind

    @abstractmethod
    def key(self) -> Mapping[str, object]:
        """Every input that determines the content, as JSON values."""

    def stored_key(self) -> dict[str, object]:
        """The key with the recipe, which identifies the part in the store."""
        return {"recipe": self.recipe, **self.key()}


class SharedArtifact(StoredPart, Generic[T]):
    """One entry of the artifact store.

    Attributes:
        in_parts: whether several processes may build it together (`ArtifactStore.get_or_build_in_parts`).
    """

    in_parts: ClassVar[bool] = False

    @abstractmethod
    def build(self, folder: Path, builds: "ArtifactBuilds") -> None:
        """Fill an empty folder; artifacts this one is made from come from `builds` as well."""

    @abstractmethod
    def load(self, folder: Path) -> T:
        """Read what `build` wrote."""

    @abstractmethod
    def source(self) -> str:
        """What the artifact is built from, for the console, such as `80 documents`."""


@dataclass(frozen=True)
class ArtifactBuilds:
    """The artifact store as one process uses it.

    Args:
        interruption: stops a build between two reports of its progress.
        seconds: time spent on each part that this process had to build; empty if the store had everything.
    """

    store: ArtifactStore
    interruption: Interruption = field(default_factory=Interruption)
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def at(cls, root: Path, interruption: Interruption | None = None) -> "ArtifactBuilds":
        """The store in folder `root`, with its messages on the console."""
        return cls(ArtifactStore(root, announce=echo), interruption or Interruption())

    def get(self, artifact: SharedArtifact[T]) -> T:
        """The artifact, from the store or built into it.

        Raises:
            UserError: the entry of the store is complete but does not contain what `build` writes.
        """
        folder = self.folder(artifact)
        try:
            return artifact.load(folder)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError) as error:
            raise UserError(
                f"{folder}: not a usable {artifact.part} ({type(error).__name__}: {first_line(error)}); delete "
                "this folder, and it is built again"
            ) from error

    def folder(self, artifact: SharedArtifact[T]) -> Path:
        """The folder of the artifact, from the store or built into it.

        Raises:
            Interrupted: the process was asked to stop.
        """

        def build(folder: Path) -> None:
            start, nested = time.perf_counter(), sum(self.seconds.values())
            artifact.build(folder, self)
            nested = sum(self.seconds.values()) - nested
            seconds = time.perf_counter() - start - nested
            self.add_seconds(artifact, seconds)
            self.announce(artifact, artifact.source(), seconds)

        with self.interruption.raising():  # a key can be a hash of all texts
            key = artifact.stored_key()
        get_or_build = self.store.get_or_build_in_parts if artifact.in_parts else self.store.get_or_build
        return get_or_build(artifact.kind, key, build)

    def expected_folder(self, artifact: SharedArtifact[T]) -> Path:
        """The folder of the artifact, whether it is built or not."""
        return self.store.folder_of(artifact.kind, artifact.stored_key())

    def add_seconds(self, part: StoredPart, seconds: float) -> None:
        """Count time that this process spent on a part."""
        self.seconds[part.part] = self.seconds.get(part.part, 0.0) + seconds

    def announce(self, part: StoredPart, source: str, seconds: float) -> None:
        """Say on the console that a part was built, unless it took too little time."""
        if seconds >= part.announced_from:
            echo(f"{part.part}: built from {source} in {seconds:.1f} s")

    @contextmanager
    def progress(self, description: str) -> Iterator[Advance]:
        """A progress bar whose updates raise `Interrupted` once the process was asked to stop."""
        with progress(description, quiet=QUIET_SECONDS) as advance:
            yield self.interruption.checked(advance)
