"""What of a document is searched: its title, its text, or both."""

from dataclasses import dataclass

from optical_sweeps.checks import one_of
from optical_sweeps.errors import UserError

DOCUMENT_COLUMNS = ("title_and_text", "title", "text")


@dataclass(frozen=True)
class DocumentText:
    """A choice of columns, and what stands between them; part of a collection's identity.

    MIRACL's own baselines join title and text by a blank (pyserini's dense encoders: `f'{title} {text}'`).

    >>> DocumentText("title_and_text", " ").of("Cat", "A feline."), DocumentText("title", " ").of("Cat", "")
    ('Cat A feline.', 'Cat')
    """

    __no_type_check__ = True  # values come from YAML: __post_init__ checks them and names the key

    columns: str
    separator: str
    key: str = "data"

    def __post_init__(self) -> None:
        one_of(f"{self.key}.document_columns", self.columns, DOCUMENT_COLUMNS)
        if not isinstance(self.separator, str):
            raise UserError(f"{self.key}.separator: {self.separator!r} is not a string; put it in quotes")

    def of(self, title: str, text: str) -> str:
        """The searched text; empty where the chosen columns are."""
        parts = {"title": (title,), "text": (text,)}.get(self.columns, (title, text))
        return self.separator.join(part for part in parts if part)
