"""Tables of claims, fits and crossings, in Markdown, LaTeX (booktabs) and CSV.

Markdown and LaTeX are for reading: points (hundredths), two digits. CSV is for programs: the numbers
themselves.
Names come from configs and data and are escaped.
"""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

FORMATS = ("markdown", "latex", "csv")
MARKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"higher": ("▲", r"$\uparrow$"), "lower": ("▼", r"$\downarrow$"), "equivalent": ("≈", r"$\approx$")}
)
"""Word of a verdict -> its mark in Markdown and in LaTeX."""

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_",
    "%": r"\%", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "\"": r"\textquotedbl{}", "−": "$-$", "±": r"$\pm$",
    "…": r"\ldots{}",
}  # fmt: skip


@dataclass(frozen=True)
class Marked:
    """A cell: plain text, and marks of a verdict after it."""

    text: str
    verdict: str = ""


Cell = str | Marked


@dataclass(frozen=True)
class PaperTable:
    """Rows for reading and, of the same things, records for programs.

    Args:
        words: how many columns from the left are words, which align left.
        caption: said below in Markdown and in \\caption in LaTeX.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: int
    caption: str
    records: tuple[Mapping[str, object], ...]

    def render(self, kind: str) -> str:
        """In `markdown`, `latex` or `csv`."""
        return {"markdown": _markdown, "latex": _latex, "csv": _csv}[kind](self)


def plain_cell(cell: Cell) -> str:
    """A cell as plain text, with its marks."""
    text, verdict = (cell.text, cell.verdict) if isinstance(cell, Marked) else (cell, "")
    return f"{text} {_marks(verdict, 0)}".strip()


def points(value: float, *, signed: bool = True) -> str:
    text = f"{100 * value:{'+' if signed else ''}.2f}"
    return text.replace("-", "−") if float(text) else text.lstrip("+-")


def p_value(value: float) -> str:
    return "<.001" if value < 0.001 else f"{value:.3f}".lstrip("0") if value < 1 else "1"


def _markdown(table: PaperTable) -> str:
    rule = ["---" if column < table.words else "---:" for column in range(len(table.header))]
    lines = [[_in_markdown(cell) for cell in row] for row in (table.header, *table.rows)]
    lines.insert(1, rule)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{_in_markdown(table.caption)}\n"


def _latex(table: PaperTable) -> str:
    columns = "".join("l" if column < table.words else "r" for column in range(len(table.header)))
    body = [" & ".join(_in_latex(cell) for cell in row) + r" \\" for row in table.rows]
    lines = [
        r"% needs \usepackage{booktabs} and \usepackage[T1]{fontenc}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_in_latex(table.caption)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(_in_latex(name) for name in table.header) + r" \\",
        r"\midrule",
        *body,
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
        writer.writerows(table.records)
    return text.getvalue()


def _marks(verdict: str, place: int) -> str:
    return "".join(MARKS[word][place] for word in verdict.split(", ") if word in MARKS)


def _in_markdown(cell: Cell) -> str:
    text, verdict = (cell.text, cell.verdict) if isinstance(cell, Marked) else (cell, "")
    text = re.sub(r"([\\`*_\[\]|])", r"\\\1", " ".join(text.split()))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{text} {_marks(verdict, 0)}".strip()


def _in_latex(cell: Cell) -> str:
    text, verdict = (cell.text, cell.verdict) if isinstance(cell, Marked) else (cell, "")
    text = "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))
    return f"{text} {_marks(verdict, 1)}".strip()
