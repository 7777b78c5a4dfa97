"""All figures of a study as a list of drawings with captions, each at any width."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optical_sweeps.curves.figures.contrast_figures import difference_figure, gap_figure
from optical_sweeps.curves.figures.cost_figure import cost_figure, cost_key, cost_unit
from optical_sweeps.curves.figures.curve_figures import (
    Levels,
    gain_figure,
    group_figure,
    language_figure,
    slices_of,
)
from optical_sweeps.curves.figures.figure_style import X_LABELS
from optical_sweeps.curves.figures.published_levels import Published, levels_for
from optical_sweeps.curves.laws.study_laws import StudyLaws
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.tables.result_tables import ZERO_SHOT, LoggedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure that can be drawn.

    Args:
        name: stem of its files.
        draw: draws the figure at a width in inches.
    """

    name: str
    caption: str
    draw: Callable[[float], "Figure"]


def curve_drawings(
    study: Study, laws: StudyLaws | None, published: Published | None, pairs: Sequence[tuple[str, str]]
) -> Iterator[Drawing]:
    """Drawings against x: groups, languages, gains over zero-shot, gap, and differences between objectives."""
    levels = levels_for(published, study) if published else {}
    groups, x = slices_of(study), X_LABELS.get(study.x, study.x)
    if groups:
        yield _group_drawing("groups", study, laws, published, levels)
    yield Drawing(
        "languages",
        f"{study.measure} on {study.split} of each language against {x}. All y axes have the same span, each "
        f"around its own middle. {_bands(study)}{_zero_shot_note(study)}"
        f"{_level_note(published, levels, study.languages)}",
        lambda width: language_figure(study, width=width, levels=_of(levels, study.languages)),
    )
    if groups and study.reference("group:low") is not None:
        yield Drawing(
            "gains",
            f"Gain of distillation over zero-shot: difference in {study.measure}, paired by query. "
            f"{_bands(study)}",
            lambda width: gain_figure(study, width=width),
        )
    if len(groups) == 2:
        yield Drawing(
            "gap",
            f"{study.measure} of the high-resource languages minus that of the low-resource languages (means "
            f"over languages), against {x}. {_t_bands(study)}",
            lambda width: gap_figure(study, width),
        )
    trained = [pair for pair in pairs if ZERO_SHOT not in pair]
    if trained:
        yield Drawing(
            "differences",
            f"Differences in {study.measure} between objectives, paired by query and seed, against {x}. "
            f"{_t_bands(study)} A dotted line marks a crossing, where the lead changes; the bar at its foot is "
            "the crossing's interval, and an arrow shows that the interval extends beyond the values of x.",
            lambda width: difference_figure(study, trained, width=width),
        )


def budget_drawing(study: Study, laws: StudyLaws | None) -> Drawing:
    """Groups against the budget."""
    return _group_drawing("budgets", study, laws, None, {})


def cost_drawing(
    runs: Sequence[LoggedRun], objectives: Mapping[str, str], measure: str, split: str
) -> Drawing | None:
    """Quality against cost of the runs in `objectives`; None if none of them logged its cost."""
    quality = f"{split}/{measure}/group:all"
    runs = [run for run in runs if run.id in objectives and quality in run.summary]
    key = cost_key(runs)
    if key is None:
        return None
    return Drawing(
        "cost",
        f"{measure} on {split}, mean over all languages, against {cost_unit(runs, key)[0]} of training and "
        "search, without what runs share (teacher, index, stored sentences). Every point is a run.",
        lambda width: cost_figure(runs, objectives, key, quality, width),
    )


def _group_drawing(
    name: str, study: Study, laws: StudyLaws | None, published: Published | None, levels: Levels
) -> Drawing:
    determined = laws.determined() if laws else {}
    slices = slices_of(study)
    return Drawing(
        name,
        f"{study.measure} on {study.split} against {X_LABELS.get(study.x, study.x)}. {_bands(study)}"
        f"{_law_note(study, laws)}{_zero_shot_note(study)}{_level_note(published, levels, slices)}",
        lambda width: group_figure(study, width=width, laws=determined, levels=_of(levels, slices)),
    )


def _of(levels: Levels, slices: Sequence[str]) -> Levels:
    return {slice: levels[slice] for slice in slices if slice in levels}


def _bands(study: Study) -> str:
    seeds = sorted({int(n) for name in study.objectives for n in study.curve(name, study.slices[0]).n_seeds})
    counts = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}" if seeds else "no"
    plural = "" if counts == "1" else "s"
    return (
        f"Bands: {study.confidence:.0%} bootstrap intervals over queries and seeds ({counts} seed{plural} per "
        "point)."
    )


def _t_bands(study: Study) -> str:
    return f"Bands: {study.confidence:.0%} t intervals over queries and seeds."


def _zero_shot_note(study: Study) -> str:
    return " Dashed: zero-shot." if study.reference(study.slices[0]) is not None else ""


def _law_note(study: Study, laws: StudyLaws | None) -> str:
    determined = laws.determined() if laws else {}
    if not determined:
        return ""
    names = sorted({f"{law.law.name}, {law.law.equation}" for law in determined.values()})
    return (
        f" Where the data determine a law of 1 - {study.measure} ({'; '.join(names)}), the line is the law "
        "chosen by held-out error and the band is its interval; points and bars are the runs."
    )


def _level_note(published: Published | None, levels: Levels, slices: Sequence[str]) -> str:
    if published is None or not _of(levels, slices):
        return ""
    return (
        f" Grey: published figures of {published.name} ({published.source}), averaged over the languages of a "
        "panel."
    )
