"""Sources of a teacher's English query-document pairs: a file, or judged queries of ir_datasets."""

from optical_sweeps.checks import Count, FilePath, NonNegativeInt, check_file
from optical_sweeps.corpora.builders.ir_datasets_documents import IrDatasetsDocuments
from optical_sweeps.corpora.collections import RelevantPair
from optical_sweeps.corpora.languages import ENGLISH
from optical_sweeps.corpora.read_once import read_once
from optical_sweeps.corpora.readers.ir_dataset import DatasetId, IrDataset
from optical_sweeps.corpora.readers.relevant_pairs import read_relevant_pairs, with_concepts
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed
from optical_sweeps.settings import key_of, settings


@settings("data.teacher_pairs")
class FilePairs:
    """Pairs from a TSV of query and document.

    Raises:
        UserError: there is no such file (at construction), a bad line (at first use).
    """

    file: FilePath

    def __post_init__(self) -> None:
        check_file(key_of("file"), self.file, "name a TSV of query and document")

    @read_once
    def relevant_pairs(self) -> tuple[RelevantPair, ...]:
        """All pairs."""
        return read_relevant_pairs(self.file)


@settings("data.teacher_pairs", kw_only=True)
class IrDatasetsPairs(IrDatasetsDocuments):
    """Queries of a dataset with the documents judged relevant to them.

    Args:
        dataset: id with queries and judgements, such as `msmarco-passage/train/judged`.
        limit: largest number of pairs, null for all; a smaller set is part of a larger one.
        seed: seed of the choice of pairs.

    The other settings are those of `IrDatasetsDocuments`.

    Raises:
        UserError: a bad setting or an unknown id (at construction); missing or unreadable data (at first use).
    """

    dataset: DatasetId
    limit: Count | None = 50_000
    seed: NonNegativeInt = 0

    @read_once
    def relevant_pairs(self) -> tuple[RelevantPair, ...]:
        """The pairs, in the order of their hashes."""
        judged = IrDataset(self.dataset)
        source = judged.documents_dataset()
        documents = self.packed(source, source.documents_language() or ENGLISH)
        queries = judged.queries(on_duplicate=self.on_duplicate)
        links = [
            (query, document)
            for query, grades in judged.qrels(self.on_duplicate).items()
            for document, grade in grades.items()
            if grade > 0 and queries.get(query)
        ]
        links.sort(key=lambda link: derive_seed(f"pair.{link[0]}.{link[1]}", self.seed))
        links = links[: self.limit]
        positions = documents.positions(document for _, document in links)
        pairs = [
            (queries[query], documents.texts[positions[document]])
            for query, document in links
            if document in positions
        ]
        if not pairs:
            raise UserError(f"{self.dataset}: none of its queries has a relevant document that exists")
        return with_concepts(pairs)
