"""The loss under each perturbation against its level."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from optical_sweeps.curves.figures.figure_style import (
    NARROW,
    ZERO_SHOT_COLOUR,
    LineStyle,
    Width,
    draw_curve,
    inches,
    ordered,
    same_scale,
    save_figure,
    small_multiples,
    style_of,
)
from optical_sweeps.curves.statistics.study import Curve
from optical_sweeps.curves.tables.result_tables import ZERO_SHOT
from optical_sweeps.curves.tables.robustness_tables import NORMAL_95

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes


def draw_robustness(frame: "pandas.DataFrame", stem: Path, width: Width | float = "page") -> list[Path]:
    """Write `<stem>.pdf` and `<stem>.png`: the loss against the level, by perturbation and group.

    A line is an objective, averaged over its settings; a band is 95% over queries, or over seeds where queries
    are not known. Nothing is written, and nothing returned, where the study has no perturbation.
    """
    if not len(frame):
        return []
    measures = list(dict.fromkeys(frame["measure"]))
    measure = "nDCG@10" if "nDCG@10" in measures else measures[0]
    rows = frame[frame["measure"] == measure]
    groups = [name for name in ("group:high", "group:low") if name in set(rows["slice"])]
    groups = groups if len(groups) == 2 else ["group:all"]
    kinds = list(dict.fromkeys(rows["perturbation"]))
    parts = {f"{kind} {group}": (kind, group) for group in groups for kind in kinds}
    objectives = list(dict.fromkeys(rows["objective"]))

    def draw(panel: "Axes", name: str) -> None:
        kind, group = parts[name]
        here = rows[(rows["perturbation"] == kind) & (rows["slice"] == group)]
        for objective in [*ordered([one for one in objectives if one != ZERO_SHOT]), ZERO_SHOT]:
            of = here[here["objective"] == objective]
            if len(of):
                style = (
                    LineStyle(ZERO_SHOT_COLOUR, "d", (0, (2.5, 2)))
                    if objective == ZERO_SHOT
                    else style_of(objective, objectives)
                )
                label = "zero-shot" if objective == ZERO_SHOT else objective
                draw_curve(panel, _loss_curve(of, objective, group), style, label)
        panel.axhline(0, color="black", linewidth=0.5, zorder=1)
        words = kind.replace("_", " ")
        panel.set_title(f"{words}, {group.removeprefix('group:')}" if len(groups) > 1 else words)

    narrow = inches(width) < NARROW
    columns = min(len(kinds), 2 if narrow else 4)
    if len(kinds) > columns:  # a kind's groups beside each other where kinds do not fit in one row
        parts = {f"{kind} {group}": (kind, group) for kind in kinds for group in groups}
        columns = 2 if narrow or len(groups) == 1 else 4
    figure = small_multiples(
        list(parts),
        width,
        draw,
        columns=columns,
        panel_height=1.1 if len(parts) > 8 and narrow else 1.35,
        x="level of the perturbation",
        y_label=f"loss of {measure}",
        share_scale=False,
    )
    same_scale(figure.axes)
    return list(save_figure(figure, stem))


def _loss_curve(rows: "pandas.DataFrame", objective: str, group: str) -> Curve:
    """From level 0, which takes nothing."""
    by_level = rows.groupby("level", sort=True)
    loss = np.array([0.0, *by_level["loss"].mean()])
    of_queries = [float(part["error"].mean()) for _, part in by_level]
    of_seeds = [float((part["sd_seeds"] / np.sqrt(part["runs"].astype(float))).mean()) for _, part in by_level]
    errors = [seeds if math.isnan(own) else own for own, seeds in zip(of_queries, of_seeds, strict=True)]
    reach = NORMAL_95 * np.nan_to_num(np.array([0.0, *errors]))
    runs = np.array([0, *by_level["runs"].max().astype(int)])
    levels = np.array([0.0, *sorted(rows["level"].unique())])
    return Curve(objective, group, levels, loss, loss - reach, loss + reach, runs, 0, 0.95)
