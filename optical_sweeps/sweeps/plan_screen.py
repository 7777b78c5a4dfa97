"""A planned sweep as text: axes, states, shared artifacts, cost, launcher."""

from collections import Counter

from rich.text import Text

from optical_sweeps.console import size_text
from optical_sweeps.runs.run import LABEL_COLUMNS
from optical_sweeps.sweeps.estimate import Estimate
from optical_sweeps.sweeps.grid import ORDER
from optical_sweeps.sweeps.sweep_plan import SweepPlan
from optical_sweeps.terminal_text import count_text


def plan_screen(plan: SweepPlan, launcher: str, array_tasks: tuple[int, ...]) -> Text:
    """The plan as `sweep plan` prints it.

    Args:
        launcher: the program that would execute the runs.
        array_tasks: number of tasks of each Slurm array job.
    """
    distinct, points = len(plan.states), len(plan.grid.points)
    same = f", {distinct:,} distinct runs" if distinct < points else ""
    text = Text()
    text.append(f"{count_text(points, 'grid point')}{same} -> {plan.grid.folder}\n", "bold")
    width = max(map(len, plan.axes), default=0)
    for key, values in plan.axes.items():
        _row(text, "swept" if key == next(iter(plan.axes)) else "", f"{key:<{width}}  {_listed(values)}")
    counts = Counter(plan.states.values())
    _row(text, "done", f"{counts['done']:,}", "green" if counts["done"] else "")
    others = ", ".join(f"{counts[state]:,} {state}" for state in ORDER[1:] if counts[state])
    _row(text, "to do", others or "nothing")
    for each in plan.shared:
        state = "in the store" if each.in_store else "to be built once"
        _row(text, "shared", f"teacher and index of {count_text(each.runs, 'run')}: {state}")
    for label, line in (*plan.notes.rows, *_cost(plan.estimate)):
        _row(text, label, line)
    _row(text, "launcher", launcher)
    if array_tasks:
        tasks = " + ".join(count_text(number, "task") for number in array_tasks)
        _row(text, "", f"{count_text(len(array_tasks), 'array job')}: {tasks}")
    text.append("nothing was run or submitted", "dim")
    return text


def _cost(cost: Estimate) -> list[tuple[str, str]]:
    if not cost.runs:
        return []
    if cost.unknown == cost.runs:
        return [("cost", "no record to estimate from")]
    known = cost.runs - cost.unknown
    source = f"from {count_text(cost.records, 'record')} of {cost.source}"
    gpu = f", {cost.gpu_hours:,.1f} GPU hours" if cost.gpu_hours else ", no GPU"
    lines = [
        ("cost", f"{_duration(cost.hours)} in sequence{gpu}, {size_text(cost.size)} on disk"),
        ("", f"{source}; {_duration(cost.hours / known)} per run"),
    ]
    if cost.unknown:
        lines.append(("", f"without {count_text(cost.unknown, 'run')} that no record resembles"))
    return lines


def _row(text: Text, label: str, line: str, style: str = "") -> None:
    text.append(f"{f'  {label}':<{LABEL_COLUMNS}}", "dim")
    text.append(f"{line}\n", style)


def _listed(values: tuple[str, ...], limit: int = 8) -> str:
    if len(values) <= limit:
        return ", ".join(values)
    return f"{', '.join(values[: limit - 2])}, … {values[-1]}  ({len(values):,} values)"


def _duration(hours: float) -> str:
    """
    >>> _duration(0.005), _duration(0.5), _duration(30.0)
    ('18 s', '30 min', '30.0 h')
    """
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} s"
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:,.1f} h"
