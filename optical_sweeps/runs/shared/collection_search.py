"""Searches a collection as `evaluation.search` says, and measures what pruning costs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int32, Int64

from optical_sweeps.console import Advance, no_progress
from optical_sweeps.corpora.collections import Collection, CollectionSource, Documents, Queries, Split
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.evaluation_settings import EvaluationSettings
from optical_sweeps.evaluation.judging import judge
from optical_sweeps.evaluation.measures import Measure
from optical_sweeps.evaluation.significance import Estimate
from optical_sweeps.retrieval.maxsim import search
from optical_sweeps.retrieval.pruned_index import PrunedIndex
from optical_sweeps.retrieval.pruned_search import search_pruned
from optical_sweeps.retrieval.rerank import rerank
from optical_sweeps.retrieval.search_settings import ExactSearch, PrunedSearch, RerankSearch, Search
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.retrieval.trec_runs import RetrievalRun
from optical_sweeps.runs.shared.first_stages import NONE

NDCG = Measure("nDCG", 10)
CONFIDENCE = 0.95


@dataclass(frozen=True)
class CollectionSearch:
    """Searches with the query vectors of one encoder in one index of each document set.

    Args:
        index_of: the index of documents.
        pruned_of: the pruned index of documents.
        candidates_of: the first stage's candidates for a language and split; see `FirstStageCandidates`.
    """

    evaluation: EvaluationSettings
    index_of: Callable[[Documents], TokenIndex]
    pruned_of: Callable[[Documents, PrunedSearch], PrunedIndex]
    candidates_of: Callable[[RerankSearch, str, Split], Int32[np.ndarray, "Q c"]]
    device: str

    def __call__(self, language: str, collection: Collection, queries: RaggedEmbeddings) -> RetrievalRun:
        """The ranking of a language's collection, searched as its split is."""
        return self.ranking(self.evaluation.search_of(collection.split), language, collection, queries)

    def ranking(
        self, how: Search, language: str, collection: Collection, queries: RaggedEmbeddings
    ) -> RetrievalRun:
        """The ranking of a language's collection."""
        ids, depth, documents = collection.queries.ids, self.evaluation.depth, collection.documents
        if isinstance(how, PrunedSearch):
            pruned = self.pruned_of(documents, how)
            return search_pruned(pruned, ids, queries, depth, how.probes, how.candidates, device=self.device)
        index = self.index_of(documents)
        if isinstance(how, ExactSearch):
            return search(index, ids, queries, depth, self.evaluation.memory_budget_bytes, device=self.device)
        candidates = self.candidates_of(how, language, collection.split)

        def of_query(query: int) -> Int64[np.ndarray, " c"]:
            row = candidates[query]
            numbers: Int64[np.ndarray, " c"] = row[row != NONE].astype(np.int64)
            return numbers

        return rerank(index, ids, queries, of_query, depth, device=self.device)

    def price(
        self,
        how: PrunedSearch,
        corpus: CollectionSource,
        languages: Sequence[str],
        encoder: TokenEncoder,
        progress: Advance = no_progress,
    ) -> "PruningPrice":
        """What a pruned search loses against the exact one, on a sample of the dev queries of each language.

        Args:
            encoder: of the queries.
            progress: called with (languages done, all languages).
        """
        kept: dict[str, Float64[np.ndarray, " _"]] = {}
        losses: dict[str, Float64[np.ndarray, " _"]] = {}
        for number, language in enumerate(languages):
            progress(number, len(languages))
            collection = _sample(corpus.collection(language, "dev"), how.price_queries)
            texts, size = collection.queries.texts, self.evaluation.encode_batch_size
            queries = encoder.encode(texts, "query", batch_size=size)
            exact, pruned = (
                self.ranking(search, language, collection, queries) for search in (ExactSearch(), how)
            )
            rankings = zip(exact.documents, pruned.documents, strict=True)
            kept[language] = np.array([_kept(*pair) for pair in rankings])
            measure = self.evaluation.main_measure if self.evaluation.main_measure.by_answers else NDCG
            before, after = (judge(run, collection, [measure]).values[measure] for run in (exact, pruned))
            losses[language] = before - after
        progress(len(languages), len(languages))
        return PruningPrice.of(kept, losses)


@dataclass(frozen=True)
class PruningPrice:
    """What a pruned search loses: means over sampled queries, with 95% intervals that generalise to others.

    Args:
        queries: sampled.
        kept: the share of the exact search's best ten documents that it finds.
        loss: of nDCG@10, or of the main measure of a collection that is judged by answers.
        losses: the mean loss of each language.
    """

    queries: int
    kept: float
    kept_interval: tuple[float, float]
    loss: float
    loss_interval: tuple[float, float]
    losses: Mapping[str, float]

    @classmethod
    def of(
        cls,
        kept: Mapping[str, Float64[np.ndarray, " _"]],
        losses: Mapping[str, Float64[np.ndarray, " _"]],
    ) -> "PruningPrice":
        """From the values of each language's queries."""
        all_kept, all_losses = np.concatenate([*kept.values()]), np.concatenate([*losses.values()])
        by_language = {language: round(float(values.mean()), 6) for language, values in losses.items()}
        kept_interval, loss_interval = _interval(all_kept), _interval(all_losses)
        return cls(
            len(all_kept),
            float(all_kept.mean()),
            (max(kept_interval[0], 0.0), min(kept_interval[1], 1.0)),
            float(all_losses.mean()),
            loss_interval,
            by_language,
        )

    def __str__(self) -> str:
        low, high = self.loss_interval
        return (
            f"keeps {self.kept:.1%} of the exact top 10, loses {self.loss:.4f} nDCG@10 [{low:.4f}, {high:.4f}] "
            f"({self.queries} dev queries)"
        )

    def refuse_above(self, largest: float, key: str) -> None:
        """Raises UserError if the mean loss is larger; `key` is where the config has the settings."""
        if self.loss > largest:
            raise UserError(
                f"{key}.max_loss: pruned search {self}, more than {largest:g}; raise {key}.probes or "
                f"{key}.candidates, or max_loss if you accept that"
            )


def _sample(collection: Collection, count: int) -> Collection:
    """The collection with at most `count` of its judged queries, evenly spaced."""
    queries = collection.queries
    judged = [
        number
        for number, name in enumerate(queries.ids)
        if collection.qrels.get(name) or collection.answers.get(name)
    ]
    places = np.unique(np.linspace(0, len(judged) - 1, min(count, len(judged))).astype(int)).tolist()
    chosen = [judged[place] for place in places]
    ids = tuple(queries.ids[number] for number in chosen)
    texts = tuple(queries.texts[number] for number in chosen)
    qrels = {name: collection.qrels[name] for name in ids if name in collection.qrels}
    answers = {name: collection.answers[name] for name in ids if name in collection.answers}
    return replace(collection, queries=Queries(queries.language, ids, texts), qrels=qrels, answers=answers)


def _kept(exact: Sequence[str], pruned: Sequence[str]) -> float:
    """The share of the best documents of an exact ranking that a pruned one also has at its top."""
    best = set(exact[: NDCG.cutoff])
    return len(best & set(pruned[: NDCG.cutoff])) / len(best) if best else 1.0


def _interval(values: Float64[np.ndarray, " n"]) -> tuple[float, float]:
    if len(values) < 2:
        return float(values.mean()), float(values.mean())
    return Estimate.of(values).interval(CONFIDENCE)
