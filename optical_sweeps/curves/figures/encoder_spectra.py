"""The spectra of token vectors: how much of the variance lies along the first principal axes."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from optical_sweeps.curves.figures.figure_style import (
    OTHER_STYLES,
    STYLES,
    Width,
    save_figure,
    small_multiples,
)
from optical_sweeps.curves.tables.encoder_report import EncoderReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_spectra(
    reports: Mapping[str, EncoderReport], stem: Path, width: Width | float = "column"
) -> list[Path]:
    """Write `<stem>.pdf` and `<stem>.png`: cumulative shares of the variance along the principal axes."""
    styles = [*STYLES.values(), *OTHER_STYLES]

    def draw(panel: "Axes", _: str) -> None:
        for number, (name, report) in enumerate(reports.items()):
            style = styles[number % len(styles)]
            axes = np.arange(1, len(report.spectrum) + 1)
            label = name.replace("$", r"\$")
            panel.plot(axes, report.spectrum.cumsum(), color=style.colour, linestyle=style.line, label=label)
        panel.set_xscale("log")
        panel.set_ylim(0, 1.02)

    figure = small_multiples(
        ["spectrum"], width, draw, columns=1, panel_height=1.9, x="principal axes",
        y_label="cumulative share of variance", share_scale=False,
    )  # fmt: skip
    return list(save_figure(figure, stem))
