"""Robustness of a study: what each perturbation of the queries takes, from which languages, and how surely.

A perturbed split is named `test+typing@0.1` in logs and tables (`table.result_table`). A loss is the value of
the split as it is less the value of the same run, on the same queries, perturbed.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optical_sweeps.curves.tables.paper_table import Cell, PaperTable
from optical_sweeps.curves.tables.result_tables import OF_TRAINING, ZERO_SHOT, plain
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.robustness import loss_error, relative_loss, spread, worst

if TYPE_CHECKING:
    import pandas

NORMAL_95 = 1.96
_NAME = r"^(?P<clean_split>[^+]+)\+(?P<perturbation>[^@]+)@(?P<level>.+)$"
_KEYS = ("split", "perturbation", "level", "measure")
_OF_LOSS = ("clean", "perturbed", "loss", "relative", "error", "sd_seeds", "runs")


def perturbed_splits(table: "pandas.DataFrame") -> list[str]:
    """The perturbed splits of a table, for `per_query_table` to take beside the clean ones."""
    return sorted({split for split in table["split"].unique() if "+" in split})


def robustness_table(
    table: "pandas.DataFrame",
    per_query: "pandas.DataFrame | None" = None,
    groups: Mapping[str, Sequence[str]] | None = None,
) -> "pandas.DataFrame":
    """A row for each setting of a run, perturbation, level, measure and slice; empty without perturbations.

    Columns: those of the settings (`objective`, `ratio`, ...), `split`, `perturbation`, `level`, `measure`,
    `slice`; `clean` and `perturbed` (means over seeds), `loss`, `relative` (loss over clean), `error` (standard
    error of the loss over queries, paired), `sd_seeds` (standard deviation of the loss over seeds), `runs`.

    Args:
        table: of `result_table`.
        per_query: of `per_query_table`, with the clean and the perturbed splits; without it `error` is NaN.
        groups: group -> languages, for the errors of groups.

    Raises:
        UserError: two runs of one setting and seed, such as a plain and a code-switched one.
    """
    import pandas

    settings = _settings(table)
    pairs = _paired(table, "slice")
    keys = [*settings, *_KEYS, "slice"]
    if not len(pairs):
        return pandas.DataFrame(columns=[*keys, *_OF_LOSS])
    _refuse_doubled(pairs, keys)
    found = pairs.groupby(keys, dropna=False, sort=False).agg(
        clean=("clean", "mean"), perturbed=("value", "mean"), loss=("loss", "mean"),
        sd_seeds=("loss", lambda losses: spread(losses.tolist())), runs=("run", "nunique"),
    ).reset_index()  # fmt: skip
    ends = zip(found["clean"], found["perturbed"], strict=True)
    found["relative"] = [relative_loss(clean, perturbed) for clean, perturbed in ends]
    errors = {} if per_query is None else _errors(per_query, settings, groups or {})
    found["error"] = [errors.get(_key(row, keys), math.nan) for _, row in found.iterrows()]
    found = found[[*keys, *_OF_LOSS]]
    return found.sort_values(keys, ignore_index=True, key=lambda c: c if c.name == "level" else c.astype(str))


def robustness_summary(frame: "pandas.DataFrame") -> "pandas.DataFrame":
    """A row for each setting, perturbation, level and measure, from a `robustness_table`.

    Columns: `clean`, `perturbed`, `loss`, `relative`, `error`, `sd_seeds` of all languages; `worst_language`,
    `worst_loss`; `gap_clean` and `gap_perturbed` (high group less low one; NaN without both); `sd_languages`
    (standard deviation of the loss over languages).
    """
    import pandas

    keys = [*_settings(frame), *_KEYS]
    rows = []
    for values, part in frame.groupby(keys, dropna=False, sort=False):
        by_slice = part.set_index("slice")
        languages = by_slice[~by_slice.index.str.startswith("group:")]["loss"].to_dict()
        everyone = by_slice.loc["group:all"]
        language, most = worst({str(name): float(loss) for name, loss in languages.items()})
        rows.append(
            {
                **dict(zip(keys, values, strict=True)),
                **{name: everyone[name] for name in _OF_LOSS if name != "runs"},
                "worst_language": language, "worst_loss": most,
                "gap_clean": _gap(by_slice["clean"]), "gap_perturbed": _gap(by_slice["perturbed"]),
                "sd_languages": spread(list(languages.values())), "runs": everyone["runs"],
            }
        )  # fmt: skip
    return pandas.DataFrame(rows)


def robustness_paper_table(frame: "pandas.DataFrame", measure: str = "nDCG@10") -> PaperTable:
    """A row for each setting, perturbation and level, in Markdown, LaTeX or CSV."""
    summary = robustness_summary(frame)
    shown = _varied(summary)
    kept = summary[summary["measure"] == measure] if len(summary) else summary
    order = ["perturbation", "level", *shown]
    kept = (
        kept.sort_values(order, key=lambda c: c if c.name == "level" else c.astype(str)) if len(kept) else kept
    )
    rows: list[tuple[Cell, ...]] = []
    for _, row in kept.iterrows():
        error = "" if math.isnan(row["error"]) else f" ± {100 * NORMAL_95 * row['error']:.2f}"
        rows.append(
            (
                row["perturbation"],
                f"{row['level']:g}",
                *("" if plain(row[name]) is None else str(plain(row[name])) for name in shown),
                _points(row["clean"]),
                _points(row["perturbed"]),
                f"{_points(row['loss'])}{error}",
                _points(row["relative"]),
                f"{row['worst_language']} {_points(row['worst_loss'])}",
                _points(row["gap_clean"]),
                _points(row["gap_perturbed"]),
                _points(row["sd_seeds"]),
                _points(row["sd_languages"]),
            )
        )
    header = (
        "perturbation", "level", *shown, "clean", "perturbed", "loss", "loss, %", "worst language", "gap",
        "gap perturbed", "s.d. seeds", "s.d. languages",
    )  # fmt: skip
    caption = (
        f"{measure} x 100, mean over languages and seeds, of queries as they are and perturbed; loss with a "
        "95% interval over queries where they are known, paired; the language that loses most; the "
        "high-resource group less the low-resource one; standard deviations of the loss."
    )
    records = tuple({str(key): plain(value) for key, value in row.items()} for _, row in kept.iterrows())
    return PaperTable(header, tuple(rows), 2 + len(shown), caption, records)


def _settings(table: "pandas.DataFrame") -> list[str]:
    """The columns that say what a run was, seeds aside."""
    known = {*_KEYS, *_OF_LOSS, "run", "sweep", "seed", "slice", "language", "query_id", "value"}
    later = {"worst_language", "worst_loss", "gap_clean", "gap_perturbed", "sd_languages"}
    return [str(name) for name in table.columns if name not in known | later]


def _varied(summary: "pandas.DataFrame") -> list[str]:
    """The objective, and settings that differ between runs that train."""
    if not len(summary):
        return ["objective"]
    trained = summary[summary["objective"] != ZERO_SHOT]
    of_all = [name for name in _settings(summary) if name != "objective"]
    return [
        "objective",
        *(
            name
            for name in of_all
            if (trained if name in OF_TRAINING else summary)[name].astype(str).nunique() > 1
        ),
    ]


def _paired(table: "pandas.DataFrame", *within: str) -> "pandas.DataFrame":
    """Perturbed rows with the clean value of the same run and slice (or query); `split` becomes clean."""
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


def _refuse_doubled(pairs: "pandas.DataFrame", keys: Sequence[str]) -> None:
    """What the columns do not tell apart would be averaged as seeds are."""
    apart = [*keys, *({"seed"} & set(pairs.columns))]
    runs = pairs.groupby(apart, dropna=False, sort=False)["run"].agg(["min", "max"])
    for one, other in runs[runs["min"] != runs["max"]].head(1).to_numpy():
        raise UserError(
            f"runs {one} and {other} have the same settings and seed here; choose runs of one study"
        )


def _errors(
    per_query: "pandas.DataFrame", settings: Sequence[str], groups: Mapping[str, Sequence[str]]
) -> dict[tuple[Any, ...], float]:
    """Standard errors of the losses, by settings and perturbation, of every language and group."""
    pairs = _paired(per_query, "language", "query_id")
    keys = [*settings, *_KEYS]
    errors = {}
    for values, part in pairs.groupby(keys, dropna=False, sort=False):
        by_language = dict(_differences(part))
        slices: dict[str, tuple[str, ...]] = {language: (language,) for language in by_language}
        slices |= {f"group:{group}": tuple(members) for group, members in groups.items()}
        point = tuple(plain(value) for value in values)
        for slice, members in slices.items():
            if members and set(members) <= set(by_language):
                errors[(*point, slice)] = loss_error([by_language[language] for language in members])
    return errors


def _differences(part: "pandas.DataFrame") -> Iterator[tuple[str, dict[str, float]]]:
    """By language, each query's loss, averaged over seeds."""
    for language, rows in part.groupby("language"):
        yield (
            str(language),
            {str(query): value for query, value in rows.groupby("query_id")["loss"].mean().items()},
        )


def _key(row: "pandas.Series[Any]", keys: Sequence[str]) -> tuple[Any, ...]:
    return tuple(plain(row[name]) for name in keys)


def _gap(values: "pandas.Series[Any]") -> float:
    if {"group:high", "group:low"} <= set(values.index):
        return float(values["group:high"] - values["group:low"])
    return math.nan


def _points(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:.2f}".replace("-", "−")
