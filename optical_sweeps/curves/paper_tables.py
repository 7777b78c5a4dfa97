"""Tables of claims, fits and crossings, in Markdown, LaTeX (booktabs) and CSV.

Markdown and LaTeX are for reading: points (hundredths), two digits. CSV is for programs: the numbers
themselves.
Names come from configs and data and are escaped.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from optical_sweeps.curves.claims import Claim
from optical_sweeps.curves.crossings import Crossings
from optical_sweeps.curves.fitted_curve import FittedCurve
from optical_sweeps.curves.selection import Choice

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


def claims_table(found: Sequence[Claim], x: str = "ratio", confidence: float = 0.95) -> PaperTable:
    """A row for each claim; ▲ and ▼: the first is higher or lower, ≈: equivalent."""
    rows: list[tuple[Cell, ...]] = []
    for claim in found:
        interval = f"{_points(claim.low)} to {_points(claim.high)}"
        rows.append(
            (
                f"{claim.first} - {claim.second}",
                claim.slice.removeprefix("group:"),
                f"{claim.x:g}",
                _points(claim.mean_first, signed=False),
                _points(claim.mean_second, signed=False),
                Marked(_points(claim.difference), claim.verdict),
                interval,
                _p(claim.p_holm),
                _p(claim.p_equivalence_holm),
            )
        )
    one = found[0] if found else None
    caption = (
        f"Differences x 100 with {confidence:.0%} intervals; p-values corrected by Holm's method over "
        f"{len(found)} comparisons; marks at {one.alpha:g}: higher, lower, or equivalent within "
        f"a margin of {one.margin:g}."
        if one
        else "No comparisons."
    )
    header = ("comparison", "slice", x, "first", "second", "difference", "interval", "p", "p equivalence")
    fields = (*Claim.__dataclass_fields__, "verdict")
    records = tuple({name: getattr(claim, name) for name in fields} for claim in found)
    return PaperTable(header, tuple(rows), 2, caption, records)


def fits_table(fitted: Sequence[FittedCurve]) -> PaperTable:
    """A row for each parameter of each fit."""
    rows: list[tuple[Cell, ...]] = []
    records = []
    for one in fitted:
        for parameter in one.law.parameters:
            value, (low, high) = one.fit.parameters[parameter.name], one.interval(parameter.name)
            rows.append(
                (
                    one.label,
                    one.slice.removeprefix("group:"),
                    f"{one.law.name}: {one.law.equation}",
                    parameter.name,
                    f"{value:.3g}",
                    f"{low:.3g} to {high:.3g}",
                    "; ".join(one.fit.doubts) or "yes",
                )
            )
            records.append(
                {
                    "objective": one.label, "slice": one.slice, "law": one.law.name,
                    "parameter": parameter.name, "value": value, "low": low, "high": high,
                    "unit": parameter.unit, "determined": one.fit.determined,
                    "doubts": "; ".join(one.fit.doubts),
                    "n_points": len(one.fit.values), "n_seeds": one.n_seeds,
                }
            )  # fmt: skip
    header = ("objective", "slice", "law", "parameter", "value", "interval", "determined")
    return PaperTable(header, tuple(rows), 4, "Laws of 1 - nDCG, fitted to means.", tuple(records))


def choices_table(choices: Mapping[tuple[str, str], Choice]) -> PaperTable:
    """A row for each contender of each (objective, slice): its error on what it had not seen."""
    rows: list[tuple[Cell, ...]] = []
    records = []
    for (objective, slice), choice in choices.items():
        for one in choice.contenders:
            law, taken = one.fit.law, one.fit.law.name == choice.law
            largest = "" if one.largest is None else f"{100 * one.largest:.2f}"
            rows.append(
                (
                    objective,
                    slice.removeprefix("group:"),
                    law.name,
                    str(len(law.parameters)),
                    f"{100 * one.each:.2f}",
                    largest,
                    "yes" if one.fit.determined else "no",
                    "chosen" if taken else "",
                )
            )
            records.append(
                {
                    "objective": objective, "slice": slice, "law": law.name, "parameters": len(law.parameters),
                    "each": one.each, "largest": one.largest, "determined": one.fit.determined, "chosen": taken,
                }
            )  # fmt: skip
    header = ("objective", "slice", "law", "parameters", "each x", "largest D", "determined", "")
    caption = "Held-out error x 100 (root mean square): each x left out in turn, and the largest budget."
    return PaperTable(header, tuple(rows), 3, caption, tuple(records))


def crossings_table(found: Sequence[Crossings]) -> PaperTable:
    """A row for each crossing; pairs without one have a row that says so."""
    rows: list[tuple[Cell, ...]] = []
    records = []
    for pair in found:
        start = (f"{pair.first}, {pair.second}", pair.slice.removeprefix("group:"))
        for one in pair.found:
            leader = pair.first if one.upward else pair.second
            rows.append((*start, leader, str(one)))
            records.append(
                {
                    "first": pair.first, "second": pair.second, "slice": pair.slice, "x": one.x,
                    "low": one.low, "high": one.high, "leads_from_here": leader,
                }
            )  # fmt: skip
        if not pair.found:
            leader = "" if pair.leads is None else pair.first if pair.leads else pair.second
            rows.append((*start, leader, "none"))
            records.append(
                {
                    "first": pair.first, "second": pair.second, "slice": pair.slice, "x": None, "low": None,
                    "high": None, "leads_from_here": leader,
                }
            )  # fmt: skip
    x, confidence = (found[0].x_name, found[0].confidence) if found else ("x", 0.95)
    caption = f"Where the lead changes, with {confidence:.0%} intervals; … leaves the range that was run."
    return PaperTable(("objectives", "slice", "leads", f"from {x}"), tuple(rows), 3, caption, tuple(records))


def plain_cell(cell: Cell) -> str:
    """A cell as plain text, with its marks."""
    text, verdict = (cell.text, cell.verdict) if isinstance(cell, Marked) else (cell, "")
    return f"{text} {_marks(verdict, 0)}".strip()


def _points(value: float, *, signed: bool = True) -> str:
    text = f"{100 * value:{'+' if signed else ''}.2f}"
    return text.replace("-", "−") if float(text) else text.lstrip("+-")


def _p(value: float) -> str:
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
