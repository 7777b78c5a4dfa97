"""Tables of fitted laws and of the choice between laws."""

from collections.abc import Mapping, Sequence

from optical_sweeps.curves.laws.fitted_curve import FittedCurve
from optical_sweeps.curves.laws.law_selection import Choice
from optical_sweeps.curves.tables.paper_table import Cell, PaperTable


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
