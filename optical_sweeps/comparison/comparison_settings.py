"""What a comparison asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from optical_sweeps.checks import number_between, one_of, positive_number, strings, whole_number
from optical_sweeps.corpora.collections import Split
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.measures import Measure
from optical_sweeps.evaluation.settings import EvaluationSettings

BASELINES: Mapping[str, tuple[str, str]] = {
    "bm25_human": ("human", "bm25"),
    "teacher_human": ("human", "teacher"),
    "bm25_machine": ("machine", "bm25"),
    "teacher_machine": ("machine", "teacher"),
    "psq": ("untranslated", "structured"),
    "bm25_untranslated": ("untranslated", "bm25"),
}
"""Systems that train no student: whose queries they search with, and how."""

OWN_KEYS = (
    "systems", "reference", "seeds", "measures", "split", "alpha", "human_queries", "lexical", "psq",
    "translator", "trained", "output",
)  # fmt: skip
"""Top-level keys that a comparison has and a run has not."""


@dataclass(frozen=True)
class Comparison:
    """A checked comparison.

    Args:
        systems: names of baselines, and of `trained`.
        reference: the system that the others are compared with; by default the last.
        trained: name -> overrides of `train`.
    """

    systems: tuple[str, ...]
    reference: str
    seeds: tuple[int, ...]
    measures: tuple[Measure, ...]
    split: Split
    alpha: float
    k1: float
    b: float
    human_queries: str | None
    trained: Mapping[str, tuple[str, ...]]
    output: str | None

    @classmethod
    def of(cls, settings: Mapping[str, Any], evaluation: EvaluationSettings) -> "Comparison":
        """The comparison that a composed config asks for.

        Raises:
            UserError: a value is unknown or out of range; its key is named.
        """
        trained = {
            name: strings(f"trained.{name}", overrides)
            for name, overrides in settings["trained"].items()
            if overrides is not None
        }
        if taken := sorted(set(trained) & set(BASELINES)):
            raise UserError(f"trained: {taken[0]} is the name of a baseline; choose another")
        systems = strings("systems", settings["systems"])
        if not systems:
            raise UserError("systems: empty; name at least one, such as psq")
        for name in systems:
            one_of("systems", name, (*BASELINES, *trained))
        measures = tuple(Measure.parse(text) for text in strings("measures", settings["measures"]))
        for measure in measures:
            one_of("measures", str(measure), [str(known) for known in evaluation.measures])
        lexical = settings["lexical"]
        return cls(
            systems=systems,
            reference=_reference(settings["reference"], systems),
            seeds=_seeds(settings["seeds"]),
            measures=measures,
            split=cast(Split, one_of("split", settings["split"], ("dev", "test"))),
            alpha=number_between("alpha", settings["alpha"], 0.0, 1.0),
            k1=positive_number("lexical.k1", lexical["k1"]),
            b=number_between("lexical.b", lexical["b"], 0.0, 1.0),
            human_queries=settings["human_queries"],
            trained={name: trained[name] for name in systems if name in trained},
            output=settings["output"],
        )

    @property
    def baselines(self) -> tuple[str, ...]:
        return tuple(name for name in self.systems if name in BASELINES)


def _reference(value: object, systems: Sequence[str]) -> str:
    return one_of("reference", value, systems) if value is not None else systems[-1]


def _seeds(values: object) -> tuple[int, ...]:
    if not isinstance(values, list | tuple) or not values or len(set(values)) < len(values):
        raise UserError(f"seeds: {values!r} is not a list of distinct seeds; write it as [1, 2]")
    return tuple(whole_number("seeds", seed, least=0) for seed in values)
