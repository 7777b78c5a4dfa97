"""Figures of a study at paper size: a measure against the swept variable, objectives side by side.

One column of a paper is 3.3 in wide, a page 6.9 in, unless inches are given; no text is smaller than 7 pt
at that size. Colours are Okabe and Ito's, and markers and line styles tell objectives apart without them. Equal
data give equal bytes.
"""

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
    ZERO_SHOT_COLOUR,
    Width,
    draw_curve,
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


def group_figure(
    study: Study,
    groups: Sequence[str] = ("high", "low"),
    width: Width | float = "page",
    *,
    laws: Laws | None = None,
    levels: Mapping[str, Sequence[Level]] | None = None,
) -> "Figure":
    """The measure of each group against x; zero-shot is a dashed level.

    Args:
        laws: drawn in place of the lines between points, where given.
        levels: by slice.
    """
    slices = slices_of(study, groups)
    stacked = bool(levels) and inches(width) < NARROW
    return _figure(
        study,
        slices,
        width,
        columns=1 if stacked else len(slices),
        panel_height=1.6 if levels else 1.75,
        laws=laws or {},
        levels=levels or {},
    )


def gain_figure(
    study: Study, groups: Sequence[str] = ("high", "low"), width: Width | float = "page"
) -> "Figure":
    """What distillation gains over zero-shot in each group: paired, so narrower than two curves' intervals.

    Raises:
        KeyError: the study has no zero-shot run.
    """
    slices = slices_of(study, groups)
    return _figure(study, slices, width, columns=len(slices), panel_height=1.75, gain=True)


def language_figure(
    study: Study, width: Width | float = "page", *, levels: Mapping[str, Sequence[Level]] | None = None
) -> "Figure":
    """The measure of each language against x, in small panels: high-resource languages first."""
    by_group = [language for group in study.groups.values() for language in group]
    slices = list(dict.fromkeys((*by_group, *study.languages)))
    rows = math.ceil(len(slices) / (5 if inches(width) >= NARROW else 3))
    columns = math.ceil(len(slices) / rows)
    return _figure(study, slices, width, columns=columns, panel_height=1.15, levels=levels or {})


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
    """Those of the groups that the study has."""
    return [f"group:{group}" for group in groups if f"group:{group}" in study.slices]


def _figure(
    study: Study,
    slices: Sequence[str],
    width: Width | float,
    *,
    columns: int,
    panel_height: float,
    gain: bool = False,
    laws: Laws | None = None,
    levels: Mapping[str, Sequence[Level]] | None = None,
) -> "Figure":
    titles = {slice: title_of(study, slice, short=inches(width) < NARROW) for slice in slices}
    return small_multiples(
        slices,
        width,
        lambda panel, slice: _draw(panel, study, slice, titles[slice], gain, laws or {}, levels or {}),
        columns=columns,
        panel_height=panel_height,
        x=study.x,
        y_label=f"{study.measure} above zero-shot" if gain else study.measure,
    )


def _draw(
    panel: "Axes",
    study: Study,
    slice: str,
    title: str,
    gain: bool,
    laws: Laws,
    levels: Mapping[str, Sequence[Level]],
) -> None:
    for objective in ordered(study.objectives):
        curve = study.difference(objective, ZERO_SHOT, slice) if gain else study.curve(objective, slice)
        law = None if gain or (objective, slice) not in laws else _along(study, laws[objective, slice], curve)
        draw_curve(panel, curve, style_of(objective, study.objectives), objective, law)
    reference = study.reference(slice)
    if gain or reference is not None:
        value = 0.0 if gain or reference is None else float(reference.mean[0])
        panel.axhline(value, color=ZERO_SHOT_COLOUR, linestyle=(0, (2.5, 2)), linewidth=0.9, label="zero-shot")
    for place, level in enumerate(levels.get(slice, ())):
        style = LEVEL_STYLES[place % len(LEVEL_STYLES)]
        panel.axhline(
            level.value, color=style.colour, linestyle=style.line, linewidth=0.8, label=level.label, zorder=1
        )
    panel.set_title(title)


def _along(study: Study, law: FittedCurve, curve: Curve) -> Curve:
    """A law at a hundred places over the range that was run."""
    space = np.geomspace if study.x == "total" else np.linspace
    places = space(float(curve.x[0]), float(curve.x[-1]), 100)
    return law.predict(law_inputs(study, law.slice, law.law, places, {}), places)


def title_of(study: Study, slice: str, *, short: bool = False) -> str:
    """Of a panel."""
    if slice.startswith("group:"):
        group = slice.removeprefix("group:")
        return (SHORT_TITLES if short else GROUP_TITLES).get(group, group)
    group = next((name for name, members in study.groups.items() if slice in members and name != "all"), "")
    return f"{slice} ({group})" if group else slice
