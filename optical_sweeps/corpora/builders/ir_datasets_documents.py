"""Documents of ir_datasets, packed into a folder at first use and memory-mapped after that."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from optical_sweeps.checks import FilePath
from optical_sweeps.corpora.collections import Documents
from optical_sweeps.corpora.document_text import DocumentText
from optical_sweeps.corpora.packed import packed_documents
from optical_sweeps.corpora.readers.ir_dataset import IrDataset, OnDuplicate
from optical_sweeps.errors import UserError
from optical_sweeps.settings import settings


@settings("data.collections", kw_only=True)
class IrDatasetsDocuments(DocumentText):
    """How the documents of a dataset are read and where they are packed.

    Args:
        document_columns: which columns of a document are used: title_and_text, title or text.
        separator: the text between title and text.
        complete: refuse a collection with fewer documents than its provider counts.
        on_duplicate: what to do with an id that the provider gives to several documents or queries: refuse, or
            keep the first and count the others.
        cache: folder of the packed files.
    """

    complete: bool = True
    on_duplicate: OnDuplicate = "refuse"
    cache: FilePath = Path("artifacts/collections")

    def packed(self, dataset: IrDataset, language: str, folder: Path | None = None) -> Documents:
        """The documents of a dataset, packed into a subfolder of `folder` (default: `cache`) named after it.

        Raises:
            UserError: documents are missing or cannot be read, or the folder cannot be written.
        """
        facts = {
            "dataset": dataset.id,
            "columns": self.document_columns,
            "separator": self.separator,
            "complete": self.complete,
            "on_duplicate": self.on_duplicate,
        }
        digest = hashlib.blake2b(repr(sorted(facts.items())).encode(), digest_size=4).hexdigest()
        pack = (folder or self.cache) / f"{dataset.id.replace('/', '-')}-{digest}"
        keep_first = self.on_duplicate == "first"
        return packed_documents(
            pack, language, lambda: self._records(dataset), facts, dataset.documents_stamp, keep_first
        )

    def _records(self, dataset: IrDataset) -> Iterator[tuple[str, str]]:
        number = 0
        for document, title, text in dataset.documents():
            yield document, self.searched_text(title, text)
            number += 1
        expected = dataset.documents_count()
        if self.complete and expected is not None and number < expected:
            raise UserError(
                f"{dataset.id}: {number:,} documents where its provider counts {expected:,}: the download is "
                "incomplete; fetch it again, or set `complete` to false to use a part of it"
            )
