"""How a collection is searched: exactly, by reranking the candidates of a first stage, or with pruning."""

from collections.abc import Mapping
from typing import Literal

from optical_sweeps.checks import Count, Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat
from optical_sweeps.corpora.path_patterns import check_pattern
from optical_sweeps.errors import UserError
from optical_sweeps.settings import key_of, settings

FirstStage = Literal["teacher", "bm25_human", "bm25_machine", "bm25_untranslated", "psq", "run_files"]


@settings("search")
class ExactSearch:
    """MaxSim of every query with every document."""

    name = "exact"
    label_template = "exact"

    @property
    def label(self) -> str:
        """The name in tables, records and captions."""
        return self.label_template


@settings("search")
class RerankSearch:
    """MaxSim of every query with the candidates of a first stage, which all runs of a sweep share.

    Args:
        first_stage: the search that returns the candidates. `teacher`: the teacher's exact ranking.
            `bm25_human`, `bm25_machine`, `bm25_untranslated` and `psq`: the baselines of `compare`.
            `run_files`: TREC run files.
        candidates: documents of each query that are scored.
        human_queries: English queries for `bm25_human`, as in `compare`.
        run_files: pattern of the run files, with `{language}` and `{split}` in their name.
        k1, b: parameters of BM25 and of structured queries.
        alignment: of the bitext, for `psq` (`retrieval.word_alignment.AlignmentSettings`).
        queries: how `psq` translates query words (`retrieval.psq.StructuredQueries`).
        translator: translates the queries for `bm25_machine` (`retrieval.translator.Translator`).
    """

    first_stage: FirstStage = "teacher"
    candidates: Count = 1_000
    human_queries: str | None = None
    run_files: str | None = None
    k1: PositiveFloat = 0.9
    b: Fraction = 0.4
    alignment: object = None
    queries: object = None
    translator: object = None

    name = "rerank"
    label_template = "rerank {candidates} of {first_stage}"

    def __post_init__(self) -> None:
        if self.run_files is not None:
            check_pattern(
                key_of("run_files"), self.run_files, {"language", "split"}, needs={"language", "split"}
            )
        for stage, name, value in (
            ("run_files", "run_files", self.run_files),
            ("bm25_human", "human_queries", self.human_queries),
            ("bm25_machine", "translator", self.translator),
        ):
            if self.first_stage == stage and value is None:
                raise UserError(f"{key_of(name)}: null, but first_stage={stage} needs it; give one")

    @property
    def label(self) -> str:
        """The name in tables, records and captions."""
        return self.label_template.format_map(vars(self))


@settings("search")
class PrunedSearch:
    """MaxSim of every query with the most promising documents, which inverted lists of centroids select.

    Args:
        centroids: of the token vectors; None for a number that grows with the square root of the tokens.
        probes: lists that are read for each query token.
        candidates: documents of each query that are scored exactly.
        seed: of the sample from which centroids are learned, and of the initial centroids.
        price_queries: dev queries of each language for which the search is compared with the exact one.
        max_loss: a build is refused if it loses more nDCG@10 than this on those queries, in the mean.
    """

    centroids: Count | None = None
    probes: Count = 128
    candidates: Count = 1_024
    seed: NonNegativeInt = 0
    price_queries: Count = 50
    max_loss: NonNegativeFloat = 0.01

    name = "pruned"
    label_template = "pruned ({probes} probes, {candidates} candidates)"

    @property
    def label(self) -> str:
        """The name in tables, records and captions."""
        return self.label_template.format_map(vars(self))


Search = ExactSearch | RerankSearch | PrunedSearch


def label_of(section: Mapping[str, object]) -> str:
    """The label of a search, from its section of a run's config.

    >>> label_of({"_target_": "a.RerankSearch", "candidates": 100, "first_stage": "psq"})
    'rerank 100 of psq'
    """
    kinds: dict[str, type[ExactSearch] | type[RerankSearch] | type[PrunedSearch]] = {
        kind.__name__: kind for kind in (ExactSearch, RerankSearch, PrunedSearch)
    }
    kind = kinds[str(section["_target_"]).rpartition(".")[2]]
    return kind.label_template.format_map(section)


def search_of(value: object) -> object:
    """`value`, one of the settings above; raises ValueError, as pydantic's validators do."""
    if not isinstance(value, Search):
        raise ValueError(f"{value!r} is not a search; choose one, such as search@evaluation.search=pruned")
    return value
