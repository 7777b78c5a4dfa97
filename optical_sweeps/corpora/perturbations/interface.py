"""The interface of a perturbation: changes to spans of a text, each with a threshold on the level."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from optical_sweeps.corpora.collections import Queries
from optical_sweeps.seeds import derive_seed


@dataclass(frozen=True)
class Change:
    """Replace the characters from `start` to `stop` by `text`, at every level above `threshold`."""

    threshold: float
    start: int
    stop: int
    text: str


@dataclass(frozen=True)
class Perturbation:
    """One kind of change with a strength: `level` 0 changes nothing, and 1 changes every possible span.

    The changes and their thresholds are drawn for level 1, and a level applies those whose threshold is below
    it. So a higher level keeps the changes of a lower one.

    Raises:
        ValueError: a level outside [0, 1].
    """

    level: float
    name: ClassVar[str]
    needs_lexicon: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.level <= 1:
            raise ValueError(f"level {self.level}: must be in [0, 1]")

    def __str__(self) -> str:
        return f"{self.name}@{self.level:.12g}"

    def changes(self, text: str, language: str, random: Random) -> Sequence[Change]:
        """The changes of level 1, in the order of their spans, which do not overlap."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise UserError if a package that it needs is not installed."""

    def __call__(self, text: str, language: str, random: Random) -> str:
        """The text after the changes of this level."""
        applied = [change for change in self.changes(text, language, random) if change.threshold < self.level]
        return with_changes(text, applied)


def perturbed(queries: Queries, perturbation: Perturbation, seed: int) -> Queries:
    """The same queries, changed by random draws that depend on the seed, the kind and the query id."""
    texts = tuple(
        perturbation(text, queries.language, Random(derive_seed(f"{perturbation.name}.{query}", seed)))
        for query, text in zip(queries.ids, queries.texts, strict=True)
    )
    return Queries(queries.language, queries.ids, texts)


def with_changes(text: str, changes: Iterable[Change]) -> str:
    """The text after changes that are in the order of their spans.

    >>> with_changes("abc", [Change(0.0, 0, 1, "x"), Change(0.0, 2, 3, "")])
    'xb'
    """
    parts, copied = [], 0
    for change in changes:
        parts += [text[copied : change.start], change.text]
        copied = change.stop
    return "".join([*parts, text[copied:]])
