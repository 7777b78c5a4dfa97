"""Systems that train no student: BM25, translate-test and structured queries; their results are stored."""

import dataclasses
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypedDict

from optical_sweeps.comparison.comparison_settings import BASELINES, ComparisonSettings, Queries
from optical_sweeps.console import Advance, echo
from optical_sweeps.corpora import collections
from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.corpora.collections import Collection, CollectionSource, Split
from optical_sweeps.corpora.languages import ENGLISH
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.judging import judge
from optical_sweeps.evaluation.measures import macro_average
from optical_sweeps.limits import read_json
from optical_sweeps.retrieval.lexical import LexicalIndex
from optical_sweeps.retrieval.psq import StructuredQueries
from optical_sweeps.retrieval.translator import Translator
from optical_sweeps.retrieval.trec_runs import RetrievalRun
from optical_sweeps.retrieval.word_alignment import AlignmentSettings
from optical_sweeps.runs.distillation.search_and_evaluate import (
    EvaluationResult,
    measure_collections,
    write_per_query,
    write_rankings,
)
from optical_sweeps.runs.shared.lexical_indexes import LexicalIndexes
from optical_sweeps.runs.shared.prepare import SharedResources, prepare
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds, SharedArtifact
from optical_sweeps.runs.shared.translated_queries import TranslatedQueries
from optical_sweeps.runs.spec.human_queries import human_queries
from optical_sweeps.runs.spec.identity import fact
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.settings import build

UNPERTURBED = {"perturbations": [], "perturbation_seed": 0}
"""Baselines are evaluated on unperturbed queries, whatever the trained systems of the table are."""
SEARCHES = ("search", "dev_search")
"""Settings of the evaluation that only systems with token vectors depend on."""


@dataclass(frozen=True)
class Baselines:
    """The baselines of one comparison.

    Args:
        spec: of the study; its objective is not used.
        alignment, structured: settings of probabilistic structured queries.
        translator: translates queries; None if no model is configured.
    """

    comparison: ComparisonSettings
    spec: RunSpec
    alignment: AlignmentSettings
    structured: StructuredQueries
    translator: Translator | None
    _human_queries: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)
    """English queries by language, read once for all systems."""

    @classmethod
    def of(cls, comparison: ComparisonSettings, spec: RunSpec, config: Mapping[str, object]) -> "Baselines":
        """The baselines that a resolved config describes under `psq` and `translator`."""
        psq, translator = config["psq"], config.get("translator")
        assert isinstance(psq, dict)
        return cls(
            comparison,
            spec,
            build("psq.alignment", psq["alignment"]),
            build("psq.queries", psq["queries"]),
            build("translator", translator) if isinstance(translator, dict) else None,
        )

    def check(self) -> None:
        """Check before any work whether each baseline can run.

        Raises:
            UserError: documents in a language other than English, no human queries, no translation model, or a
                missing package.
        """
        self._check_documents()
        needed = {BASELINES[name] for name in self.comparison.baselines}
        queries = {kind for kind, _ in needed}
        if "human" in queries:
            for language in self.spec.languages.all:
                self._human(language)
        if "machine" in queries:
            self._translator.check(self.spec.languages.all)
        if any(search == "bm25" for _, search in needed):
            LexicalIndex(["a"], ["a"], self.comparison.lexical.k1, self.comparison.lexical.b)

    def _check_documents(self) -> None:
        """Refuse English queries for documents in other languages."""
        english = [name for name in self.comparison.baselines if BASELINES[name] != ("untranslated", "bm25")]
        for language in self.spec.languages.all if english else ():
            documents = self.spec.corpus.collection(language, self.comparison.split).documents
            if documents.language != ENGLISH:
                raise UserError(
                    f"systems: {english[0]} searches with English, but {language}'s documents are in "
                    f"{documents.language}; leave it out, or choose data with English documents"
                )

    def folder(self, name: str) -> Path:
        """The folder of a baseline's results, from the store or built now.

        It holds runs/<split>.<language>.trec.gz, per_query.parquet and system.json.
        """
        artifact = MeasuredBaseline(self, name)
        folder = self._builds.folder(artifact)
        facts = artifact.load(folder)
        main = str(self.spec.evaluation.main_measure)
        echo(f"{name}: {main} {facts['measures'][main]['group:all']:.3f}, {facts['seconds']:.1f} s")
        return folder

    def key(self, name: str) -> dict[str, object]:
        """Everything that determines the results of a baseline."""
        queries, search = BASELINES[name]
        config, comparison = self.spec.config, self.comparison
        evaluation = {**config["evaluation"], **UNPERTURBED}
        if search != "teacher":
            evaluation = {key: value for key, value in evaluation.items() if key not in SEARCHES}
        key: dict[str, object] = {
            "system": name,
            "split": comparison.split,
            "corpus": self.spec.corpus_fingerprint,
            "languages": fact("languages", config["languages"]),
            "evaluation": fact("evaluation", evaluation),
        }
        if search in ("bm25", "structured"):
            key["lexical"] = dataclasses.asdict(comparison.lexical)
        if search in ("teacher", "structured"):
            key["contents"] = self.spec.fingerprints()
            key |= {part: fact(part, config[part]) for part in ("encoder", "teacher")}
        if search == "teacher":
            key["index"] = self.spec.index.vector_precision
        if search == "structured":
            key["alignment"] = self.alignment.facts()
            key["structured"] = dataclasses.asdict(self.structured)
        languages = self.spec.languages.all
        if queries == "human":
            key["human"] = {language: fingerprint_of_texts(self._human(language)) for language in languages}
        if queries == "machine":
            key["translator"] = {language: self._translator.fingerprint(language) for language in languages}
        return key

    def measured(self, name: str, advance: Advance) -> EvaluationResult:
        """Search and evaluate with a baseline."""
        queries, search = BASELINES[name]
        spec, split = self.spec, self.comparison.split
        corpus = _WithQueries(spec.corpus, self, queries)
        groups = spec.languages.groups
        if search == "teacher":
            find = self.shared.search(spec, spec.evaluation)
            return measure_collections(
                corpus, groups, self.shared.teacher, find, split, spec.evaluation, advance
            )
        rankings, scores = {}, {}
        for number, language in enumerate(groups["all"]):
            advance(number, len(groups["all"]))
            collection = corpus.collection(language, split)
            by = self._by_bm25 if search == "bm25" else self._by_structured_queries
            rankings[language] = by(collection)
            scores[language] = judge(rankings[language], collection, spec.evaluation.measures)
        means = {language: values.means() for language, values in scores.items()}
        members = {f"group:{group}": languages for group, languages in groups.items()}
        return EvaluationResult(split, rankings, scores, {**means, **macro_average(means, members)})

    def _by_bm25(self, collection: Collection) -> RetrievalRun:
        queries, depth = collection.queries, self.spec.evaluation.depth
        return self._lexical.bm25(collection.documents).search(queries.ids, queries.texts, depth)

    def _by_structured_queries(self, collection: Collection) -> RetrievalRun:
        bitext = self.spec.corpus.bitext(collection.query_language)
        counts = self._builds.get(self.shared.word_counts(bitext, self.alignment))
        index, queries = self._lexical.structured(collection.documents), collection.queries
        return index.search(queries.ids, queries.texts, counts, self.spec.evaluation.depth, self.structured)

    def queries(self, kind: Queries, collection: Collection) -> tuple[str, ...]:
        """The texts to search with: the collection's queries, or their English versions."""
        if kind == "human":
            return self._human(collection.query_language)
        return self._machine(collection) if kind == "machine" else collection.queries.texts

    def _human(self, language: str) -> tuple[str, ...]:
        if language not in self._human_queries:
            self._human_queries[language] = human_queries(
                self.spec.corpus, language, self.comparison.split, self.comparison.human_queries
            )
        return self._human_queries[language]

    def _machine(self, collection: Collection) -> tuple[str, ...]:
        device = str(self.spec.machine.device())
        return self._builds.get(TranslatedQueries(self._translator, collection.queries, device))

    @property
    def _translator(self) -> Translator:
        if self.translator is None:
            raise UserError(
                "translator: null, but bm25_machine and teacher_machine translate with it; choose "
                "translator=marian, nllb or m2m100, or leave those systems out of systems"
            )
        return self.translator

    @cached_property
    def _lexical(self) -> LexicalIndexes:
        return LexicalIndexes(self.comparison.lexical.k1, self.comparison.lexical.b)

    @cached_property
    def _builds(self) -> ArtifactBuilds:
        return ArtifactBuilds.at(self.spec.artifacts)

    @cached_property
    def shared(self) -> SharedResources:
        self.spec.machine.prepare()
        return prepare(self.spec)


