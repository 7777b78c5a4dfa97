"""Figures of a study beyond its curves: the gap of groups, differences of objectives, cost against quality."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optical_sweeps.curves.claims.crossings import Crossings, crossings_of
from optical_sweeps.curves.figures.curve_figures import slices_of, title_of
from optical_sweeps.curves.figures.figure_style import (
    NARROW,
    OTHER_STYLES,
    STYLES,
    ZERO_SHOT_COLOUR,
    LineStyle,
    Width,
    draw_curve,
    inches,
    ordered,
    same_scale,
    small_multiples,
    style_of,
)
from optical_sweeps.curves.statistics.contrasts import curve_of, group_gap, objective_difference
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.tables.result_tables import ZERO_SHOT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAIR_STYLES = OTHER_STYLES[::-1]
"""Differences are black first: none of the objectives' own colours."""


def gap_figure(study: Study, width: Width | float = "page") -> "Figure":
    """The high group less the low one against x, for each objective; zero-shot is a dashed level."""

    def draw(panel: "Axes", _: str) -> None:
        for objective in ordered(study.objectives):
            curve = curve_of(group_gap(study, objective), study.confidence)
            draw_curve(panel, curve, style_of(objective, study.objectives), objective)
        if study.reference("group:high") is not None:
            level = float(group_gap(study, ZERO_SHOT).mean[0])
            panel.axhline(
                level, color=ZERO_SHOT_COLOUR, linestyle=(0, (2.5, 2)), linewidth=0.9, label="zero-shot"
            )
        panel.axhline(0, color="black", linewidth=0.5, zorder=1)

    return small_multiples(
        ["gap"],
        width,
        draw,
        columns=1,
        panel_height=1.9,
        x=study.x,
        y_label=f"{study.measure}, high less low",
    )


def difference_figure(
    study: Study,
    pairs: Sequence[tuple[str, str]],
    groups: Sequence[str] = ("high", "low", "all"),
    width: Width | float = "page",
) -> "Figure":
    """Objectives less each other against x; dotted lines and bars mark changes of the lead and their bounds."""
    slices = slices_of(study, groups) or list(study.languages)
    narrow = inches(width) < NARROW
    names = [" - ".join(pair) for pair in pairs]
    styles = dict(zip(names, (*PAIR_STYLES, *STYLES.values()) * len(names), strict=False))

    def draw(panel: "Axes", slice: str) -> None:
        panel.axhline(0, color="black", linewidth=0.5, zorder=1)
        for place, (name, (first, second)) in enumerate(zip(names, pairs, strict=True)):
            block = objective_difference(study, first, second, slice)
            draw_curve(panel, curve_of(block, study.confidence), styles[name], name)
            if len(block.x) > 1:
                found = crossings_of(
                    block, first, second, study.x, study.confidence, logarithmic=study.x == "total"
                )
                _mark(panel, found, styles[name], (float(block.x[0]), float(block.x[-1])), place)
        panel.set_title(title_of(study, slice, short=narrow))

    figure = small_multiples(
        slices,
        width,
        draw,
        columns=1 if narrow else min(len(slices), 4),
        panel_height=1.3 if narrow else 1.75,
        x=study.x,
        y_label=f"difference of {study.measure}",
        share_scale=False,
    )
    same_scale(figure.axes)
    return figure


def _mark(panel: "Axes", found: Crossings, style: LineStyle, ends: tuple[float, float], place: int) -> None:
    """Where the lead changes: a dotted line, and its interval as a bar at the foot of the panel."""
    for one in found.found:
        low, high = one.low if one.low is not None else ends[0], one.high if one.high is not None else ends[1]
        panel.axvline(one.x, color=style.colour, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=2)
        height = 0.03 + 0.035 * place
        transform = panel.get_xaxis_transform()
        panel.plot(
            [low, high], [height] * 2, color=style.colour, linewidth=2.2, alpha=0.55, transform=transform
        )
        for bound, edge, sign in ((one.low, low, "<"), (one.high, high, ">")):
            if bound is None:  # it leaves the range that was run
                panel.plot(
                    [edge],
                    [height],
                    marker=sign,
                    markersize=3,
                    color=style.colour,
                    transform=transform,
                    clip_on=False,
                )
