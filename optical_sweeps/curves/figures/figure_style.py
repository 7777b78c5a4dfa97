"""Size, style and layout of figures for papers.

One column of a paper is 3.3 in wide and a page 6.9 in, unless the width is given in inches; no text is smaller
than 7 pt at that size. Colours are those of Okabe and Ito; markers and line styles distinguish objectives
without colour. Equal data give equal bytes.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from optical_sweeps.atomic_files import replacing
from optical_sweeps.curves.statistics.study import Curve
from optical_sweeps.curves.tables.result_tables import ZERO_SHOT

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

Width = Literal["column", "page"]
INCHES: Mapping[Width, float] = {"column": 3.3, "page": 6.9}
NARROW = 5.0
"""Figures narrower than this (inches) are for one column: fewer panels in a row, shorter titles."""

X_LABELS: Mapping[str, str] = {
    "ratio": "share of low-resource pairs",
    "multiple": "low-resource pairs per high-resource pair",
    "total": "training pairs",
}


@dataclass(frozen=True)
class LineStyle:
    """Colour, marker and line of an objective, the same in every figure."""

    colour: str
    marker: str
    line: str | tuple[int, tuple[int | float, ...]]


STYLES: Mapping[str, LineStyle] = {
    "optical": LineStyle("#0072B2", "o", "-"),
    "contrastive": LineStyle("#D55E00", "s", (0, (5, 1.5))),
    "mse": LineStyle("#009E73", "^", (0, (3, 1, 1, 1))),
    "score_kl": LineStyle("#CC79A7", "D", (0, (1, 1))),
    "greedy": LineStyle("#E69F00", "v", (0, (7, 1, 1, 1, 1, 1))),
}
OTHER_STYLES = (LineStyle("#56B4E9", "P", "-"), LineStyle("#000000", "X", (0, (3, 1.5))))
ZERO_SHOT_STYLE = LineStyle("#555555", "d", (0, (2.5, 2)))
LEVEL_STYLES = tuple(
    LineStyle(colour, "", line)
    for colour, line in (
        ("#777777", (0, (4, 1.5))), ("#999999", (0, (1, 1.2))), ("#555555", (0, (5, 1.2, 1, 1.2))),
        ("#999999", "-"), ("#333333", (0, (2, 1))), ("#777777", (0, (8, 2))),
    )
)  # fmt: skip
"""Styles of published figures: grey, without markers."""

RC: "Mapping[RcKeyType, object]" = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that figures are the same on every machine
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,  # keeps text as text
    "savefig.dpi": 300,
}
LABEL_SIZE = 7.5


@contextmanager
def paper_style(*, grid: bool = True) -> Iterator[None]:
    """matplotlib's parameters for all figures, within a `with` block."""
    import matplotlib

    with matplotlib.rc_context({**RC, "axes.grid": grid}):
        yield


def inches(width: Width | float) -> float:
    return INCHES[width] if isinstance(width, str) else float(width)


def ordered(objectives: Sequence[str]) -> list[str]:
    """Objectives in the order of `STYLES`, then the others; zero-shot comes last."""
    known = [name for name in STYLES if name in objectives]
    others = [name for name in objectives if name not in STYLES and name != ZERO_SHOT]
    return known + others + [name for name in objectives if name == ZERO_SHOT]


def style_of(objective: str, objectives: Sequence[str]) -> LineStyle:
    """The style of one of the objectives of a figure."""
    if objective == ZERO_SHOT:
        return ZERO_SHOT_STYLE
    if objective in STYLES:
        return STYLES[objective]
    others = [name for name in objectives if name not in STYLES and name != ZERO_SHOT]
    return OTHER_STYLES[others.index(objective) % len(OTHER_STYLES)]


def save_figure(figure: "Figure", stem: Path) -> tuple[Path, Path]:
    """Write `<stem>.pdf` and `<stem>.png` (300 dpi), each atomically and without dates."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    pdf, png = stem.with_name(f"{stem.name}.pdf"), stem.with_name(f"{stem.name}.png")
    left_out = {pdf: ("CreationDate", "Creator", "Producer"), png: ("Software",)}
    with paper_style():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # both files share one layout
        for path, names in left_out.items():
            kind = path.suffix.removeprefix(".")
            with replacing(path) as temporary:
                figure.savefig(temporary, format=kind, metadata=dict.fromkeys(names))
    return pdf, png


def small_multiples(
    names: Sequence[str],
    width: Width | float,
    draw: "Callable[[Axes, str], None]",
    *,
    columns: int,
    panel_height: float,
    x: str,
    y_label: str,
    share_scale: bool = True,
) -> "Figure":
    """One panel for each name, with one legend above all of them.

    Args:
        draw: draws a panel and sets its title.
        panel_height: in inches.
        x: the swept variable or the label of the x axis.
        share_scale: whether all y axes have the same span.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if not names:
        raise ValueError("a figure needs at least one slice")
    rows = math.ceil(len(names) / columns)
    size = inches(width)
    with paper_style():
        layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03, wspace=0.04, hspace=0.04)
        figure = Figure(figsize=(size, rows * panel_height + 0.6), layout=layout)
        panels = [figure.add_subplot(rows, columns, number + 1) for number in range(len(names))]
        for panel, name in zip(panels, names, strict=True):
            draw(panel, name)
            _set_x_axis(panel, x, roomy=size / columns > 1.2)
        if share_scale:
            _share_span(panels)
        figure.supxlabel(X_LABELS.get(x, x), fontsize=LABEL_SIZE)
        figure.supylabel(y_label, fontsize=LABEL_SIZE)
        _add_legend(figure, panels, size)
    return figure