class SystemFacts(TypedDict):
    """The content of system.json; `measures` is measure -> language or `group:name` -> mean."""

    name: str
    key: Mapping[str, object]
    measures: dict[str, dict[str, float]]
    seconds: float


@dataclass(frozen=True, eq=False)
class MeasuredBaseline(SharedArtifact[SystemFacts]):
    """Run files, per-query scores and measures of one baseline."""

    baselines: Baselines
    name: str

    kind = "system"
    recipe = 5
    announced_from = math.inf

    def key(self) -> Mapping[str, object]:
        return self.baselines.key(self.name)

    def build(self, folder: Path, builds: ArtifactBuilds) -> None:
        if BASELINES[self.name][1] != "bm25":
            _ = self.baselines.shared  # the time to build shared resources is not part of this system's seconds
        start = time.perf_counter()
        with builds.progress(self.name) as advance:
            result = self.baselines.measured(self.name, advance)
        write_rankings(result, folder / "runs", tag=self.name)
        write_per_query(folder / "per_query.parquet", result)
        facts: SystemFacts = {
            "name": self.name,
            "key": self.key(),
            "measures": result.nested(),
            "seconds": round(time.perf_counter() - start, 3),
        }
        (folder / "system.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    def load(self, folder: Path) -> SystemFacts:
        facts: SystemFacts = read_json(folder / "system.json")
        return facts

    def source(self) -> str:
        return self.name


@dataclass(frozen=True)
class _WithQueries:
    """A study's collections with other texts of their queries."""

    source: CollectionSource
    baselines: Baselines
    kind: Queries

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def languages(self) -> tuple[str, ...]:
        return self.source.languages

    def collection(self, language: str, split: Split) -> Collection:
        collection = self.source.collection(language, split)
        texts = self.baselines.queries(self.kind, collection)
        queries = collections.Queries(collection.query_language, collection.queries.ids, texts)
        return dataclasses.replace(collection, queries=queries)
