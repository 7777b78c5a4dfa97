"""Figures of gaps, differences and costs show the numbers of the tables, and fit the paper."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from optical_sweeps.curves.claims.crossings import find_crossings
from optical_sweeps.curves.figures.contrast_figures import difference_figure, gap_figure
from optical_sweeps.curves.figures.cost_figure import cost_figure, cost_key
from optical_sweeps.curves.figures.curve_figures import group_figure
from optical_sweeps.curves.figures.study_drawings import budget_drawing, cost_drawing, curve_drawings
from optical_sweeps.curves.laws.study_laws import laws_of
from optical_sweeps.curves.statistics.contrasts import curve_of, group_gap, objective_difference
from optical_sweeps.curves.statistics.study import Study
from tests.support.curve_study import made_up_study

Groups = Mapping[str, Sequence[str]]
PAIRS = [("optical", "contrastive")]
WIDTHS = (3.03, 6.30)


@pytest.fixture
def study(per_query: pandas.DataFrame, groups: Groups) -> Study:
    return Study(per_query, groups, replicates=50)


def lines(panel: Any) -> dict[str, Any]:
    return {str(line.get_label()): line for line in panel.get_lines()}


def check_fit(figure: Figure, width: float) -> None:
    """The width is exact, no text is below 7 pt or beyond the edges, and no titles overlap."""
    assert figure.get_figwidth() == width
    figure.draw_without_rendering()
    beyond = {
        tick.label1
        for panel in figure.axes
        for axis in (panel.xaxis, panel.yaxis)
        for tick in axis.get_major_ticks()
        if not _within(tick.get_loc(), axis.get_view_interval())
    }
    texts = [
        text for text in figure.findobj(Text) if text.get_text() and text.get_visible() and text not in beyond
    ]
    assert min(text.get_fontsize() for text in texts) >= 7
    for text in texts:
        box = text.get_window_extent()
        assert box.x0 >= figure.bbox.x0 - 1, text
        assert box.x1 <= figure.bbox.x1 + 1, text
    titles = [panel.title.get_window_extent() for panel in figure.axes if panel.get_title()]
    for place, one in enumerate(titles):
        assert not any(one.overlaps(other) for other in titles[place + 1 :])


def _within(place: float, bounds: Any) -> bool:
    return bool(min(bounds) <= place <= max(bounds))


@pytest.mark.parametrize("width", WIDTHS)
def test_every_drawing_fits_the_paper(study: Study, width: float) -> None:
    drawings = list(curve_drawings(study, laws_of(study, ["group:low", "group:high"]), None, PAIRS))
    assert [drawing.name for drawing in drawings] == ["groups", "languages", "gains", "gap", "differences"]
    for drawing in drawings:
        check_fit(drawing.draw(width), width)
        assert "nDCG@10" in drawing.caption
        assert drawing.caption.endswith(".")


def test_the_gap_figure_shows_the_gap(study: Study) -> None:
    (panel,) = gap_figure(study).axes
    expected = curve_of(group_gap(study, "optical"), study.confidence)
    np.testing.assert_array_equal(lines(panel)["optical"].get_ydata(), expected.mean)
    level = set(np.asarray(lines(panel)["zero-shot"].get_ydata()))
    assert level == {group_gap(study, "none").mean[0]}


def test_the_difference_figure_agrees_with_the_tables(study: Study) -> None:
    figure = difference_figure(study, PAIRS)
    for panel, slice in zip(figure.axes, ("group:high", "group:low", "group:all"), strict=True):
        expected = curve_of(objective_difference(study, *PAIRS[0], slice), study.confidence)
        np.testing.assert_array_equal(lines(panel)["optical - contrastive"].get_ydata(), expected.mean)
        found = find_crossings(study, *PAIRS[0], slice).found
        vertical = [line for line in panel.get_lines() if len(set(np.asarray(line.get_xdata()))) == 1]
        marked = {float(np.asarray(line.get_xdata())[0]) for line in vertical if line.get_marker() == "None"}
        assert marked == {one.x for one in found}


def test_a_determined_law_replaces_the_line(groups: Groups) -> None:
    totals = (500, 1000, 2000, 4000, 8000, 16000, 32000)
    table = made_up_study(ratios=totals, seeds=(0, 1, 2), n_queries=60, zero_shot=False)
    table = table.rename(columns={"ratio": "total"})
    optical, number = table["objective"] == "optical", table["query_id"].str[1:].astype(int)
    level = 0.6 - (100 / table["total"]) ** 0.8
    table["value"] = np.where(optical, level + number / 1000, 0.4 + number / 1000)
    study = Study(table, groups, x="total", replicates=50)
    laws = laws_of(study, ["group:low"])
    assert laws.choices["optical", "group:low"].law == "power_offset"
    assert set(laws.determined()) == {("optical", "group:low")}
    panel = group_figure(study, groups=("low",), laws=laws.determined()).axes[0]
    long = [line for line in panel.get_lines() if len(np.asarray(line.get_xdata())) == 100]
    (law,) = long
    np.testing.assert_allclose(
        law.get_ydata(), 0.6 - (100 / np.asarray(law.get_xdata())) ** 0.8 + 0.0295, atol=2e-3
    )
    drawing = budget_drawing(study, laws)
    assert "power_offset" in drawing.caption
    check_fit(drawing.draw(3.03), 3.03)


@pytest.mark.parametrize("width", [3.03, 6.3])
def test_labels_of_budgets_within_a_decade_do_not_overlap(groups: Groups, width: float) -> None:
    table = made_up_study(ratios=(3200, 25600)).rename(columns={"ratio": "total"})
    figure = group_figure(Study(table, groups, x="total", replicates=10), width=width)
    figure.draw_without_rendering()
    for panel in figure.axes:
        low, high = panel.get_xlim()
        labels = [*panel.xaxis.get_majorticklabels(), *panel.xaxis.get_minorticklabels()]
        shown = sorted(
            (label.get_position()[0], label)
            for label in labels
            if label.get_text() and low <= label.get_position()[0] <= high
        )
        assert {label.get_text() for _, label in shown} >= {"5,000", "10,000"}
        boxes = [label.get_window_extent() for _, label in shown]
        assert all(one.x1 < other.x0 for one, other in itertools.pairwise(boxes))


def test_too_few_points_have_no_law_but_a_reason(groups: Groups) -> None:
    study = Study(made_up_study(ratios=(0.0, 1.0)), groups, replicates=10)
    laws = laws_of(study, ["group:low"])
    assert laws.determined() == {}
    assert set(laws.undecided) == {("optical", "group:low"), ("contrastive", "group:low")}
    assert "needs three" in laws.undecided["optical", "group:low"]
    assert laws.explain_undecided().startswith("No law for contrastive on group:low, optical on group:low: ")


@dataclass
class Run:
    id: str
    summary: dict[str, float]
    config: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    group: str = ""
    complete: bool = True


def test_cost_is_gpu_hours_if_any_run_used_a_gpu() -> None:
    key = "test/nDCG@10/group:all"
    runs = [
        Run(f"r{n}", {"usage/hours": 0.5 + n, "usage/gpu_hours": 2.0 * n, key: 0.3 + n / 10}) for n in range(4)
    ]
    objectives = {"r0": "none", "r1": "optical", "r2": "optical", "r3": "contrastive"}
    assert cost_key(runs) == "usage/gpu_hours"
    panel = cost_figure(runs, objectives, "usage/gpu_hours", key, 3.03).axes[0]
    np.testing.assert_array_equal(lines(panel)["optical"].get_xdata(), [2.0, 4.0])
    np.testing.assert_array_equal(lines(panel)["optical"].get_ydata(), [0.4, 0.5])
    assert set(lines(panel)) == {"optical", "contrastive", "zero-shot"}
    for run in runs:
        run.summary["usage/gpu_hours"] = 0.0
    assert cost_key(runs) == "usage/hours"
    drawing = cost_drawing(runs, objectives, "nDCG@10", "test")
    assert drawing is not None
    assert "against hours of training" in drawing.caption
    for run in runs:
        run.summary["usage/hours"] /= 1000
    panel = cost_figure(runs, objectives, "usage/hours", key, 3.03).axes[0]
    np.testing.assert_allclose(lines(panel)["contrastive"].get_xdata(), [3600 * 3.5 / 1000])
    check_fit(drawing.draw(3.03), 3.03)
    assert cost_drawing([Run("a", {})], {"a": "optical"}, "nDCG@10", "test") is None
    unmeasured = Run("a", {"usage/hours": 1.0})
    assert cost_drawing([unmeasured], {"a": "optical"}, "nDCG@10", "test") is None
    assert cost_drawing(runs, {}, "nDCG@10", "test") is None
