"""The quality of each run against its cost."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from optical_sweeps.curves.figures.figure_style import (
    Width,
    ordered,
    small_multiples,
    style_of,
)
from optical_sweeps.curves.tables.result_tables import ZERO_SHOT, LoggedRun, objective_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COSTS = {"usage/gpu_hours": "GPU hours", "usage/hours": "hours"}
"""Key of the cost in a run's log -> its unit. The first cost above 0 is drawn."""


def cost_figure(
    runs: Sequence[LoggedRun],
    objectives: Mapping[str, str],
    key: str,
    quality: str,
    width: Width | float = "page",
) -> "Figure":
    """The quality of each run against its cost; every point is a run.

    Args:
        objectives: run id -> objective; other runs are left out.
        key, quality: keys of the log, such as `usage/gpu_hours` and `test/nDCG@10/group:all`.
    """
    shown = [run for run in runs if key in run.summary and quality in run.summary and run.id in objectives]
    names = sorted({objectives[run.id] for run in shown})
    unit, factor = cost_unit(shown, key)
    costs = [factor * _number(run, key) for run in shown]
    _, measure, slice = quality.split("/")

    def draw(panel: "Axes", _: str) -> None:
        for objective in ordered(names):
            members = [number for number, run in enumerate(shown) if objectives[run.id] == objective]
            is_zero_shot = objective == ZERO_SHOT
            panel.plot(
                [costs[number] for number in members],
                np.array([_number(shown[number], quality) for number in members]),
                linestyle="none",
                marker="*" if is_zero_shot else style_of(objective, names).marker,
                markersize=6 if is_zero_shot else None,
                color=style_of(objective, names).colour,
                markeredgecolor="white",
                markeredgewidth=0.3,
                alpha=0.85,
                label=objective_label(objective),
            )
        if min(costs) > 0 and max(costs) > 20 * min(costs):
            panel.set_xscale("log")
        else:
            panel.locator_params(axis="x", nbins=5)

    y_label = f"{measure}, {slice.removeprefix('group:')}"
    return small_multiples(
        ["cost"], width, draw, columns=1, panel_height=1.9, x=f"{unit} of a run", y_label=y_label
    )


def cost_key(runs: Sequence[LoggedRun]) -> str | None:
    """The cost to draw: GPU hours if any run used a GPU, otherwise hours; None if no run logged its cost."""
    return next((key for key in COSTS if any(_number(run, key) > 0 for run in runs)), None)


def cost_unit(runs: Sequence[LoggedRun], key: str) -> tuple[str, float]:
    """The unit of a cost and its number per hour: seconds if no run took half an hour.

    >>> from optical_sweeps.tracking.run_log import RunLog
    >>> cost_unit([RunLog("a", {}, {"usage/hours": 0.01})], "usage/hours")
    ('seconds', 3600.0)
    """
    brief = max((_number(run, key) for run in runs), default=0.0) < 0.5
    return (COSTS[key].replace("hours", "seconds"), 3600.0) if brief else (COSTS[key], 1.0)


def _number(run: LoggedRun, key: str) -> float:
    value = run.summary.get(key)
    return float(value) if isinstance(value, int | float) else 0.0
