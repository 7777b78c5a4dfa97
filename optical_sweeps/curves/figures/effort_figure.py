"""The expected best dev score of each objective against the number of trials."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from optical_sweeps.curves.figures.figure_style import Width, ordered, small_multiples, style_of
from optical_sweeps.curves.statistics.tuning_effort import Effort, expected_best, expected_best_interval
from optical_sweeps.curves.tables.result_tables import objective_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def effort_figure(efforts: Mapping[str, Effort], measure: str, width: Width | float = "page") -> "Figure":
    """One line with its interval for each objective."""
    names = sorted(efforts)

    def draw(panel: "Axes", _: str) -> None:
        for name in ordered(names):
            scores, style = efforts[name].scores, style_of(name, names)
            trials = np.arange(1, len(scores) + 1)
            low, high = expected_best_interval(scores)
            panel.fill_between(trials, low, high, color=style.colour, alpha=0.15, linewidth=0)
            panel.plot(
                trials,
                expected_best(scores),
                marker=style.marker,
                color=style.colour,
                label=objective_label(name),
            )
        panel.locator_params(axis="x", integer=True)

    return small_multiples(
        ["effort"],
        width,
        draw,
        columns=1,
        panel_height=1.9,
        x="trials",
        y_label=f"expected best {measure}, dev",
    )
