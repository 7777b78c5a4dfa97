"""Search a study's collections with a student, measure what it finds, and write it down."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from optical_sweeps.corpora.collections import PERTURBED, CollectionSource, Documents, Queries, Split
from optical_sweeps.corpora.perturbations import Perturbation, perturbed
from optical_sweeps.corpora.perturbations.lexicon import lexicon_for
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.evaluation.judging import check_judgements, judge
from optical_sweeps.evaluation.measures import Measure, QueryScores, macro_average
from optical_sweeps.evaluation.settings import EvaluationSettings
from optical_sweeps.retrieval.index import TokenIndex
from optical_sweeps.retrieval.maxsim import search
from optical_sweeps.retrieval.runs import RetrievalRun, write_run
from optical_sweeps.runs.spec.run_spec import RunSpec


@dataclass(frozen=True)
class EvaluationResult:
    """One split, searched and measured.

    Args:
        split: `dev` or `test`, or `test+typing@0.1` where its queries were so perturbed.
        rankings: by query language.
        scores: of every query, by query language.
        means: of every measure by language (`ar`) and group (`group:low`, macro over its languages).
        changed: share of the queries that the perturbation changed at all, by language.
    """

    split: str
    rankings: Mapping[str, RetrievalRun]
    scores: Mapping[str, QueryScores]
    means: Mapping[str, Mapping[Measure, float]]
    changed: Mapping[str, float] = field(default_factory=dict)

    def metrics(self) -> dict[str, float]:
        """Flat, as trackers take them: `test/nDCG@10/ar`."""
        return {
            f"{self.split}/{measure}/{where}": value
            for where, by_measure in self.means.items()
            for measure, value in by_measure.items()
        }

    def nested(self) -> dict[str, dict[str, float]]:
        """As records take them: measure, then language or group."""
        tree: dict[str, dict[str, float]] = {}
        for where, by_measure in self.means.items():
            for measure, value in by_measure.items():
                tree.setdefault(str(measure), {})[where] = value
        return tree


def search_and_measure(
    spec: RunSpec,
    student: TokenEncoder,
    index_of: Callable[[Documents], TokenIndex],
    split: Split,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> EvaluationResult:
    """Every language's queries of a split over the documents of its collection."""
    return measure_collections(
        spec.corpus,
        spec.languages.groups,
        student,
        index_of,
        split,
        spec.evaluation,
        progress,
    )


def search_perturbed(
    spec: RunSpec,
    student: TokenEncoder,
    index_of: Callable[[Documents], TokenIndex],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[EvaluationResult]:
    """The test queries once more for each of the run's perturbations."""
    return measure_perturbed(
        spec.corpus, spec.languages.groups, student, index_of, "test", spec.evaluation, progress
    )


def measure_collections(
    corpus: CollectionSource,
    groups: Mapping[str, Sequence[str]],
    student: TokenEncoder,
    index_of: Callable[[Documents], TokenIndex],
    split: Split,
    settings: EvaluationSettings,
    progress: Callable[[int, int], None] = lambda done, total: None,
    perturbation: Perturbation | None = None,
) -> EvaluationResult:
    """The queries of every language of `groups["all"]` over the index of their collection's documents.

    Args:
        perturbation: what changes the queries before they are searched.

    Raises:
        UserError: a collection has nothing to measure by.
    """
    rankings, scores, changed = {}, {}, {}
    languages = groups["all"]
    device = student.projection.weight.device.type
    for number, language in enumerate(languages):
        progress(number, len(languages))
        collection = corpus.collection(language, split)
        check_judgements(collection, settings.measures)
        texts = collection.queries.texts
        if perturbation is not None:
            texts = _perturbed(corpus, language, collection.queries, perturbation, settings)
            pairs = zip(texts, collection.queries.texts, strict=True)
            changed[language] = sum(new != old for new, old in pairs) / len(texts)
        queries = student.encode(texts, "query", batch_size=settings.encode_batch_size)
        rankings[language] = search(
            index_of(collection.documents),
            collection.queries.ids,
            queries,
            settings.depth,
            memory_budget_bytes=settings.memory_budget_bytes,
            device=device,
        )
        scores[language] = judge(rankings[language], collection, settings.measures)
    means = {language: of.means() for language, of in scores.items()}
    named = {f"group:{name}": members for name, members in groups.items()}
    name = split if perturbation is None else f"{split}{PERTURBED}{perturbation}"
    return EvaluationResult(name, rankings, scores, {**means, **macro_average(means, named)}, changed)


def measure_perturbed(
    corpus: CollectionSource,
    groups: Mapping[str, Sequence[str]],
    student: TokenEncoder,
    index_of: Callable[[Documents], TokenIndex],
    split: Split,
    settings: EvaluationSettings,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[EvaluationResult]:
    """As `measure_collections`, once for each perturbation that the settings name."""
    size, total = len(groups["all"]), len(groups["all"]) * len(settings.perturbations)

    def after(number: int) -> Callable[[int, int], None]:
        return lambda done, _: progress(number * size + done, total)

    return [
        measure_collections(corpus, groups, student, index_of, split, settings, after(number), perturbation)
        for number, perturbation in enumerate(settings.perturbations)
    ]


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


def write_rankings(measured: EvaluationResult, folder: Path, tag: str) -> None:
    """A TREC run file for each language: `<split>.<language>.trec.gz`."""
    folder.mkdir(parents=True, exist_ok=True)
    for language, ranking in measured.rankings.items():
        write_run(ranking, folder / f"{measured.split}.{language}.trec.gz", tag)


def write_per_query(path: Path, *splits: EvaluationResult) -> None:
    """Every query's measures: columns split, language, query_id, measure, value."""
    import pyarrow
    from pyarrow import parquet

    rows = [
        (measured.split, language, query, str(measure), value)
        for measured in splits
        for language, scores in measured.scores.items()
        for measure, values in scores.values.items()
        for query, value in zip(scores.query_ids, values.tolist(), strict=True)
    ]
    names = ("split", "language", "query_id", "measure", "value")
    table = pyarrow.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    temporary = path.with_name(f".{path.name}.tmp")
    parquet.write_table(table, temporary)
    temporary.replace(path)
