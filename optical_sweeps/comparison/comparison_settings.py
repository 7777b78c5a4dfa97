"""Settings of `compare`: the systems of a table, and how they are compared."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Literal

from pydantic import BeforeValidator

from optical_sweeps.checks import FilePath, Fraction, PositiveFloat, Strings, one_of, strings, whole_number
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.evaluation_settings import EvaluationSettings
from optical_sweeps.evaluation.measures import Measure
from optical_sweeps.settings import settings

Queries = Literal["human", "machine", "untranslated"]
Search = Literal["bm25", "teacher", "structured"]

BASELINES: Mapping[str, tuple[Queries, Search]] = {
    "bm25_human": ("human", "bm25"),
    "teacher_human": ("human", "teacher"),
    "bm25_machine": ("machine", "bm25"),
    "teacher_machine": ("machine", "teacher"),
    "psq": ("untranslated", "structured"),
    "bm25_untranslated": ("untranslated", "bm25"),
}
"""Systems that train no student: the queries they search with, and how they search."""

COMPARISON_KEYS = (
    "systems", "reference", "seeds", "measures", "split", "alpha", "human_queries", "lexical", "psq",
    "translator", "trained", "output",
)  # fmt: skip
"""Top-level keys of conf/compare.yaml that conf/train.yaml does not have."""


@settings("lexical")
class BM25Settings:
    """The parameters of BM25: saturation `k1` and length normalisation `b`."""

    k1: PositiveFloat = 0.9
    b: Fraction = 0.4


def _bm25(value: object) -> object:
    return BM25Settings(**value) if isinstance(value, dict) else value


def _seeds(value: object) -> object:
    if not isinstance(value, list | tuple) or not value or len(set(value)) < len(value):
        raise ValueError(f"{value!r} is not a list of distinct seeds; write it as [1, 2]")
    return tuple(whole_number("seeds", seed, least=0) for seed in value)


def _trained(value: object) -> object:
    """Names of systems and their overrides; a name with null is removed."""
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is not a mapping of names to overrides")
    return {
        name: strings(f"trained.{name}", overrides)
        for name, overrides in value.items()
        if overrides is not None
    }


@settings("")
class ComparisonSettings:
    """A comparison of systems; see conf/compare.yaml.

    Args:
        systems: names of baselines, and keys of `trained`.
        reference: the system that the others are compared with; None is the last of `systems`.
        seeds: of each trained system; the table shows their means.
        alpha: family-wise error rate of all tests of one measure (Holm).
        human_queries: files of English queries, or `titles`.
        trained: overrides of `train` that make each trained system.
    """

    systems: Strings
    reference: str | None = None
    seeds: Annotated[tuple[int, ...], BeforeValidator(_seeds)] = (1, 2)
    measures: Strings = ("MAP@100", "nDCG@10")
    split: Literal["dev", "test"] = "test"
    alpha: Fraction = 0.05
    human_queries: str | None = None
    lexical: Annotated[BM25Settings, BeforeValidator(_bm25)] = field(default_factory=BM25Settings)
    trained: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_trained)] = field(default_factory=dict)
    output: FilePath | None = None

    def __post_init__(self) -> None:
        if names := sorted(set(self.trained) & set(BASELINES)):
            raise UserError(f"trained: {names[0]} is the name of a baseline; choose another")
        if not self.systems:
            raise UserError("systems: empty; name at least one, such as psq")
        for name in self.systems:
            one_of("systems", name, (*BASELINES, *self.trained))
        if self.reference is not None:
            one_of("reference", self.reference, self.systems)

    def check_measures(self, evaluation: EvaluationSettings) -> None:
        """Refuse measures that runs do not compute.

        Raises:
            UserError: there is one.
        """
        for measure in self.measures:
            one_of("measures", str(Measure.parse(measure)), [str(known) for known in evaluation.measures])

    @property
    def reference_system(self) -> str:
        """The system that the others are compared with."""
        return self.reference or self.systems[-1]

    @property
    def baselines(self) -> tuple[str, ...]:
        """The systems that train no student."""
        return tuple(name for name in self.systems if name in BASELINES)

    @property
    def trained_systems(self) -> dict[str, tuple[str, ...]]:
        """The overrides of the trained systems of the table."""
        return {name: self.trained[name] for name in self.systems if name in self.trained}
