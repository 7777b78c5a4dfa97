"""Where a teacher's English query-document pairs come from: a file, or judged queries of ir_datasets."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from optical_sweeps.checks import whole_number
from optical_sweeps.corpora.builders.ir_datasets_collections import pack_dataset
from optical_sweeps.corpora.collections import RelevantPair
from optical_sweeps.corpora.document_text import DocumentText
from optical_sweeps.corpora.readers.ir_dataset import IrDataset
from optical_sweeps.corpora.readers.relevant_pairs import read_relevant_pairs, with_concepts
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed

KEY = "data.teacher_pairs"


@dataclass(frozen=True)
class FilePairs:
    """Pairs from a TSV of query and document.

    Raises:
        UserError: there is no such file (at once), a bad line (at first use).
    """

    __no_type_check__ = True  # values come from YAML: __post_init__ checks them and names the key

    file: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", Path(self.file).expanduser())
        if not self.file.is_file():
            raise UserError(f"{KEY}.file: there is no file {self.file}; name a TSV of query and document")

    def relevant_pairs(self) -> tuple[RelevantPair, ...]:
        """All pairs."""
        return self._pairs

    @cached_property
    def _pairs(self) -> tuple[RelevantPair, ...]:
        return read_relevant_pairs(self.file)


@dataclass(frozen=True, kw_only=True)
class IrDatasetsPairs:
    """Queries of a dataset with the documents judged relevant to them.

    Args:
        dataset: id with queries and judgements, such as `msmarco-passage/train/judged`.
        limit: at most so many pairs; fewer are a part of more. Null is all.
        seed: another seed, other pairs.
        document_columns: what of a document is learnt: title_and_text, title or text.
        separator: what stands between title and text.
        complete: refuse a collection with fewer documents than its provider counts.
        cache: folder of the packed documents.

    Raises:
        UserError: a bad setting or an unknown id (at once); data that cannot be had or read (at first use).
    """

    __no_type_check__ = True  # values come from YAML: __post_init__ checks them and names the key

    dataset: str
    limit: int | None = 50_000
    seed: int = 0
    document_columns: str = "title_and_text"
    separator: str = " "
    complete: bool = True
    cache: Path = Path("artifacts/collections")

    def __post_init__(self) -> None:
        object.__setattr__(self, "cache", Path(self.cache).expanduser())
        if self.limit is not None:
            whole_number(f"{KEY}.limit", self.limit, least=1)
        whole_number(f"{KEY}.seed", self.seed, least=0)
        DocumentText(self.document_columns, self.separator, KEY)
        try:
            IrDataset(self.dataset)
        except UserError as error:
            raise UserError(f"{KEY}.dataset: {error}") from None

    def relevant_pairs(self) -> tuple[RelevantPair, ...]:
        """The pairs, in the order of their hashes."""
        return self._pairs

    @cached_property
    def _pairs(self) -> tuple[RelevantPair, ...]:
        judged = IrDataset(self.dataset)
        source = IrDataset(judged.documents_id())
        text = DocumentText(self.document_columns, self.separator)
        documents = pack_dataset(source, source.documents_language() or "en", text, self.cache, self.complete)
        queries = judged.queries()
        links = [
            (query, document)
            for query, grades in judged.qrels().items()
            for document, grade in grades.items()
            if grade > 0 and queries.get(query)
        ]
        links.sort(key=lambda link: derive_seed(f"pair.{link[0]}.{link[1]}", self.seed))
        links = links[: self.limit]
        places = documents.positions(document for _, document in links)
        pairs = [
            (queries[query], documents.texts[places[document]])
            for query, document in links
            if document in places
        ]
        if not pairs:
            raise UserError(f"{self.dataset}: none of its queries has a relevant document that is there")
        return with_concepts(pairs)
