"""Search the collections of a study with an encoder, measure the rankings, and write them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from optical_sweeps.atomic_files import replacing
from optical_sweeps.console import Advance, no_progress
from optical_sweeps.corpora.collections import PERTURBED, CollectionSource, Queries, Split
from optical_sweeps.corpora.perturbations import Perturbation, perturbed
from optical_sweeps.corpora.perturbations.lexicon import lexicon_for
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.evaluation.evaluation_settings import EvaluationSettings
from optical_sweeps.evaluation.judging import check_judgements, judge
from optical_sweeps.evaluation.measures import Measure, QueryScores, macro_average
from optical_sweeps.retrieval.search_settings import ExactSearch
from optical_sweeps.retrieval.trec_runs import RetrievalRun, write_run
from optical_sweeps.runs.shared.collection_search import CollectionSearch


@dataclass(frozen=True)
class EvaluationResult:
    """Rankings and measures of one split.

    Args:
        split: `dev` or `test`, or `test+typing@0.1` if its queries were perturbed.
        rankings: the ranking of each query language.
        scores: the measures of every query, by query language.
        means: mean measures by language (`ar`) and by group (`group:low`, the macro average of its languages).
        changed: the share of queries that a perturbation changed, by language.
        search: how the collections were searched.
    """

    split: str
    rankings: Mapping[str, RetrievalRun]
    scores: Mapping[str, QueryScores]
    means: Mapping[str, Mapping[Measure, float]]
    changed: Mapping[str, float] = field(default_factory=dict)
    search: str = ExactSearch.name

    def metrics(self) -> dict[str, float]:
        """Means under flat names for a tracker, such as `test/nDCG@10/ar`."""
        return {
            f"{self.split}/{measure}/{where}": value
            for where, by_measure in self.means.items()
            for measure, value in by_measure.items()
        }

    def nested(self) -> dict[str, dict[str, float]]:
        """Means by measure, then by language or group, for the record."""
        tree: dict[str, dict[str, float]] = {}
        for where, by_measure in self.means.items():
            for measure, value in by_measure.items():
                tree.setdefault(str(measure), {})[where] = value
        return tree


def measure_collections(
    corpus: CollectionSource,
    groups: Mapping[str, Sequence[str]],
    encoder: TokenEncoder,
    search: CollectionSearch,
    split: Split,
    settings: EvaluationSettings,
    progress: Advance = no_progress,
    perturbation: Perturbation | None = None,
) -> EvaluationResult:
    """Search the collection of every language of `groups["all"]`, and measure.

    Args:
        encoder: encodes the queries.
        search: searches as the settings of the split say.
        progress: called with (languages done, all languages).
        perturbation: changes the queries before the search.

    Raises:
        UserError: a collection lacks the judgements that a measure needs.
    """
    rankings, scores, changed = {}, {}, {}
    languages = groups["all"]
    for number, language in enumerate(languages):
        progress(number, len(languages))
        collection = corpus.collection(language, split)
        check_judgements(collection, settings.measures)
        texts = collection.queries.texts
        if perturbation is not None:
            texts = _perturbed(corpus, language, collection.queries, perturbation, settings)
            pairs = zip(texts, collection.queries.texts, strict=True)
            changed[language] = sum(new != old for new, old in pairs) / len(texts)
        queries = encoder.encode(texts, "query", batch_size=settings.encode_batch_size)
        rankings[language] = search(language, collection, queries)
        scores[language] = judge(rankings[language], collection, settings.measures)
    means = {language: values.means() for language, values in scores.items()}
    named = {f"group:{name}": members for name, members in groups.items()}
    name = split if perturbation is None else f"{split}{PERTURBED}{perturbation}"
    label = search.evaluation.search_of(split).label
    return EvaluationResult(name, rankings, scores, {**means, **macro_average(means, named)}, changed, label)


def _perturbed(
    corpus: CollectionSource,
    language: str,
    queries: Queries,
    perturbation: Perturbation,
    settings: EvaluationSettings,
) -> tuple[str, ...]:
    if perturbation.needs_lexicon:
        lexicon = lexicon_for(corpus, language, settings.lexicon)
        perturbation = replace(perturbation, lexicon=lexicon)  # type: ignore[call-arg]
    return perturbed(queries, perturbation, settings.perturbation_seed).texts


def write_rankings(result: EvaluationResult, folder: Path, tag: str) -> None:
    """Write a TREC run file for each language: `<split>.<language>.trec.gz`."""
    folder.mkdir(parents=True, exist_ok=True)
    for language, ranking in result.rankings.items():
        write_run(ranking, folder / f"{result.split}.{language}.trec.gz", tag)


def write_per_query(path: Path, *results: EvaluationResult) -> None:
    """Write the measures of every query: columns split, language, query_id, measure, value."""
    import pyarrow
    from pyarrow import parquet

    rows = [
        (result.split, language, query, str(measure), value)
        for result in results
        for language, scores in result.scores.items()
        for measure, values in scores.values.items()
        for query, value in zip(scores.query_ids, values.tolist(), strict=True)
    ]
    names = ("split", "language", "query_id", "measure", "value")
    table = pyarrow.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    with replacing(path) as temporary:
        parquet.write_table(table, temporary)
