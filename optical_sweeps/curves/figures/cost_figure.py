"""Quality of each run against its cost."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from optical_sweeps.curves.figures.figure_style import (
    ZERO_SHOT_COLOUR,
    LineStyle,
    Width,
    ordered,
    small_multiples,
    style_of,
)
from optical_sweeps.curves.tables.result_tables import ZERO_SHOT, LoggedRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COSTS = {"usage/gpu_hours": "GPU hours", "usage/hours": "hours"}
"""What a run cost, by the key of its log; the first that is above 0 is drawn."""


def cost_figure(
    runs: Sequence[LoggedRun],
    objectives: Mapping[str, str],
    key: str,
    quality: str,
    width: Width | float = "page",
) -> "Figure":
    """Quality of each run against what it cost; a point a run.

    Args:
        objectives: by run.
        key, quality: of the logs, such as `usage/gpu_hours` and `test/nDCG@10/group:all`.
    """
    shown = [run for run in runs if key in run.summary and quality in run.summary and run.id in objectives]
    names = sorted({objectives[run.id] for run in shown} - {ZERO_SHOT})
    unit, factor = cost_unit(shown, key)
    costs = [factor * float(run.summary[key]) for run in shown]
    _, measure, slice = quality.split("/")

    def draw(panel: "Axes", _: str) -> None:
        for objective in [*ordered(names), ZERO_SHOT]:
            points = np.array(
                [
                    (cost, run.summary[quality])
                    for run, cost in zip(shown, costs, strict=True)
                    if objectives[run.id] == objective
                ]
            )
            if not len(points):
                continue
            style = LineStyle(ZERO_SHOT_COLOUR, "*", "none")
            style = style if objective == ZERO_SHOT else style_of(objective, names)
            label = "zero-shot" if objective == ZERO_SHOT else objective
            panel.plot(
                points[:, 0],
                points[:, 1],
                linestyle="none",
                marker=style.marker,
                markersize=6 if objective == ZERO_SHOT else None,
                color=style.colour,
                markeredgecolor="white",
                markeredgewidth=0.3,
                alpha=0.85,
                label=label,
            )
        if min(costs) > 0 and max(costs) > 20 * min(costs):
            panel.set_xscale("log")
        else:
            panel.locator_params(axis="x", nbins=5)

    return small_multiples(
        ["cost"],
        width,
        draw,
        columns=1,
        panel_height=1.9,
        x=f"{unit} of a run",
        y_label=f"{measure}, {slice.removeprefix('group:')}",
    )


def cost_key(runs: Sequence[LoggedRun]) -> str | None:
    """The cost that the runs logged: GPU hours where any had a GPU, else hours; None for none."""
    for key in COSTS:
        if any(float(run.summary.get(key) or 0) > 0 for run in runs):
            return key
    return None


def cost_unit(runs: Sequence[LoggedRun], key: str) -> tuple[str, float]:
    """The unit of a cost, and how many there are to the hour: seconds where no run took half an hour.

    >>> from optical_sweeps.tracking.run_log import RunLog
    >>> cost_unit([RunLog("a", {}, {"usage/hours": 0.01})], "usage/hours")
    ('seconds', 3600.0)
    """
    brief = max((float(run.summary.get(key) or 0) for run in runs), default=0.0) < 0.5
    return (COSTS[key].replace("hours", "seconds"), 3600.0) if brief else (COSTS[key], 1.0)
