"""Which of two objectives loses less when queries are perturbed, and how surely."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from optical_sweeps.curves.tables.paper_table import Cell, Marked, PaperTable, p_value, points, sign
from optical_sweeps.curves.tables.result_tables import ZERO_SHOT, pair_label, plain
from optical_sweeps.curves.tables.robustness_tables import (
    LOSS_KEYS,
    NORMAL_95,
    paired_losses,
    query_means,
    setting_columns,
)
from optical_sweeps.evaluation.robustness import loss_error
from optical_sweeps.evaluation.significance import holm
from optical_sweeps.terminal_text import count_text

if TYPE_CHECKING:
    import pandas

Pair = tuple[str, str]


def robustness_differences(
    per_query: "pandas.DataFrame",
    groups: Mapping[str, Sequence[str]],
    chosen: Sequence[Pair] | None = None,
) -> "pandas.DataFrame":
    """One row for each setting, perturbation, level, pair of objectives and group of languages.

    Columns: those of the settings without the objective, `split`, `perturbation`, `level`, `measure`, `first`,
    `second`, `slice`; `difference` (loss of the first minus loss of the second, on the same queries, mean over
    the seeds that both have), `low` and `high` (95% interval over queries), `p` (two-sided, normal), `p_holm`
    (corrected over all rows), and `seeds`.

    Args:
        per_query: from `per_query_table`, with the unperturbed and the perturbed splits.
        groups: group -> languages.
        chosen: pairs of objectives; by default every two that train.
    """
    import pandas

    losses = paired_losses(per_query, "language", "query_id")
    names = sorted(set(losses["objective"]) - {ZERO_SHOT})
    rows = [
        row
        for first, second in (combinations(names, 2) if chosen is None else chosen)
        for row in _pair_rows(losses, first, second, groups)
    ]
    if rows:
        corrected = holm(np.array([row["p"] for row in rows], dtype=float))
        rows = [{**row, "p_holm": float(p)} for row, p in zip(rows, corrected, strict=True)]
    return pandas.DataFrame(rows)


def _pair_rows(
    losses: "pandas.DataFrame", first: str, second: str, groups: Mapping[str, Sequence[str]]
) -> list[dict[str, object]]:
    settings = [name for name in setting_columns(losses) if name != "objective"]
    keys = [*settings, *LOSS_KEYS]
    shared = [*keys, "seed", "language", "query_id"]
    left, right = (losses[losses["objective"] == name][[*shared, "loss"]] for name in (first, second))
    both = left.merge(right, on=shared, suffixes=("_first", "_second"))
    both = both.assign(difference=both["loss_first"] - both["loss_second"])
    rows: list[dict[str, object]] = []
    for values, part in both.groupby(keys, dropna=False, sort=True):
        by_language = query_means(part, "difference")
        setting = dict(zip(keys, map(plain, values), strict=True))
        for group, members in groups.items():
            if not members or not set(members) <= set(by_language):
                continue
            samples = [by_language[language] for language in members]
            mean = math.fsum(math.fsum(one.values()) / len(one) for one in samples) / len(samples)
            error = loss_error(samples)
            rows.append(
                {
                    **setting, "first": first, "second": second, "slice": f"group:{group}", "difference": mean,
                    "low": mean - NORMAL_95 * error, "high": mean + NORMAL_95 * error,
                    "p": _two_sided(mean, error), "seeds": part["seed"].nunique(),
                }
            )  # fmt: skip
    return rows


def _two_sided(difference: float, error: float) -> float:
    """p-value of the normal distribution; without spread, a difference is certain, and 1 if unknown."""
    if math.isnan(error):
        return 1.0
    if not error:
        return float(not difference)
    return math.erfc(abs(difference) / error / math.sqrt(2))


def robustness_differences_table(frame: "pandas.DataFrame", measure: str = "nDCG@10") -> PaperTable:
    """One row for each row of `robustness_differences`; ▲ and ▼: the first loses more or less."""
    header = ("perturbation", "level", "comparison", "slice", "difference of losses", "interval", "p", "seeds")
    records = [] if frame.empty else frame[frame["measure"] == measure].to_dict("records")
    rows: list[tuple[Cell, ...]] = [
        (
            row["perturbation"], f"{row['level']:g}", pair_label(row["first"], row["second"]),
            row["slice"].removeprefix("group:"),
            Marked(points(row["difference"]), _verdict(row["difference"], row["p_holm"])),
            f"{points(row['low'])} to {points(row['high'])}", p_value(row["p_holm"]), str(row["seeds"]),
        )
        for row in records
    ]  # fmt: skip
    caption = (
        f"Loss of {measure} x 100 of the first objective minus that of the second, on the same perturbed "
        "queries, mean over seeds; 95% intervals over queries, which hold for these runs and are not corrected "
        f"for the number of comparisons; p-values and marks corrected by Holm's method over "
        f"{count_text(len(rows), 'comparison')}; marks at .05: {sign('higher')} the first loses more, "
        f"{sign('lower')} less."
    )
    plain_records = tuple({str(key): plain(value) for key, value in row.items()} for row in records)
    return PaperTable(header, tuple(rows), 4, caption, plain_records)


def _verdict(difference: float, p: float) -> str:
    if p >= 0.05:
        return ""
    return "higher" if difference > 0 else "lower"
