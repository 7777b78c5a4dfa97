"""What there is to draw of a study: a list of figures with captions, each at any width."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from optical_sweeps.curves.figures.contrast_figures import difference_figure, gap_figure
from optical_sweeps.curves.figures.cost_figure import cost_figure, cost_key, cost_unit
from optical_sweeps.curves.figures.curve_figures import (
    Level,
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
        name: of its files.
        draw: from a width in inches.
    """

    name: str
    caption: str
    draw: Callable[[float], "Figure"]


def curve_drawings(
    study: Study, laws: StudyLaws | None, published: Published | None, pairs: Sequence[tuple[str, str]]
) -> Iterator[Drawing]:
    """Against x: groups, languages, what is gained, the gap, and differences of objectives."""
    levels = levels_for(published, study) if published else {}
    x, bands = X_LABELS.get(study.x, study.x), _bands(study)
    if slices_of(study):
        drawn = laws.drawn() if laws else {}
        yield Drawing(
            "groups",
            f"{study.measure} on {study.split} against {x}. {bands}{_law_words(study, laws)}"
            f"{_zero_shot_words(study)}{_level_words(published, levels, slices_of(study))}",
            lambda width: group_figure(study, width=width, laws=drawn, levels=_of(levels, slices_of(study))),
        )
    yield Drawing(
        "languages",
        f"{study.measure} on {study.split} of each language against {x}; y axes have one span, each about "
        f"its own middle. {bands}{_zero_shot_words(study)}{_level_words(published, levels, study.languages)}",
        lambda width: language_figure(study, width=width, levels=_of(levels, study.languages)),
    )
    if slices_of(study) and study.reference("group:low") is not None:
        yield Drawing(
            "gains",
            f"What distillation gains over zero-shot: difference of {study.measure}, paired by query. {bands}",
            lambda width: gain_figure(study, width=width),
        )
    if len(slices_of(study)) == 2:
        yield Drawing(
            "gap",
            f"{study.measure} of the high-resource languages less that of the low-resource ones (means over "
            f"languages), against {x}. {_contrasts(study)}",
            partial(_at, gap_figure, study),
        )
    trained = [pair for pair in pairs if ZERO_SHOT not in pair]
    if trained:
        yield Drawing(
            "differences",
            f"Differences of {study.measure} between objectives, paired by query and seed, against {x}. "
            f"{_contrasts(study)} A dotted line marks where the lead changes, the bar at its foot the interval "
            "of that place; an arrow says that it leaves the range that was run.",
            lambda width: difference_figure(study, trained, width=width),
        )


def budget_drawing(study: Study, laws: StudyLaws | None) -> Drawing:
    """Groups against the budget."""
    drawn = laws.drawn() if laws else {}
    return Drawing(
        "budgets",
        f"{study.measure} on {study.split} against {X_LABELS['total']}. {_bands(study)}"
        f"{_law_words(study, laws)}{_zero_shot_words(study)}",
        lambda width: group_figure(study, width=width, laws=drawn),
    )


def cost_drawing(
    runs: Sequence[LoggedRun], objectives: Mapping[str, str], measure: str, split: str
) -> Drawing | None:
    """Cost against quality of runs that have an objective here; None where none of them logged its cost."""
    quality = f"{split}/{measure}/group:all"
    runs = [run for run in runs if run.id in objectives and quality in run.summary]
    key = cost_key(runs)
    if key is None:
        return None
    return Drawing(
        "cost",
        f"{measure} on {split}, mean over all languages, against {cost_unit(runs, key)[0]}: training and "
        "search, without what runs share (teacher, index, English vectors). A point is a run.",
        lambda width: cost_figure(runs, objectives, key, quality, width),
    )


def _at(draw: Callable[..., "Figure"], study: Study, width: float) -> "Figure":
    return draw(study, width=width)


def _of(levels: Mapping[str, Sequence[Level]], slices: Sequence[str]) -> dict[str, Sequence[Level]]:
    return {slice: levels[slice] for slice in slices if slice in levels}


def _bands(study: Study) -> str:
    seeds = sorted({int(n) for name in study.objectives for n in study.curve(name, study.slices[0]).n_seeds})
    counts = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}" if seeds else "no"
    return (
        f"Bands: {study.confidence:.0%} bootstrap intervals over queries and seeds ({counts} "
        f"seed{'' if counts == '1' else 's'} a point)."
    )


def _contrasts(study: Study) -> str:
    return f"Bands: {study.confidence:.0%} t intervals over queries and seeds."


def _zero_shot_words(study: Study) -> str:
    return " Dashed: zero-shot." if study.reference(study.slices[0]) is not None else ""


def _law_words(study: Study, laws: StudyLaws | None) -> str:
    drawn = laws.drawn() if laws else {}
    if not drawn:
        return ""
    named = sorted({f"{law.law.name}, {law.law.equation}" for law in drawn.values()})
    return (
        f" Where the data determine a law of 1 - {study.measure} ({'; '.join(named)}), it is the line, "
        "chosen by held-out error, with its interval as the band; points and bars are the runs."
    )


def _level_words(
    published: Published | None, levels: Mapping[str, Sequence[Level]], slices: Sequence[str]
) -> str:
    if published is None or not _of(levels, slices):
        return ""
    return (
        f" Grey: published figures of {published.name} ({published.source}), means over the languages of a "
        "panel."
    )
