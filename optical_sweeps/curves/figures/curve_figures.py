"""Figures of a study's curves: groups, gains over zero-shot, languages."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from optical_sweeps.curves.figures.figure_style import (
    INCHES,
    LEVEL_STYLES,
    NARROW,
    Width,
    draw_curve,
    draw_zero_shot,
    inches,
    ordered,
    save_figure,
    small_multiples,
    style_of,
)
from optical_sweeps.curves.laws.fitted_curve import FittedCurve, law_inputs
from optical_sweeps.curves.laws.study_laws import Laws
from optical_sweeps.curves.statistics.study import Curve, Study
from optical_sweeps.curves.tables.result_tables import ZERO_SHOT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUP_TITLES: Mapping[str, str] = {
    "high": "high-resource languages",
    "low": "low-resource languages",
    "all": "all languages",
}
SHORT_TITLES: Mapping[str, str] = {"high": "high-resource", "low": "low-resource", "all": "all languages"}


@dataclass(frozen=True)
class Level:
    """A constant to compare with, such as a published figure."""

    label: str
    value: float


Levels = Mapping[str, Sequence[Level]]
"""Slice -> the levels of its panel."""


def group_figure(
    study: Study,
    groups: Sequence[str] = ("high", "low"),
    width: Width | float = "page",
    *,
    laws: Laws | None = None,
    levels: Levels | None = None,
) -> "Figure":
    """The measure of each group against x, with zero-shot as a dashed level.

    Args:
        laws: drawn instead of the lines between points.
        levels: drawn as grey lines.
    """
    slices = slices_of(study, groups)
    columns = 1 if levels and inches(width) < NARROW else len(slices)
    height = 1.6 if levels else 1.75
    return _figure(study, slices, width, columns=columns, panel_height=height, laws=laws, levels=levels)


def gain_figure(
    study: Study, groups: Sequence[str] = ("high", "low"), width: Width | float = "page"
) -> "Figure":
    """The gain of distillation over zero-shot in each group, with paired and so narrower intervals.

    Raises:
        KeyError: the study has no zero-shot run.
    """
    slices = slices_of(study, groups)
    return _figure(study, slices, width, columns=len(slices), panel_height=1.75, gain=True)


def language_figure(study: Study, width: Width | float = "page", *, levels: Levels | None = None) -> "Figure":
    """The measure of each language against x, in small panels; high-resource languages come first."""
    by_group = [language for group in study.groups.values() for language in group]
    slices = list(dict.fromkeys((*by_group, *study.languages)))
    rows = math.ceil(len(slices) / (5 if inches(width) >= NARROW else 3))
    columns = math.ceil(len(slices) / rows)
    return _figure(study, slices, width, columns=columns, panel_height=1.15, levels=levels)


def save_all_figures(study: Study, folder: Path) -> list[Path]:
    """Every figure of the study at both widths: `groups-column.pdf`, `languages-page.png` and so on."""
    draw: dict[str, Callable[..., Figure]] = {"languages": language_figure}
    if groups := slices_of(study):
        draw["groups"] = group_figure
        if study.objectives and all(study.reference(group) for group in groups):
            draw["gains"] = gain_figure
    return [
        path
        for name, function in draw.items()
        for width in INCHES
        for path in save_figure(function(study, width=width), folder / f"{name}-{width}")
    ]


def slices_of(study: Study, groups: Sequence[str] = ("high", "low")) -> list[str]:
    """The slices of those groups that the study has."""
    return [f"group:{group}" for group in groups if f"group:{group}" in study.slices]


def title_of(study: Study, slice: str, *, short: bool = False) -> str:
    """The title of a slice's panel."""
    if slice.startswith("group:"):
        group = slice.removeprefix("group:")
        return (SHORT_TITLES if short else GROUP_TITLES).get(group, group)
    group = next((name for name, members in study.groups.items() if slice in members and name != "all"), "")
    return f"{slice} ({group})" if group else slice


def _figure(
    study: Study,
    slices: Sequence[str],
    width: Width | float,
    *,
    columns: int,
    panel_height: float,
    gain: bool = False,
    laws: Laws | None = None,
    levels: Levels | None = None,
) -> "Figure":
    def draw(panel: "Axes", slice: str) -> None:
        for objective in ordered(study.objectives):
            curve = study.difference(objective, ZERO_SHOT, slice) if gain else study.curve(objective, slice)
            fitted = (laws or {}).get((objective, slice))
            law = None if fitted is None else _law_curve(study, fitted, curve)
            draw_curve(panel, curve, style_of(objective, study.objectives), objective, law)
        reference = study.reference(slice)
        if reference is not None:
            draw_zero_shot(panel, 0.0 if gain else float(reference.mean[0]))
        for number, level in enumerate((levels or {}).get(slice, ())):
            style = LEVEL_STYLES[number % len(LEVEL_STYLES)]
            panel.axhline(
                level.value,
                color=style.colour,
                linestyle=style.line,
                linewidth=0.8,
                label=level.label,
                zorder=1,
            )
        panel.set_title(title_of(study, slice, short=inches(width) < NARROW))

    return small_multiples(
        slices, width, draw, columns=columns, panel_height=panel_height, x=study.x,
        y_label=f"gain in {study.measure} over zero-shot" if gain else study.measure,
    )  # fmt: skip


def _law_curve(study: Study, law: FittedCurve, curve: Curve) -> Curve:
    """The law at 100 values of x over the range of the curve."""
    space = np.geomspace if study.x == "total" else np.linspace
    x = space(float(curve.x[0]), float(curve.x[-1]), 100)
    return law.predict(law_inputs(study, law.slice, law.law, x, {}), x)
