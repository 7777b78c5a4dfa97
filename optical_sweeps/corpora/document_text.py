"""Which columns of a document are searched: its title, its text, or both."""

from typing import Literal

from optical_sweeps.settings import settings

DocumentColumns = Literal["title_and_text", "title", "text"]


@settings("data", kw_only=True)
class DocumentText:
    """The searched columns and the separator between them; part of a collection's identity.

    MIRACL's own baselines join title and text by a blank (pyserini's dense encoders: `f'{title} {text}'`).

    Args:
        document_columns: title_and_text, title or text.
        separator: the text between title and text.

    >>> DocumentText().searched_text("Cat", "A feline."), DocumentText().searched_text("Cat", "")
    ('Cat A feline.', 'Cat')
    """

    document_columns: DocumentColumns = "title_and_text"
    separator: str = " "

    def searched_text(self, title: str, text: str) -> str:
        """The searched text of a document; empty if the chosen columns are."""
        columns = {"title": (title,), "text": (text,)}.get(self.document_columns, (title, text))
        return self.separator.join(column for column in columns if column)
