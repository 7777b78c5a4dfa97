"""A transport plan as a heat map: the alignment of a sentence's tokens with those of its translation."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from optical_sweeps.atomic_files import replacing
from optical_sweeps.curves.figures.figure_style import Width, inches, paper_style, save_figure
from optical_sweeps.curves.figures.fonts import families_for, romanised
from optical_sweeps.errors import UserError
from optical_sweeps.limits import read_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLAN_FILES = "inspect/*.plan.json"
"""The plans in a run's folder."""
_SHOWN_LETTERS = 24
"""A longer token is cut."""


@dataclass(frozen=True)
class KeptPlan:
    """A plan as it is stored in a run's folder.

    Args:
        plan: mass from each student token (row) to each teacher token (column).
    """

    plan: list[list[float]]
    student_tokens: list[str]
    teacher_tokens: list[str]
    title: str

    def matrix(self) -> Float[np.ndarray, "n m"]:
        return np.array(self.plan, dtype=float).reshape(len(self.student_tokens), len(self.teacher_tokens))


def write_plan(path: Path, kept: KeptPlan) -> Path:
    """Write a plan atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(asdict(kept), ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def kept_plans(run: Path) -> list[Path]:
    """The plans in a run's folder, sorted by name."""
    return sorted(run.glob(PLAN_FILES))


def read_plan(path: Path) -> KeptPlan:
    """Read a plan.

    Raises:
        UserError: the file was not written by `write_plan`.
    """
    try:
        kept = KeptPlan(**read_json(path))
        kept.matrix()
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: not a transport plan ({error}); draw it again with `inspect`") from error
    return kept


def draw_plan(
    plan: Float[np.ndarray, "n m"],
    student_tokens: Sequence[str],
    teacher_tokens: Sequence[str],
    stem: Path,
    title: str,
    width: Width | float = "page",
) -> list[Path]:
    """Write `<stem>.pdf` and `<stem>.png`: rows are the student's tokens, columns the teacher's.

    A cell is the share of its row's mass, so that plans of long and of short sentences look alike; a row
    without mass is white. Letters that no installed font has are romanised.

    Args:
        width: of the paper, and the maximum width of the figure, which is as wide as its tokens need.

    Raises:
        ValueError: the shape of the plan differs from the numbers of tokens, or there is no token.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    plan = np.asarray(plan, dtype=float)
    if plan.shape != (len(student_tokens), len(teacher_tokens)) or not plan.size:
        raise ValueError(f"a plan of {plan.shape} for {len(student_tokens)} and {len(teacher_tokens)} tokens")
    families, missing = families_for((*student_tokens, *teacher_tokens, title))
    rows, columns = ([_label(token, missing) for token in side] for side in (student_tokens, teacher_tokens))
    cell = min(0.24, (inches(width) - 1.3) / len(columns))
    font_size = max(min(7.5, 72 * cell / 1.15), 3.0)
    letter = font_size / 72 * 0.62  # average width
    figure_width = min(inches(width), max(len(columns) * cell + letter * max(map(len, rows)) + 0.9, 2.0))
    heading = wrap(romanised(title, missing).replace("$", r"\$"), int(15 * figure_width))
    height = len(rows) * cell + letter * max(map(len, columns)) + 0.55 + 0.14 * len(heading)
    size = (figure_width, max(height, 1.9))
    with paper_style(grid=False):
        figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03))
        panel = figure.add_subplot()
        sums = plan.sum(1, keepdims=True)
        shares = np.divide(plan, sums, out=np.zeros_like(plan), where=sums > 0)
        image = panel.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal", interpolation="nearest")
        _label_axes(panel, rows, columns, families, font_size)
        panel.set_title("\n".join(heading), family=families, pad=6, loc="left", fontsize=7)
        bar = figure.colorbar(image, ax=panel, shrink=min(1.0, 1.6 / size[1]), aspect=18, pad=0.02)
        bar.set_label("share of row", fontsize=6.5)
        bar.ax.tick_params(labelsize=6)
        bar.outline.set_linewidth(0.5)
    return list(save_figure(figure, stem))


def _label_axes(
    panel: "Axes", rows: Sequence[str], columns: Sequence[str], families: list[str], size: float
) -> None:
    panel.set_xticks(range(len(columns)), columns, rotation=90, family=families, fontsize=size)
    panel.set_yticks(range(len(rows)), rows, family=families, fontsize=size)
    panel.xaxis.tick_top()
    panel.tick_params(length=0, pad=2)
    panel.set_xlabel("teacher: English", fontsize=6.5)
    panel.set_ylabel("student", fontsize=6.5)
    for edge in panel.spines.values():
        edge.set_visible(False)
    for place in range(1, len(columns)):
        panel.axvline(place - 0.5, color="#EEEEEE", linewidth=0.4)
    for place in range(1, len(rows)):
        panel.axhline(place - 0.5, color="#EEEEEE", linewidth=0.4)


def _label(token: str, missing: set[str]) -> str:
    """A token as it is shown: cut if it is long, with `$` as a letter and not as the start of a formula."""
    shown = romanised(token, missing)
    shown = shown if len(shown) <= _SHOWN_LETTERS else f"{shown[: _SHOWN_LETTERS - 1]}…"
    return shown.replace("$", r"\$")
