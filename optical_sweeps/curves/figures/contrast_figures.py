"""Figures of differences: between groups of languages, and between objectives."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from optical_sweeps.curves.claims.crossings import Crossings, find_crossings
from optical_sweeps.curves.figures.curve_figures import slices_of, title_of
from optical_sweeps.curves.figures.figure_style import (
    NARROW,
    OTHER_STYLES,
    STYLES,
    LineStyle,
    Width,
    draw_curve,
    draw_zero_line,
    draw_zero_shot,
    inches,
    ordered,
    same_scale,
    small_multiples,
    style_of,
)
from optical_sweeps.curves.statistics.contrasts import curve_of, group_gap, objective_difference
from optical_sweeps.curves.statistics.study import Curve, Study
from optical_sweeps.curves.tables.result_tables import ZERO_SHOT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAIR_STYLES = (*OTHER_STYLES[::-1], *STYLES.values())
"""Styles of differences; the first ones are the style of no objective."""


def gap_figure(study: Study, width: Width | float = "page") -> "Figure":
    """High-resource minus low-resource group against x, for each objective; zero-shot is a dashed level."""

    def draw(panel: "Axes", _: str) -> None:
        for objective in ordered(study.objectives):
            curve = curve_of(group_gap(study, objective), study.confidence)
            draw_curve(panel, curve, style_of(objective, study.objectives), objective)
        if study.reference("group:high") is not None:
            draw_zero_shot(panel, float(group_gap(study, ZERO_SHOT).mean[0]))
        draw_zero_line(panel)

    y_label = f"{study.measure}, high minus low"
    return small_multiples(["gap"], width, draw, columns=1, panel_height=1.9, x=study.x, y_label=y_label)


def difference_figure(
    study: Study,
    pairs: Sequence[tuple[str, str]],
    groups: Sequence[str] = ("high", "low", "all"),
    width: Width | float = "page",
) -> "Figure":
    """Differences between objectives against x, with crossings as dotted lines and their intervals as bars."""
    slices = slices_of(study, groups) or list(study.languages)
    narrow = inches(width) < NARROW

    def draw(panel: "Axes", slice: str) -> None:
        draw_zero_line(panel)
        for number, (first, second) in enumerate(pairs):
            style = PAIR_STYLES[number % len(PAIR_STYLES)]
            curve = curve_of(objective_difference(study, first, second, slice), study.confidence)
            draw_curve(panel, curve, style, f"{first} - {second}")
            if len(curve.x) > 1:
                _draw_crossings(panel, find_crossings(study, first, second, slice), style, curve, number)
        panel.set_title(title_of(study, slice, short=narrow))

    figure = small_multiples(
        slices, width, draw, columns=1 if narrow else min(len(slices), 4),
        panel_height=1.3 if narrow else 1.75, x=study.x, y_label=f"difference in {study.measure}",
        share_scale=False,
    )  # fmt: skip
    same_scale(figure.axes)
    return figure


def _draw_crossings(panel: "Axes", crossings: Crossings, style: LineStyle, curve: Curve, number: int) -> None:
    """Draw a dotted line at each crossing, and its interval as a bar at the bottom of the panel.

    An arrow marks an end of the interval that lies outside the range of the curve.
    """
    transform = panel.get_xaxis_transform()
    height = 0.03 + 0.035 * number
    for crossing in crossings.found:
        low = float(curve.x[0]) if crossing.low is None else crossing.low
        high = float(curve.x[-1]) if crossing.high is None else crossing.high
        panel.axvline(crossing.x, color=style.colour, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=2)
        plot = partial(panel.plot, color=style.colour, transform=transform)
        plot([low, high], [height] * 2, linewidth=2.2, alpha=0.55)
        for bound, end, marker in ((crossing.low, low, "<"), (crossing.high, high, ">")):
            if bound is None:
                plot([end], [height], marker=marker, markersize=3, clip_on=False)
