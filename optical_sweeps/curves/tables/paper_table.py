"""A table for a paper, in Markdown, LaTeX (booktabs) and CSV.

Markdown and LaTeX are for reading: scores x 100 with two digits. CSV is for programs: the numbers themselves.
Text from configs and data is escaped.
"""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from optical_sweeps.spreadsheets import without_formula

FORMATS = ("markdown", "latex", "csv")
MARKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"higher": ("▲", r"$\uparrow$"), "lower": ("▼", r"$\downarrow$"), "equivalent": ("≈", r"$\approx$")}
)
"""Word of a verdict -> its mark in Markdown and in LaTeX."""

_LATEX = {
    **dict(MARKS.values()),
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_",
    "%": r"\%", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "\"": r"\textquotedbl{}", "−": "$-$", "±": r"$\pm$",
    "…": r"\ldots{}",
}  # fmt: skip


@dataclass(frozen=True)
class Marked:
    """A cell with the marks of a verdict after its text."""

    text: str
    verdict: str = ""


Cell = str | Marked


@dataclass(frozen=True)
class PaperTable:
    """Rows for reading, and records of the same content for programs.

    Args:
        words: number of text columns, which come first and are left-aligned.
        caption: printed below the table in Markdown, and in \\caption in LaTeX.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: int
    caption: str
    records: tuple[Mapping[str, object], ...]

    def render(self, kind: str) -> str:
        """The table in `markdown`, `latex` or `csv`."""
        return {"markdown": _markdown, "latex": _latex, "csv": _csv}[kind](self)


def plain_cell(cell: Cell) -> str:
    """A cell as plain text, with its marks."""
    return _marked(_text(cell), cell, 0)


def points(value: float, *, signed: bool = True) -> str:
    """A score or a difference of scores, x 100.

    >>> points(-0.0123), points(0.25, signed=False)
    ('−1.23', '25.00')
    """
    text = f"{100 * value:{'+' if signed else ''}.2f}"
    return text.replace("-", "−") if float(text) else text.lstrip("+-")


def margin_text(margin: float) -> str:
    """A margin in the unit of `points`.

    >>> margin_text(0.01), margin_text(0.005)
    ('1 point', '0.5 points')
    """
    text = f"{100 * margin:g}"
    return f"{text} point{'s' * (text != '1')}"


def sign(verdict: str) -> str:
    """The mark of a verdict, for captions; LaTeX replaces it by its own.

    >>> sign("higher"), sign("equivalent")
    ('▲', '≈')
    """
    return MARKS[verdict][0]


def p_value(value: float) -> str:
    return "<.001" if value < 0.001 else f"{value:.3f}".lstrip("0") if value < 1 else "1"


def _markdown(table: PaperTable) -> str:
    rule = ["---" if column < table.words else "---:" for column in range(len(table.header))]
    lines = [[_in_markdown(cell) for cell in row] for row in (table.header, *table.rows)]
    lines.insert(1, rule)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{_in_markdown(table.caption)}\n"


def _latex(table: PaperTable) -> str:
    columns = "".join("l" if column < table.words else "r" for column in range(len(table.header)))
    lines = [
        r"% needs \usepackage{booktabs} and \usepackage[T1]{fontenc}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_in_latex(table.caption)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(_in_latex(name) for name in table.header) + r" \\",
        r"\midrule",
        *(" & ".join(_in_latex(cell) for cell in row) + r" \\" for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _csv(table: PaperTable) -> str:
    text = io.StringIO()
    if table.records:
        writer = csv.DictWriter(text, list(table.records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {name: without_formula(value) for name, value in record.items()} for record in table.records
        )
    return text.getvalue()


def _in_markdown(cell: Cell) -> str:
    text = re.sub(r"([\\`*_\[\]|])", r"\\\1", " ".join(_text(cell).split()))
    return _marked(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"), cell, 0)


def _in_latex(cell: Cell) -> str:
    text = "".join(_LATEX.get(letter, letter) for letter in " ".join(_text(cell).split()))
    return _marked(text, cell, 1)


def _text(cell: Cell) -> str:
    return cell.text if isinstance(cell, Marked) else cell


def _marked(text: str, cell: Cell, place: int) -> str:
    """The text with the cell's marks: of Markdown at place 0, of LaTeX at place 1."""
    verdict = cell.verdict if isinstance(cell, Marked) else ""
    marks = "".join(MARKS[word][place] for word in verdict.split(", ") if word in MARKS)
    return f"{text} {marks}".strip()
