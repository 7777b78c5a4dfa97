"""The loss of a measure against the level of each perturbation of the queries."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from optical_sweeps.curves.figures.figure_style import (
    NARROW,
    Width,
    draw_curve,
    draw_zero_line,
    inches,
    ordered,
    same_scale,
    save_figure,
    small_multiples,
    style_of,
)
from optical_sweeps.curves.statistics.study import Curve
from optical_sweeps.curves.tables.result_tables import objective_label
from optical_sweeps.curves.tables.robustness_tables import NORMAL_95

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes


def draw_robustness(frame: "pandas.DataFrame", stem: Path, width: Width | float = "page") -> list[Path]:
    """Write `<stem>.pdf` and `<stem>.png`: the loss against the level, by perturbation and group.

    A line is an objective, averaged over its settings. A band is a 95% interval over queries, or over seeds
    where per-query scores are not available.

    Args:
        frame: from `robustness_table`; without rows, nothing is written and the list is empty.
    """
    if not len(frame):
        return []
    measures = list(dict.fromkeys(frame["measure"]))
    measure = "nDCG@10" if "nDCG@10" in measures else measures[0]
    rows = frame[frame["measure"] == measure]
    both = {"group:high", "group:low"} <= set(rows["slice"])
    groups = ["group:high", "group:low"] if both else ["group:all"]
    kinds = list(dict.fromkeys(rows["perturbation"]))
    objectives = list(dict.fromkeys(rows["objective"]))
    narrow = inches(width) < NARROW
    parts, columns = _layout(kinds, groups, narrow)

    def draw(panel: "Axes", name: str) -> None:
        kind, group = parts[name]
        panel_rows = rows[(rows["perturbation"] == kind) & (rows["slice"] == group)]
        for objective in ordered(objectives):
            objective_rows = panel_rows[panel_rows["objective"] == objective]
            if len(objective_rows):
                curve = _loss_curve(objective_rows, objective, group)
                draw_curve(panel, curve, style_of(objective, objectives), objective_label(objective))
        draw_zero_line(panel)
        title = kind.replace("_", " ")
        panel.set_title(f"{title}, {group.removeprefix('group:')}" if both else title)

    figure = small_multiples(
        list(parts), width, draw, columns=columns, panel_height=1.1 if len(parts) > 8 and narrow else 1.35,
        x="level of the perturbation", y_label=f"loss of {measure}", share_scale=False,
    )  # fmt: skip
    same_scale(figure.axes)
    return list(save_figure(figure, stem))


def _layout(
    kinds: Sequence[str], groups: Sequence[str], narrow: bool
) -> tuple[dict[str, tuple[str, str]], int]:
    """The perturbation and group of each panel, and the number of columns.

    One row for each group where all perturbations fit in it; otherwise the groups of a perturbation are
    neighbours.
    """
    columns = min(len(kinds), 2 if narrow else 4)
    if len(kinds) <= columns:
        return {f"{kind} {group}": (kind, group) for group in groups for kind in kinds}, columns
    columns = 2 if narrow or len(groups) == 1 else 4
    return {f"{kind} {group}": (kind, group) for kind in kinds for group in groups}, columns


def _loss_curve(rows: "pandas.DataFrame", objective: str, group: str) -> Curve:
    """The loss by level, from level 0, at which the loss is 0."""
    by_level = rows.groupby("level", sort=True)
    loss = np.array([0.0, *by_level["loss"].mean()])
    over_queries = [float(part["error"].mean()) for _, part in by_level]
    over_seeds = [float((part["sd_seeds"] / part["runs"].astype(float) ** 0.5).mean()) for _, part in by_level]
    both = zip(over_queries, over_seeds, strict=True)
    errors = [seeds if math.isnan(queries) else queries for queries, seeds in both]
    reach = NORMAL_95 * np.nan_to_num(np.array([0.0, *errors]))
    runs = np.array([0, *by_level["runs"].max().astype(int)])
    levels = np.array([0.0, *sorted(rows["level"].unique())])
    return Curve(objective, group, levels, loss, loss - reach, loss + reach, runs, 0, 0.95)
