"""Settings of search and evaluation: which measures, how deep, on which perturbed queries."""

from collections.abc import Sequence
from dataclasses import field
from typing import Annotated

from pydantic import BeforeValidator

from optical_sweeps.checks import Count, NonNegativeInt, strings
from optical_sweeps.corpora.collections import SPLITS, Split
from optical_sweeps.corpora.path_patterns import check_pattern
from optical_sweeps.corpora.perturbations import Perturbation, parse
from optical_sweeps.corpora.perturbations.lexicon import lexicon_fingerprint
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.measures import Measure
from optical_sweeps.retrieval.search_settings import ExactSearch, RerankSearch, Search, search_of
from optical_sweeps.settings import key_of, settings


def _texts(value: object, kind: type) -> object:
    """A list with objects of a kind, as other settings have them, as their text; other values as they are."""
    if not isinstance(value, list | tuple):
        return value
    return [str(item) if isinstance(item, kind) else item for item in value]


def _measures(value: object) -> tuple[Measure, ...]:
    names = strings(key_of("measures"), _texts(value, Measure))
    if not names:
        raise ValueError("empty; name at least one, such as nDCG@10")
    return tuple(Measure.parse(name) for name in names)


def _dev_search(value: object) -> object:
    return value if value is None else search_of(value)


def _perturbations(value: object) -> tuple[Perturbation, ...]:
    perturbations = tuple(parse(text) for text in strings(key_of("perturbations"), _texts(value, Perturbation)))
    strings(key_of("perturbations"), map(str, perturbations))  # typing@0.1 and typing@0.10 are the same
    return perturbations


@settings("evaluation")
class EvaluationSettings:
    """Settings of search and measures.

    Args:
        measures: such as `nDCG@10`; validation and curves use the first one.
        depth: documents kept for each query.
        encode_batch_size: queries encoded at a time.
        memory_budget_mb: MiB for a search, in addition to index and result.
        perturbations: such as `typing@0.1`; test queries are also searched with each perturbation.
        perturbation_seed: of the perturbations.
        lexicon: pattern of files with a word and its English translation per line, with `{language}` in their
            name, for `code_switching`; None estimates a lexicon from the bitext.
        search: how collections are searched: exactly, by reranking, or with pruning.
        dev_search: how dev is searched, if it differs.
    """

    measures: Annotated[tuple[Measure, ...], BeforeValidator(_measures)] = (
        Measure("nDCG", 10),
        Measure("MAP", 100),
        Measure("MRR", 10),
        Measure("Recall", 100),
    )
    depth: Count = 100
    encode_batch_size: Count = 64
    memory_budget_mb: Count = 512
    perturbations: Annotated[tuple[Perturbation, ...], BeforeValidator(_perturbations)] = ()
    perturbation_seed: NonNegativeInt = 0
    lexicon: str | None = None
    search: Annotated[Search, BeforeValidator(search_of)] = field(default_factory=ExactSearch)
    dev_search: Annotated[Search | None, BeforeValidator(_dev_search)] = None

    def __post_init__(self) -> None:
        if self.lexicon is not None:
            check_pattern(key_of("lexicon"), self.lexicon, {"language"}, needs={"language"})
        if len({measure.by_answers for measure in self.measures}) > 1:
            raise UserError(
                f"{key_of('measures')}: some use answers and others judgements; for answers, choose "
                "evaluation=answers"
            )
        deepest = max(self.measures, key=lambda measure: measure.cutoff)
        if deepest.cutoff > self.depth and not deepest.by_answers:
            raise UserError(
                f"{key_of('depth')}: {self.depth} documents per query are not enough for {deepest}; "
                f"raise it to {deepest.cutoff}"
            )

        for name, search in (("search", self.search), ("dev_search", self.dev_search)):
            if search is not None and not isinstance(search, ExactSearch) and search.candidates < self.depth:
                raise UserError(
                    f"{key_of(name)}.candidates: {search.candidates}, but depth keeps {self.depth} documents; "
                    f"raise it to {self.depth} or more"
                )
        if self.perturbations and isinstance(self.search, RerankSearch):
            raise UserError(
                f"{key_of('perturbations')}: the candidates of a first stage are those of unperturbed queries; "
                "choose search exact or pruned"
            )

    def search_of(self, split: Split) -> Search:
        """How a split is searched."""
        return self.dev_search if split == "dev" and self.dev_search is not None else self.search

    def search_key(self, split: Split) -> str:
        """Where a config has the settings of a split's search."""
        differs = split == "dev" and self.dev_search is not None
        return "evaluation.dev_search" if differs else "evaluation.search"

    @property
    def searches(self) -> dict[Split, Search]:
        """How each split is searched."""
        return {split: self.search_of(split) for split in SPLITS}

    @property
    def main_measure(self) -> Measure:
        return self.measures[0]

    @property
    def memory_budget_bytes(self) -> int:
        return self.memory_budget_mb * 2**20

    def fingerprint(self, languages: Sequence[str]) -> str | None:
        """A hash of the lexicons that the perturbations read; None if they read none."""
        if self.lexicon is None or not any(one.needs_lexicon for one in self.perturbations):
            return None
        return lexicon_fingerprint(self.lexicon, languages)
