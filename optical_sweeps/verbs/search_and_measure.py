"""Search a study's collections with a student, measure what it finds, and write it down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.corpora.collections import Split
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.evaluation.measures import Measure, QueryScores, evaluate, macro_average
from optical_sweeps.retrieval.index import TokenIndex
from optical_sweeps.retrieval.maxsim import search
from optical_sweeps.retrieval.runs import RetrievalRun, write_run
from optical_sweeps.sweeps.run_spec import RunSpec


@dataclass(frozen=True)
class Measured:
    """One split, searched and measured.

    Args:
        rankings: by query language.
        scores: of every query, by query language.
        means: of every measure by language (`ar`) and group (`group:low`, macro over its languages).
    """

    split: Split
    rankings: Mapping[str, RetrievalRun]
    scores: Mapping[str, QueryScores]
    means: Mapping[str, Mapping[Measure, float]]

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
    index: TokenIndex,
    split: Split,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Measured:
    """Every language's queries of a split over the documents that the index holds."""
    rankings, scores = {}, {}
    for number, language in enumerate(spec.languages.all):
        progress(number, len(spec.languages.all))
        collection = spec.corpus.collection(language, split)
        queries = student.encode(
            collection.queries.texts, "query", batch_size=spec.evaluation.encode_batch_size
        )
        rankings[language] = search(
            index,
            collection.queries.ids,
            queries,
            spec.evaluation.depth,
            memory_budget_bytes=spec.evaluation.memory_budget_bytes,
        )
        scores[language] = evaluate(rankings[language], collection.qrels, spec.evaluation.measures)
    means = {language: of.means() for language, of in scores.items()}
    groups = {f"group:{name}": members for name, members in spec.languages.groups.items()}
    return Measured(split, rankings, scores, {**means, **macro_average(means, groups)})


def write_rankings(measured: Measured, folder: Path, tag: str) -> None:
    """A TREC run file for each language: `<split>.<language>.trec.gz`."""
    folder.mkdir(parents=True, exist_ok=True)
    for language, ranking in measured.rankings.items():
        write_run(ranking, folder / f"{measured.split}.{language}.trec.gz", tag)


def write_per_query(path: Path, *splits: Measured) -> None:
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