def draw_curve(panel: "Axes", curve: Curve, style: LineStyle, label: str, law: Curve | None = None) -> None:
    """Draw points, lines between them and a band; or points with bars, and a law with its band."""
    plot = partial(
        panel.plot, marker=style.marker, color=style.colour, markeredgecolor="white", markeredgewidth=0.4,
        clip_on=False, zorder=3,
    )  # fmt: skip
    band = curve if law is None else law
    panel.fill_between(band.x, band.low, band.high, color=style.colour, alpha=0.16, linewidth=0)
    if law is None:
        plot(curve.x, curve.mean, linestyle=style.line, label=label)
        return
    panel.plot(law.x, law.mean, color=style.colour, linestyle=style.line, zorder=2)
    panel.vlines(curve.x, curve.low, curve.high, color=style.colour, linewidth=0.6, alpha=0.7, zorder=2)
    plot(curve.x, curve.mean, linestyle="none")
    panel.plot([], [], color=style.colour, marker=style.marker, linestyle=style.line, label=label)


def draw_zero_shot(panel: "Axes", value: float) -> None:
    """Draw the dashed level of zero-shot."""
    style = ZERO_SHOT_STYLE
    panel.axhline(value, color=style.colour, linestyle=style.line, linewidth=0.9, label="zero-shot")


def draw_zero_line(panel: "Axes") -> None:
    panel.axhline(0, color="black", linewidth=0.5, zorder=1)


def same_scale(panels: Sequence["Axes"]) -> None:
    """Give all y axes the same limits, so that heights compare across panels."""
    bounds = [panel.get_ylim() for panel in panels]
    for panel in panels:
        panel.set_ylim(min(low for low, _ in bounds), max(high for _, high in bounds))
        panel.locator_params(axis="y", nbins=5)


def _share_span(panels: Sequence["Axes"]) -> None:
    """Give all y axes the same span, each around its own middle, so that slopes compare across panels."""
    span = max(high - low for low, high in (panel.get_ylim() for panel in panels))
    for panel in panels:
        low, high = panel.get_ylim()
        middle = (low + high) / 2
        panel.set_ylim(middle - span / 2, middle + span / 2)
        panel.locator_params(axis="y", nbins=5)


def _set_x_axis(panel: "Axes", x: str, roomy: bool) -> None:
    if x == "ratio":
        panel.set_xlim(-0.03, 1.03)
        ticks = {0.0: "0", 0.25: ".25", 0.5: ".5", 0.75: ".75", 1.0: "1"}
        panel.set_xticks(list(ticks), list(ticks.values()) if roomy else ["0", "", ".5", "", "1"])
    elif x == "total":
        from matplotlib.ticker import LogLocator, NullFormatter

        panel.set_xscale("log")  # whose own labels, such as 3 x 10^3 and 4 x 10^3, overlap within one decade
        panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if roomy else (1.0, 5.0)))
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        panel.xaxis.set_minor_formatter(NullFormatter())


def _add_legend(figure: "Figure", panels: Sequence["Axes"], size: float) -> None:
    """One entry for each label in the panels, in as many columns as fit."""
    entries: dict[str, Artist] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if entries:
        columns = _columns_that_fit([4.1 * len(label) + 26 for label in entries], 72 * size)
        figure.legend(
            list(entries.values()), list(entries), loc="outside upper center", ncols=columns, frameon=False,
            columnspacing=1.2,
        )  # fmt: skip


def _columns_that_fit(widths: Sequence[float], room: float) -> int:
    """The largest number of columns within `room`; a column is as wide as its widest entry (points)."""
    for columns in range(len(widths), 1, -1):
        rows = math.ceil(len(widths) / columns)
        parts = [widths[start : start + rows] for start in range(0, len(widths), rows)]
        if sum(map(max, parts)) + 8.4 * (len(parts) - 1) <= room:
            return columns
    return 1
