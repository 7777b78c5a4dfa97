"""The candidates that a first stage returns for the queries of a collection; see `RerankSearch`."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from optical_sweeps.array_files import load_array
from optical_sweeps.console import echo
from optical_sweeps.corpora.bitext import Bitext, fingerprint_of_texts
from optical_sweeps.corpora.collections import Collection, Corpus, Documents, Split
from optical_sweeps.corpora.readers.digests import file_digest
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.evaluation_settings import EvaluationSettings
from optical_sweeps.retrieval.maxsim import search
from optical_sweeps.retrieval.psq import StructuredQueries
from optical_sweeps.retrieval.search_settings import RerankSearch
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.retrieval.translator import Translator
from optical_sweeps.retrieval.trec_runs import RetrievalRun, read_run
from optical_sweeps.retrieval.word_alignment import AlignmentSettings
from optical_sweeps.runs.shared.aligned_word_counts import AlignedWordCounts, EnglishVectors
from optical_sweeps.runs.shared.lexical_indexes import LexicalIndexes
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds, SharedArtifact
from optical_sweeps.runs.shared.translated_queries import TranslatedQueries
from optical_sweeps.runs.spec.first_stage_files import run_file
from optical_sweeps.runs.spec.human_queries import human_queries

NONE = -1
"""Fills up the rows of queries with fewer candidates."""


@dataclass(frozen=True)
class StudyTeacher:
    """The teacher of a study, and what its first stages read.

    Args:
        index_of: the teacher's index of documents, in the precision that `index_precision` names.
        english_vectors: the teacher's token vectors of English texts.
    """

    encoder: TokenEncoder
    fingerprint: str
    index_of: Callable[[Documents], TokenIndex]
    index_precision: str
    english_vectors: EnglishVectors

    def word_counts(self, bitext: Bitext, alignment: AlignmentSettings) -> AlignedWordCounts:
        """The counts of aligned words of a bitext, to be built or loaded."""
        return AlignedWordCounts(self.encoder, self.fingerprint, self.english_vectors, bitext, alignment)


@dataclass(frozen=True)
class FirstStages:
    """The first stages over a corpus; their candidates are stored, and shared by all runs.

    Args:
        teacher: None if there is no study, only a checkpoint.
    """

    corpus: Corpus
    evaluation: EvaluationSettings
    builds: ArtifactBuilds
    device: str
    teacher: StudyTeacher | None = None
    _indexes: dict[tuple[float, float], LexicalIndexes] = field(default_factory=dict, init=False)

    def candidates(self, settings: RerankSearch, language: str, split: Split) -> Int32[np.ndarray, "Q c"]:
        """Document numbers of the candidates of each query of a collection, best first.

        Raises:
            UserError: the first stage is not available, or a run file does not fit the collection.
        """
        return self.builds.get(FirstStageCandidates(self, settings, language, split))

    def lexical(self, settings: RerankSearch) -> LexicalIndexes:
        """The lexical indexes with the parameters of BM25 that the settings name."""
        return self._indexes.setdefault((settings.k1, settings.b), LexicalIndexes(settings.k1, settings.b))

    def study_teacher(self, stage: str) -> StudyTeacher:
        """The teacher; raises UserError if there is none."""
        if self.teacher is None:
            raise UserError(
                f"search.first_stage: {stage} needs the teacher of a run; choose another first stage"
            )
        return self.teacher


@dataclass(frozen=True, eq=False)
class FirstStageCandidates(SharedArtifact[Int32[np.ndarray, "Q c"]]):
    """Document numbers of each query's candidates, best first; `NONE` fills up short lists."""

    stages: FirstStages
    settings: RerankSearch
    language: str
    split: Split

    kind = "candidates"

    @property
    def collection(self) -> Collection:
        return self.stages.corpus.collection(self.language, self.split)

    def key(self) -> Mapping[str, object]:
        queries, documents = self.collection.queries, self.collection.documents
        return {
            "queries": fingerprint_of_texts(itertools.chain(queries.ids, queries.texts)),
            "documents": documents.fingerprint(),
            "count": self.settings.candidates,
            "first_stage": self.settings.first_stage,
            **self._stage_key(),
        }

    def build(self, folder: Path, builds: ArtifactBuilds) -> None:
        run = self._run()
        documents = self.collection.documents
        position_of = documents.positions(name for names in run.documents for name in names)
        candidates = np.full((len(run), self.settings.candidates), NONE, np.int32)
        for query, names in enumerate(run.documents):
            candidates[query, : len(names)] = [position_of[name] for name in names]
        np.save(folder / "candidates.npy", candidates)
        if empty := sum(not names for names in run.documents):
            echo(f"{self.part}: {empty} of {len(run)} {self.split} queries of {self.language} have none")

    def load(self, folder: Path) -> Int32[np.ndarray, "Q c"]:
        candidates: Int32[np.ndarray, "Q c"] = load_array(folder / "candidates.npy", mapped=True)
        return candidates

    def source(self) -> str:
        count = len(self.collection.queries)
        return f"{self.settings.first_stage} for {count} {self.split} queries of {self.language}"

    def _stage_key(self) -> dict[str, object]:
        """What the first stage's ranking depends on besides queries and documents."""
        settings, stage = self.settings, self.settings.first_stage
        bm25 = {"k1": settings.k1, "b": settings.b}
        if stage == "run_files":
            return {"file": file_digest(self._run_file()).hex()}
        if stage == "teacher":
            teacher = self.stages.study_teacher(stage)
            return {"teacher": teacher.fingerprint, "index": teacher.index_precision}
        if stage == "psq":
            structured = dataclasses.asdict(self._structured())
            return {**bm25, "word_counts": dict(self._word_counts().key()), "structured": structured}
        if stage == "bm25_machine":
            return {**bm25, "translator": self._translator().fingerprint(self.language)}
        return {**bm25, "texts": fingerprint_of_texts(self._texts())}

    def _run(self) -> RetrievalRun:
        collection, settings, stages = self.collection, self.settings, self.stages
        ids, count = collection.queries.ids, settings.candidates
        if settings.first_stage == "run_files":
            return _of_queries(read_run(self._run_file()), collection, count, self._run_file())
        if settings.first_stage == "teacher":
            teacher, evaluation = stages.study_teacher("teacher"), stages.evaluation
            queries = teacher.encoder.encode(
                collection.queries.texts, "query", batch_size=evaluation.encode_batch_size
            )
            budget = evaluation.memory_budget_bytes
            return search(
                teacher.index_of(collection.documents), ids, queries, count, budget, device=stages.device
            )
        if settings.first_stage == "psq":
            counts = stages.builds.get(self._word_counts())
            index = stages.lexical(settings).structured(collection.documents)
            return index.search(ids, collection.queries.texts, counts, count, self._structured())
        return stages.lexical(settings).bm25(collection.documents).search(ids, self._texts(), count)

    def _texts(self) -> Sequence[str]:
        """The texts that BM25 searches with."""
        if self.settings.first_stage == "bm25_human":
            return human_queries(self.stages.corpus, self.language, self.split, self.settings.human_queries)
        queries = self.collection.queries
        if self.settings.first_stage == "bm25_machine":
            return self.stages.builds.get(TranslatedQueries(self._translator(), queries, self.stages.device))
        return queries.texts

    def _word_counts(self) -> AlignedWordCounts:
        teacher = self.stages.study_teacher("psq")
        bitext = self.stages.corpus.bitext(self.language)
        alignment = self.settings.alignment or AlignmentSettings()
        assert isinstance(alignment, AlignmentSettings)
        return teacher.word_counts(bitext, alignment)

    def _structured(self) -> StructuredQueries:
        structured = self.settings.queries or StructuredQueries()
        assert isinstance(structured, StructuredQueries)
        return structured

    def _translator(self) -> Translator:
        assert isinstance(self.settings.translator, Translator)
        return self.settings.translator

    def _run_file(self) -> Path:
        return run_file(self.settings, self.language, self.split)


def _of_queries(run: RetrievalRun, collection: Collection, count: int, path: Path) -> RetrievalRun:
    """The rankings of a collection's queries, in its order, with at most `count` documents."""
    place_of = {query: place for place, query in enumerate(run.query_ids)}
    ids = collection.queries.ids
    if not place_of.keys() & set(ids):
        raise UserError(
            f"{path}: it ranks none of the {collection.split} queries of {collection.query_language}"
        )
    rankings = [run.documents[place_of[query]][:count] if query in place_of else () for query in ids]
    scores = [
        run.scores[place_of[query]][:count] if query in place_of else np.empty(0, np.float32) for query in ids
    ]
    if unknown := collection.documents.unknown(name for names in rankings for name in names):
        raise UserError(
            f"{path}: it ranks document {min(unknown)!r}, which {collection.name} does not have; name the run "
            "files of this collection"
        )
    return RetrievalRun(ids, tuple(rankings), tuple(scores))
