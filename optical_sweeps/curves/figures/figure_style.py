"""Size, style and layout of all figures."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from optical_sweeps.curves.statistics.study import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Width = Literal["column", "page"]


INCHES: Mapping[Width, float] = {"column": 3.3, "page": 6.9}


NARROW = 5.0
"""Figures of fewer inches are those of a column: fewer panels a row, shorter titles."""


X_LABELS: Mapping[str, str] = {
    "ratio": "share of low-resource pairs",
    "multiple": "low-resource pairs per high-resource pair",
    "total": "training pairs",
}


@dataclass(frozen=True)
class LineStyle:
    """How one objective looks in every figure."""

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


LEVEL_STYLES = tuple(
    LineStyle(colour, "", line)
    for colour, line in (
        ("#777777", (0, (4, 1.5))), ("#999999", (0, (1, 1.2))), ("#555555", (0, (5, 1.2, 1, 1.2))),
        ("#999999", "-"), ("#333333", (0, (2, 1))), ("#777777", (0, (8, 2))),
    )
)  # fmt: skip
"""Published figures: grey, no markers."""


OTHER_STYLES = (LineStyle("#56B4E9", "P", "-"), LineStyle("#000000", "X", (0, (3, 1.5))))


ZERO_SHOT_COLOUR = "#555555"


RC: Mapping[str, Any] = {
    "font.family": "DejaVu Sans",  # matplotlib's own, so that figures look and weigh the same everywhere
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
    "pdf.fonttype": 42,  # text stays text
    "savefig.dpi": 300,
}


def save_figure(figure: "Figure", stem: Path) -> tuple[Path, Path]:
    """Write `<stem>.pdf` and `<stem>.png` (300 dpi), each whole or not at all."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    pdf, png = stem.with_name(f"{stem.name}.pdf"), stem.with_name(f"{stem.name}.png")
    no_dates: dict[str, dict[str, Any]] = {
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
    }
    with _style():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once for both
    for path in (pdf, png):
        kind = path.suffix.removeprefix(".")
        temporary = path.with_name(f".{path.name}.tmp")
        with _style():
            figure.savefig(temporary, format=kind, metadata=no_dates[kind])
        temporary.replace(path)
    return pdf, png


def inches(width: Width | float) -> float:
    return INCHES[width] if isinstance(width, str) else float(width)


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
    """A panel for each name, with one legend above all; `draw` fills a panel and gives it its title."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if not names:
        raise ValueError("a figure needs at least one slice")
    rows = math.ceil(len(names) / columns)
    size = inches(width)
    with _style():
        layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03, wspace=0.04, hspace=0.04)
        figure = Figure(figsize=(size, rows * panel_height + 0.6), layout=layout)
        panels = [figure.add_subplot(rows, columns, number + 1) for number in range(len(names))]
        for panel, name in zip(panels, names, strict=True):
            draw(panel, name)
            x_axis(panel, x, roomy=size / columns > 1.2)
        if share_scale:
            _share_scale(panels)
        figure.supxlabel(X_LABELS.get(x, x), fontsize=RC["axes.labelsize"])
        figure.supylabel(y_label, fontsize=RC["axes.labelsize"])
        legend(figure, panels, size)
    return figure


def legend(figure: "Figure", panels: Sequence["Axes"], size: float) -> None:
    """What the panels show, each name once, in as many columns as there is room for."""
    found: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if not found:
        return
    figure.legend(
        found.values(),
        found.keys(),
        loc="outside upper center",
        ncols=_columns_that_fit([4.1 * len(label) + 26 for label in found], 72 * size),
        frameon=False,
        columnspacing=1.2,
    )


def _columns_that_fit(widths: Sequence[float], room: float) -> int:
    """Most columns, filled one after the other, each as wide as its widest entry; all in points."""
    for columns in range(len(widths), 1, -1):
        rows = math.ceil(len(widths) / columns)
        parts = [widths[start : start + rows] for start in range(0, len(widths), rows)]
        if sum(map(max, parts)) + 8.4 * (len(parts) - 1) <= room:
            return columns
    return 1


def draw_curve(panel: "Axes", curve: Curve, style: LineStyle, label: str, law: Curve | None = None) -> None:
    """Points, their intervals as a band, and lines between them; or points with bars, and a law."""
    look: dict[str, Any] = {
        "color": style.colour,
        "markeredgecolor": "white",
        "markeredgewidth": 0.4,
        "clip_on": False,
    }
    if law is None:
        panel.fill_between(curve.x, curve.low, curve.high, color=style.colour, alpha=0.16, linewidth=0)
        panel.plot(
            curve.x,
            curve.mean,
            marker=style.marker,
            linestyle=style.line,
            label=label,
            zorder=3,
            **look,
        )
        return
    panel.fill_between(law.x, law.low, law.high, color=style.colour, alpha=0.16, linewidth=0)
    panel.plot(law.x, law.mean, color=style.colour, linestyle=style.line, zorder=2)
    panel.vlines(curve.x, curve.low, curve.high, color=style.colour, linewidth=0.6, alpha=0.7, zorder=2)
    panel.plot(curve.x, curve.mean, marker=style.marker, linestyle="none", zorder=3, **look)
    panel.plot([], [], color=style.colour, marker=style.marker, linestyle=style.line, label=label)


def x_axis(panel: "Axes", x: str, roomy: bool) -> None:
    if x == "ratio":
        panel.set_xlim(-0.03, 1.03)
        ticks = {0.0: "0", 0.25: ".25", 0.5: ".5", 0.75: ".75", 1.0: "1"}
        panel.set_xticks(list(ticks), list(ticks.values()) if roomy else ["0", "", ".5", "", "1"])
    elif x == "total":
        panel.set_xscale("log")


def _share_scale(panels: Sequence["Axes"]) -> None:
    """The same span on every y axis, each about its own middle, so that slopes compare across panels."""
    span = max(high - low for low, high in (panel.get_ylim() for panel in panels))
    for panel in panels:
        low, high = panel.get_ylim()
        middle = (low + high) / 2
        panel.set_ylim(middle - span / 2, middle + span / 2)
        panel.locator_params(axis="y", nbins=5)


def same_scale(panels: Sequence["Axes"]) -> None:
    """One y axis for all, from the lowest to the highest, so that heights compare across panels."""
    bounds = [panel.get_ylim() for panel in panels]
    for panel in panels:
        panel.set_ylim(min(low for low, _ in bounds), max(high for _, high in bounds))
        panel.locator_params(axis="y", nbins=5)


def ordered(objectives: Sequence[str]) -> list[str]:
    """Those with a style of their own first, in its order."""
    known = [name for name in STYLES if name in objectives]
    return known + [name for name in objectives if name not in STYLES]


def style_of(objective: str, objectives: Sequence[str]) -> LineStyle:
    if objective in STYLES:
        return STYLES[objective]
    others = [name for name in objectives if name not in STYLES]
    return OTHER_STYLES[others.index(objective) % len(OTHER_STYLES)]


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context(cast(Any, RC)):
        yield
