"""Tables of fitted laws and of the choice between laws."""

from collections.abc import Mapping, Sequence

from optical_sweeps.curves.laws.fitted_curve import FittedCurve
from optical_sweeps.curves.laws.law_selection import Choice
from optical_sweeps.curves.tables.paper_table import Cell, PaperTable


def fits_table(fitted: Sequence[FittedCurve]) -> PaperTable:
    """One row for each parameter of each fit."""
    rows: list[tuple[Cell, ...]] = []
    records = []
    for curve in fitted:
        fit, law, group = curve.fit, curve.law, curve.slice.removeprefix("group:")
        doubts = "; ".join(fit.doubts)
        for parameter in law.parameters:
            value, (low, high) = fit.parameters[parameter.name], curve.interval(parameter.name)
            rows.append(
                (
                    curve.label, group, f"{law.name}: {law.equation}", parameter.name, f"{value:.3g}",
                    f"{low:.3g} to {high:.3g}", doubts or "yes",
                )
            )  # fmt: skip
            records.append(
                {
                    "objective": curve.label, "slice": curve.slice, "law": law.name,
                    "parameter": parameter.name, "value": value, "low": low, "high": high,
                    "unit": parameter.unit, "determined": fit.determined, "doubts": doubts,
                    "n_points": len(fit.values), "n_seeds": curve.n_seeds,
                }
            )  # fmt: skip
    header = ("objective", "slice", "law", "parameter", "value", "interval", "determined")
    intervals = f" with {fitted[0].confidence:.0%} intervals" if fitted else ""
    caption = (
        f"Laws of 1 - the measure, fitted to means,{intervals}. determined: yes, or why the data do not "
        "determine the law."
    )
    return PaperTable(header, tuple(rows), 4, caption, tuple(records))


def choices_table(choices: Mapping[tuple[str, str], Choice]) -> PaperTable:
    """One row for each contender of each (objective, slice), with its held-out error."""
    rows: list[tuple[Cell, ...]] = []
    records = []
    for (objective, slice), choice in choices.items():
        for contender in choice.contenders:
            law, is_determined = contender.fit.law, contender.fit.determined
            is_chosen, largest = law.name == choice.law, contender.largest
            rows.append(
                (
                    objective, slice.removeprefix("group:"), law.name, str(len(law.parameters)),
                    f"{100 * contender.each:.2f}", "" if largest is None else f"{100 * largest:.2f}",
                    "yes" if is_determined else "no", "chosen" if is_chosen else "",
                )
            )  # fmt: skip
            records.append(
                {
                    "objective": objective, "slice": slice, "law": law.name, "parameters": len(law.parameters),
                    "each": contender.each, "largest": largest, "determined": is_determined,
                    "chosen": is_chosen,
                }
            )  # fmt: skip
    header = ("objective", "slice", "law", "parameters", "each x", "largest D", "determined", "")
    caption = (
        "Held-out error x 100 (root mean square): of each x, left out in turn, and of the largest budget, left "
        "out."
    )
    return PaperTable(header, tuple(rows), 3, caption, tuple(records))
