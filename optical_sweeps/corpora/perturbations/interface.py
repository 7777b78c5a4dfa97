"""What a perturbation is: changes to places in a text, each with the level from which on it is made."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from optical_sweeps.corpora.collections import Queries
from optical_sweeps.seeds import derive_seed


@dataclass(frozen=True)
class Change:
    """`text` in place of the characters from `start` to `stop`, made at every level above `threshold`."""

    threshold: float
    start: int
    stop: int
    text: str


@dataclass(frozen=True)
class Perturbation:
    """One kind of change, as strong as `level` says: 0 is none, 1 is every place that it knows.

    What may be changed, and into what, is drawn for level 1, whatever the level; a level makes those changes
    whose threshold lies below it. So a higher level keeps the changes of a lower one.

    Raises:
        ValueError: a level outside [0, 1].
    """

    level: float
    name: ClassVar[str]
    needs_lexicon: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.level <= 1:
            raise ValueError(f"level {self.level}: must lie in [0, 1]")

    def __str__(self) -> str:
        return f"{self.name}@{self.level:.12g}"

    def changes(self, text: str, language: str, random: Random) -> Sequence[Change]:
        """All changes of level 1, by place, none reaching into another."""
        raise NotImplementedError

    def check(self) -> None:
        """Refuse what it lacks, before any work, by UserError."""

    def __call__(self, text: str, language: str, random: Random) -> str:
        """The text as this level has it; the text itself at level 0."""
        made = [change for change in self.changes(text, language, random) if change.threshold < self.level]
        return with_changes(text, made)


def perturbed(queries: Queries, perturbation: Perturbation, seed: int) -> Queries:
    """The same queries, each changed by draws of its own: of (seed, kind, query id)."""
    texts = tuple(
        perturbation(text, queries.language, Random(derive_seed(f"{perturbation.name}.{query}", seed)))
        for query, text in zip(queries.ids, queries.texts, strict=True)
    )
    return Queries(queries.language, queries.ids, texts)


def with_changes(text: str, changes: Iterable[Change]) -> str:
    """The text after changes that are in order of their places.

    >>> with_changes("abc", [Change(0.0, 0, 1, "x"), Change(0.0, 2, 3, "")])
    'xb'
    """
    parts, place = [], 0
    for change in changes:
        parts += [text[place : change.start], change.text]
        place = change.stop
    return "".join([*parts, text[place:]])
