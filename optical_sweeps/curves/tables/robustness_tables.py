"""Robustness of a study: how much each perturbation of the queries costs, in which languages, and how surely.

A perturbed split is named `test+typing@0.1` in logs and tables. The loss is the value of a run on the
unperturbed split, minus its value on the same queries perturbed.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from optical_sweeps.curves.tables.paper_table import Cell, PaperTable, points
from optical_sweeps.curves.tables.result_tables import OF_TRAINING, ZERO_SHOT, Fact, objective_label, plain
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.robustness import loss_error, relative_loss, spread, worst

if TYPE_CHECKING:
    import pandas

NORMAL_95 = 1.96
_NAME = r"^(?P<clean_split>[^+]+)\+(?P<perturbation>[^@]+)@(?P<level>.+)$"
LOSS_KEYS = ("split", "perturbation", "level", "measure")
"""Columns that name a loss, besides its setting and its slice or query."""
_OF_LOSS = ("clean", "perturbed", "loss", "relative", "error", "sd_seeds", "runs")


def perturbed_splits(table: "pandas.DataFrame") -> list[str]:
    """The perturbed splits of a table, as `per_query_table` takes them."""
    return sorted({split for split in table["split"].unique() if "+" in split})


def robustness_table(
    table: "pandas.DataFrame",
    per_query: "pandas.DataFrame | None" = None,
    groups: Mapping[str, Sequence[str]] | None = None,
) -> "pandas.DataFrame":
    """One row for each setting, perturbation, level, measure and slice; empty without perturbations.

    Columns: those of the settings (`objective`, `ratio`, ...), `split`, `perturbation`, `level`, `measure`,
    `slice`; `clean` and `perturbed` (means over seeds), `loss`, `relative` (loss divided by clean), `error`
    (standard error of the loss, paired by query), `sd_seeds` (standard deviation of the loss over seeds) and
    `runs`.

    Args:
        table: from `result_table`.
        per_query: from `per_query_table`, with the unperturbed and the perturbed splits; without it, `error`
            is NaN.
        groups: group -> languages, for the errors of groups.

    Raises:
        UserError: two runs have the same setting and seed, such as a plain and a code-switched run.
    """
    import pandas

    settings = setting_columns(table)
    pairs = paired_losses(table, "slice")
    keys = [*settings, *LOSS_KEYS, "slice"]
    if not len(pairs):
        return pandas.DataFrame(columns=[*keys, *_OF_LOSS])
    _refuse_duplicates(pairs, keys)
    losses = pairs.groupby(keys, dropna=False, sort=False).agg(
        clean=("clean", "mean"), perturbed=("value", "mean"), loss=("loss", "mean"),
        sd_seeds=("loss", lambda values: spread(values.tolist())), runs=("run", "nunique"),
    ).reset_index()  # fmt: skip
    both = zip(losses["clean"], losses["perturbed"], strict=True)
    losses["relative"] = [relative_loss(clean, perturbed) for clean, perturbed in both]
    errors = {} if per_query is None else _errors(per_query, settings, groups or {})
    rows = losses[keys].itertuples(index=False)
    losses["error"] = [errors.get(tuple(map(plain, row)), math.nan) for row in rows]
    losses = losses[[*keys, *_OF_LOSS]]
    return losses.sort_values(keys, ignore_index=True, key=_sort_key)


def robustness_summary(frame: "pandas.DataFrame") -> "pandas.DataFrame":
    """One row for each setting, perturbation, level and measure of a `robustness_table`.

    Columns: `clean`, `perturbed`, `loss`, `relative`, `error`, `sd_seeds` over all languages; `loss_high`,
    `error_high`, `loss_low`, `error_low` (NaN without the group); `worst_language`, `worst_loss`; `gap_clean`
    and `gap_perturbed` (high-resource group minus low-resource group; NaN without both); `sd_languages`
    (standard deviation of the loss over languages).
    """
    import pandas

    keys = [*setting_columns(frame), *LOSS_KEYS]
    rows = []
    for values, part in frame.groupby(keys, dropna=False, sort=False):
        by_slice = part.set_index("slice")
        languages = by_slice[~by_slice.index.str.startswith("group:")]["loss"].to_dict()
        overall = by_slice.loc["group:all"]
        language, loss = worst({str(name): float(value) for name, value in languages.items()})
        rows.append(
            {
                **dict(zip(keys, values, strict=True)),
                **{name: overall[name] for name in _OF_LOSS if name != "runs"},
                "worst_language": language, "worst_loss": loss,
                **_group_losses(by_slice),
                "gap_clean": _gap(by_slice, "clean"), "gap_perturbed": _gap(by_slice, "perturbed"),
                "sd_languages": spread(list(languages.values())), "runs": overall["runs"],
            }
        )  # fmt: skip
    return pandas.DataFrame(rows)


def robustness_paper_table(frame: "pandas.DataFrame", measure: str = "nDCG@10") -> PaperTable:
    """One row for each setting, perturbation and level."""
    summary = robustness_summary(frame)
    settings = _varied(summary)
    if len(summary):
        summary = summary[summary["measure"] == measure]
        summary = summary.sort_values(["perturbation", "level", *settings], key=_sort_key)
    rows: list[tuple[Cell, ...]] = []
    for _, row in summary.iterrows():
        facts = (plain(row[name]) for name in settings)
        words = ("" if fact is None else objective_label(str(fact)) for fact in facts)
        rows.append(
            (
                row["perturbation"], f"{row['level']:g}", *words,
                _points(row["clean"]), _points(row["perturbed"]), _loss(row["loss"], row["error"]),
                _points(row["relative"]), _loss(row["loss_high"], row["error_high"]),
                _loss(row["loss_low"], row["error_low"]),
                f"{row['worst_language']} {_points(row['worst_loss'])}",
                _points(row["gap_clean"]), _points(row["gap_perturbed"]), _points(row["sd_seeds"]),
                _points(row["sd_languages"]),
            )
        )  # fmt: skip
    header = (
        "perturbation", "level", *settings, "clean", "perturbed", "loss", "loss, %", "loss, high", "loss, low",
        "worst language", "gap", "gap perturbed", "s.d. seeds", "s.d. languages",
    )  # fmt: skip
    caption = (
        f"{measure} x 100 on unperturbed and on perturbed queries, mean over languages and seeds; the loss has "
        "half the width of its 95% interval over queries (±, paired) where per-query scores are available, and "
        "is also given in % of the unperturbed measure; worst language: the one "
        "with the largest loss; gap: high-resource minus low-resource languages; s.d.: standard deviations of "
        "the loss."
    )
    records = tuple({str(key): plain(value) for key, value in row.items()} for _, row in summary.iterrows())
    return PaperTable(header, tuple(rows), 2 + len(settings), caption, records)


def setting_columns(table: "pandas.DataFrame") -> list[str]:
    """The columns that describe the setting of a run, without its seed."""
    others = {*LOSS_KEYS, *_OF_LOSS, "run", "sweep", "seed", "slice", "language", "query_id", "value"}
    others |= {"worst_language", "worst_loss", "gap_clean", "gap_perturbed", "sd_languages"}
    others |= {"loss_high", "error_high", "loss_low", "error_low"}
    return [str(name) for name in table.columns if name not in others]


def _varied(summary: "pandas.DataFrame") -> list[str]:
    """The objective, and the settings that differ between runs that train."""
    if not len(summary):
        return ["objective"]
    trained = summary[summary["objective"] != ZERO_SHOT]
    rows = {name: trained if name in OF_TRAINING else summary for name in setting_columns(summary)}
    varied = [name for name, part in rows.items() if part[name].astype(str).nunique() > 1]
    return ["objective", *(name for name in varied if name != "objective")]


def _sort_key(column: "pandas.Series[float]") -> "pandas.Series[float] | pandas.Series[str]":
    return column if column.name == "level" else column.astype(str)


def paired_losses(table: "pandas.DataFrame", *within: str) -> "pandas.DataFrame":
    """Perturbed rows with the clean value of the same run and slice (or query); `split` is the clean one."""
    names = table["split"].astype(str).str.extract(_NAME)
    perturbed = table[names["perturbation"].notna()].drop(columns="split")
    names = names.loc[perturbed.index]
    perturbed = perturbed.assign(
        split=names["clean_split"], perturbation=names["perturbation"], level=names["level"].astype(float)
    )
    keys = ["run", "split", "measure", *within]
    clean = table[[*keys, "value"]].rename(columns={"value": "clean"})
    pairs = perturbed.merge(clean, on=keys)
    return pairs.assign(loss=pairs["clean"] - pairs["value"])


def _refuse_duplicates(pairs: "pandas.DataFrame", keys: Sequence[str]) -> None:
    """Runs with the same settings would be averaged as if they were seeds."""
    seeds = [name for name in ("seed",) if name in pairs.columns]
    runs = pairs.groupby([*keys, *seeds], dropna=False, sort=False)["run"].agg(["min", "max"])
    for first, second in runs[runs["min"] != runs["max"]].head(1).to_numpy():
        raise UserError(f"runs {first} and {second} have the same settings and seed; choose runs of one study")


def _errors(
    per_query: "pandas.DataFrame", settings: Sequence[str], groups: Mapping[str, Sequence[str]]
) -> dict[tuple[Fact, ...], float]:
    """Standard errors of the losses by settings, perturbation and slice."""
    pairs = paired_losses(per_query, "language", "query_id")
    errors = {}
    for values, part in pairs.groupby([*settings, *LOSS_KEYS], dropna=False, sort=False):
        by_language = query_means(part, "loss")
        slices: dict[str, Sequence[str]] = {language: (language,) for language in by_language}
        slices |= {f"group:{group}": members for group, members in groups.items()}
        for slice, members in slices.items():
            if members and set(members) <= set(by_language):
                error = loss_error([by_language[language] for language in members])
                errors[(*map(plain, values), slice)] = error
    return errors


def query_means(losses: "pandas.DataFrame", column: str) -> dict[str, dict[str, float]]:
    """Language -> query id -> mean of a column over runs."""
    return {
        str(language): {str(query): value for query, value in rows.groupby("query_id")[column].mean().items()}
        for language, rows in losses.groupby("language")
    }


def _gap(by_slice: "pandas.DataFrame", column: str) -> float:
    if {"group:high", "group:low"} <= set(by_slice.index):
        values = by_slice[column].astype(float)
        return float(values["group:high"] - values["group:low"])
    return math.nan


def _group_losses(by_slice: "pandas.DataFrame") -> dict[str, float]:
    """Loss and error of the high- and the low-resource group."""
    losses = {}
    for group in ("high", "low"):
        exists = f"group:{group}" in by_slice.index
        for column in ("loss", "error"):
            values = by_slice[column].astype(float)
            losses[f"{column}_{group}"] = float(values[f"group:{group}"]) if exists else math.nan
    return losses


def _loss(loss: float, error: float) -> str:
    """A loss with half of its 95% interval, if its error is known."""
    return _points(loss) + ("" if math.isnan(error) else f" ± {100 * NORMAL_95 * error:.2f}")


def _points(value: float) -> str:
    return "" if math.isnan(value) else points(value, signed=False)
