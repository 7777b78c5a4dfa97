"""Figures of a study at paper size: a measure against the swept variable, objectives side by side.

One column of a paper is 3.3 in wide, a page 6.9 in; no text is smaller than 7 pt at that size. Colours are
Okabe and Ito's, and markers and line styles tell objectives apart without them. Equal data give equal bytes.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from optical_sweeps.curves.bootstrap import Study
from optical_sweeps.curves.table import ZERO_SHOT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Width = Literal["column", "page"]
INCHES: Mapping[Width, float] = {"column": 3.3, "page": 6.9}

X_LABELS: Mapping[str, str] = {
    "ratio": "share of low-resource pairs",
    "multiple": "low-resource pairs per high-resource pair",
    "total": "training pairs",
}
GROUP_TITLES: Mapping[str, str] = {
    "high": "high-resource languages",
    "low": "low-resource languages",
    "all": "all languages",
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


def group_figure(study: Study, groups: Sequence[str] = ("high", "low"), width: Width = "page") -> "Figure":
    """The measure of each group against x; zero-shot is a dashed level."""
    slices = _slices(study, groups)
    return _figure(study, slices, width, columns=len(slices), panel_height=1.75)


def gain_figure(study: Study, groups: Sequence[str] = ("high", "low"), width: Width = "page") -> "Figure":
    """What distillation gains over zero-shot in each group: paired, so narrower than two curves' intervals.

    Raises:
        KeyError: the study has no zero-shot run.
    """
    slices = _slices(study, groups)
    return _figure(study, slices, width, columns=len(slices), panel_height=1.75, gain=True)


def language_figure(study: Study, width: Width = "page") -> "Figure":
    """The measure of each language against x, in small panels: high-resource languages first."""
    ordered = [language for group in study.groups.values() for language in group]
    slices = list(dict.fromkeys((*ordered, *study.languages)))
    columns = min(len(slices), 5 if width == "page" else 3)
    return _figure(study, slices, width, columns=columns, panel_height=1.15)


def save_figure(figure: "Figure", stem: Path) -> tuple[Path, Path]:
    """Write `<stem>.pdf` and `<stem>.png` (300 dpi), each whole or not at all."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    pdf, png = stem.with_name(f"{stem.name}.pdf"), stem.with_name(f"{stem.name}.png")
    no_dates: dict[str, dict[str, Any]] = {
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
    }
    for path in (pdf, png):
        kind = path.suffix.removeprefix(".")
        temporary = path.with_name(f".{path.name}.tmp")
        with _style():
            figure.savefig(temporary, format=kind, metadata=no_dates[kind])
        temporary.replace(path)
    return pdf, png


def save_all_figures(study: Study, folder: Path) -> list[Path]:
    """Every figure of the study at both widths: `groups-column.pdf`, `languages-page.png` and so on."""
    draw: dict[str, Callable[..., Figure]] = {"languages": language_figure}
    if groups := _slices(study, ("high", "low")):
        draw["groups"] = group_figure
        if study.objectives and all(study.reference(group) for group in groups):
            draw["gains"] = gain_figure
    return [
        path
        for name, function in draw.items()
        for width in INCHES
        for path in save_figure(function(study, width=width), folder / f"{name}-{width}")
    ]


def _slices(study: Study, groups: Sequence[str]) -> list[str]:
    return [f"group:{group}" for group in groups if f"group:{group}" in study.slices]


def _figure(
    study: Study,
    slices: Sequence[str],
    width: Width,
    *,
    columns: int,
    panel_height: float,
    gain: bool = False,
) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if not slices:
        raise ValueError("a figure needs at least one slice")
    rows = math.ceil(len(slices) / columns)
    with _style():
        layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03, wspace=0.04, hspace=0.04)
        figure = Figure(figsize=(INCHES[width], rows * panel_height + 0.6), layout=layout)
        panels = [figure.add_subplot(rows, columns, number + 1) for number in range(len(slices))]
        for panel, slice in zip(panels, slices, strict=True):
            _draw(panel, study, slice, gain)
            _x_axis(panel, study.x, roomy=INCHES[width] / columns > 1.2)
        _share_scale(panels)
        figure.supxlabel(X_LABELS.get(study.x, study.x), fontsize=RC["axes.labelsize"])
        label = f"{study.measure} above zero-shot" if gain else study.measure
        figure.supylabel(label, fontsize=RC["axes.labelsize"])
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure


def _draw(panel: "Axes", study: Study, slice: str, gain: bool) -> None:
    for objective in _ordered(study.objectives):
        curve = study.difference(objective, ZERO_SHOT, slice) if gain else study.curve(objective, slice)
        style = _style_of(objective, study.objectives)
        panel.fill_between(curve.x, curve.low, curve.high, color=style.colour, alpha=0.16, linewidth=0)
        panel.plot(
            curve.x,
            curve.mean,
            color=style.colour,
            marker=style.marker,
            linestyle=style.line,
            markeredgecolor="white",
            markeredgewidth=0.4,
            label=objective,
            clip_on=False,
            zorder=3,
        )
    reference = study.reference(slice)
    if gain or reference is not None:
        level = 0.0 if gain or reference is None else float(reference.mean[0])
        panel.axhline(level, color=ZERO_SHOT_COLOUR, linestyle=(0, (2.5, 2)), linewidth=0.9, label="zero-shot")
    panel.set_title(_title(study, slice))


def _x_axis(panel: "Axes", x: str, roomy: bool) -> None:
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


def _title(study: Study, slice: str) -> str:
    if slice.startswith("group:"):
        group = slice.removeprefix("group:")
        return GROUP_TITLES.get(group, group)
    group = next((name for name, members in study.groups.items() if slice in members and name != "all"), "")
    return f"{slice} ({group})" if group else slice


def _ordered(objectives: Sequence[str]) -> list[str]:
    """Those with a style of their own first, in its order."""
    known = [name for name in STYLES if name in objectives]
    return known + [name for name in objectives if name not in STYLES]


def _style_of(objective: str, objectives: Sequence[str]) -> LineStyle:
    if objective in STYLES:
        return STYLES[objective]
    others = [name for name in objectives if name not in STYLES]
    return OTHER_STYLES[others.index(objective) % len(OTHER_STYLES)]


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context(cast(Any, RC)):
        yield
