"""The effort of a study's tuning as a table."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from optical_sweeps.curves.statistics.tuning_effort import Effort, expected_best, expected_best_interval
from optical_sweeps.curves.tables.paper_table import PaperTable
from optical_sweeps.curves.tables.result_tables import ZERO_SHOT


def effort_table(efforts: Mapping[str, Effort]) -> PaperTable:
    """One row for each objective: trials, cost, chosen settings, and the expected best score of k trials."""
    most = max((len(effort.scores) for effort in efforts.values()), default=0)
    counts = [k for k in (2**power for power in range(12)) if k < most] + [most] * (most > 0)
    rows, records = [], []
    for name, effort in efforts.items():
        best, (low, high) = expected_best(effort.scores), expected_best_interval(effort.scores)
        cells = [
            f"{100 * best[k - 1]:.1f} [{100 * low[k - 1]:.1f}, {100 * high[k - 1]:.1f}]"
            if k <= len(best)
            else ""
            for k in counts
        ]
        rows.append((
            name, effort.chosen, f"{len(effort.scores) + effort.failed}", f"{effort.failed}",
            f"{effort.pairs:,}", f"{effort.seconds:,.0f}", *cells,
        ))  # fmt: skip
        records += [
            {
                "objective": name, "trials": k, "expected_best": float(best[k - 1]), "low": float(low[k - 1]),
                "high": float(high[k - 1]), "failed": effort.failed, "pairs": effort.pairs,
                "seconds": effort.seconds, "sampler": effort.sampler, "chosen": effort.chosen,
            }
            for k in range(1, len(best) + 1)
        ]  # fmt: skip
    header = (
        "objective",
        "chosen",
        "trials",
        "failed",
        "pairs per trial",
        "seconds",
        *(f"best of {k}" for k in counts),
    )
    return PaperTable(tuple(header), tuple(rows), 2, effort_caption(efforts), tuple(records))


def effort_caption(efforts: Mapping[str, Effort]) -> str:
    """What the table and the figure of effort show."""
    dependent = [name for name, effort in efforts.items() if effort.sampler != "random"]
    note = (
        f" The trials of {', '.join(dependent)} were not drawn independently, as the estimate assumes."
        if dependent
        else ""
    )
    return (
        "Expected best dev score against the number of trials of a random search (Dodge et al. 2019), with 95% "
        f"bootstrap intervals over the trials that ended.{note}"
    )


def with_tuning_note(table: PaperTable, objectives: Iterable[str], efforts: Mapping[str, Effort]) -> PaperTable:
    """A table of claims whose caption names the tuning behind each objective, or says that there was none."""
    tuned = [
        f"{name}: {len(effort.scores) + effort.failed} trials of {effort.pairs:,} pairs"
        for name, effort in efforts.items()
    ]
    untuned = sorted(set(objectives) - {*efforts, ZERO_SHOT})
    notes = [f"Tuned on dev: {'; '.join(tuned)}."] * bool(tuned)
    notes += [f"Not tuned: {', '.join(untuned)}."] * bool(untuned)
    return replace(table, caption=" ".join([table.caption, *notes]))
