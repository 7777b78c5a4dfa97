"""Tidy tables of a study: one row per run, split, slice and measure; and one row per query beside it.

A slice is a language (`ar`) or a group of languages (`group:low`), named as in the logs. A split is `dev` or
`test`, or `test+typing@0.1`: test with its queries so perturbed.
"""

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from optical_sweeps.curves.tables.per_query_files import read_queries, stacked
from optical_sweeps.errors import UserError

if TYPE_CHECKING:
    import pandas
    import pyarrow

ZERO_SHOT = "none"
"""The objective of runs that train nothing: a reference level, without ratio, budget or seed."""

COLUMNS: Mapping[str, str] = {
    "objective": "objective",
    "protocol": "mixture",
    "ratio": "mixture.ratio",
    "total": "mixture.total",
    "multiple": "mixture.multiple",
    "high_total": "mixture.high_total",
    "seed": "seed",
    "data": "data",
    "backbone": "backbone",
}
"""Column -> dotted key of the config. Where a key holds a section, the section's name stands for it."""

OF_TRAINING = ("protocol", "ratio", "total", "multiple", "high_total", "seed")
"""Columns that say nothing of a zero-shot run."""

PER_QUERY_FILE = "per_query.parquet"
_NAMES = {"no_distillation": ZERO_SHOT}
_MEASURED = re.compile(r"(?P<split>(?:dev|test)(?:\+[^/]+)?)/(?P<measure>[^/]+)/(?P<slice>[^/]+)")


@runtime_checkable
class LoggedRun(Protocol):
    """What is needed of a run's log; `optical_sweeps.tracking.run_log.RunLog` is one."""

    @property
    def id(self) -> str: ...
    @property
    def config(self) -> dict[str, Any]: ...
    @property
    def summary(self) -> dict[str, Any]: ...
    @property
    def files(self) -> dict[str, Path]: ...
    @property
    def group(self) -> str: ...
    @property
    def complete(self) -> bool: ...


def result_table(
    runs: Iterable[LoggedRun], columns: Mapping[str, str] = COLUMNS, *, include_unfinished: bool = False
) -> "pandas.DataFrame":
    """Final measures: columns `run`, `sweep`, those of `columns`, `split`, `slice`, `measure`, `value`.

    Rows are in an order that depends on their content alone.
    """
    rows = [
        {
            **facts,
            "split": match["split"],
            "slice": match["slice"],
            "measure": match["measure"],
            "value": value,
        }
        for run in runs
        if run.complete or include_unfinished
        for facts in [_facts(run, columns)]
        for key, value in run.summary.items()
        if (match := _MEASURED.fullmatch(key)) and isinstance(value, int | float)
    ]
    return _frame(rows, ["run", "sweep", *columns, "split", "slice", "measure", "value"])


def per_query_table(
    runs: Iterable[LoggedRun],
    columns: Mapping[str, str] = COLUMNS,
    *,
    measures: Sequence[str] = ("nDCG@10",),
    splits: Sequence[str] = ("test",),
) -> "pandas.DataFrame":
    """Measures of every query of every finished run; columns `language` and `query_id` in place of `slice`.

    Raises:
        UserError: a finished run has no per-query file, or one without the columns; the run is named.
    """
    import pandas

    finished = [run for run in runs if run.complete]
    order = ["run", "sweep", *columns, "split", "language", "query_id", "measure", "value"]
    if not finished:
        return pandas.DataFrame(columns=order)
    tables = [_queries_of(run, measures, splits) for run in finished]
    rows = [_facts(run, columns) for run in finished]
    facts = {name: [row[name] for row in rows] for name in ("run", "sweep", *columns)}
    # a column with gaps keeps the values of the others as they are
    gaps = {name: None in values for name, values in facts.items()}
    return stacked(
        tables,
        pandas.DataFrame(
            {
                name: pandas.Series(values, dtype=object if gaps[name] else None)
                for name, values in facts.items()
            }
        ),
    )[order]


def missing_points(
    table: "pandas.DataFrame", axes: Mapping[str, Sequence[Any]] | None = None
) -> list[dict[str, Any]]:
    """Grid points without a run: every combination of the axes' values less those in the table.

    Args:
        table: a `result_table` (or per-query table).
        axes: column -> wanted values. By default the product of the values seen of objective, ratio (or
            multiple), budget and seed. A zero-shot objective is one point, whatever the other axes.
    """
    seen = table.drop_duplicates("run") if len(table) else table
    if axes is None:
        names = [name for name in ("objective", *OF_TRAINING) if name in seen and seen[name].notna().any()]
        trained = seen[seen["objective"] != ZERO_SHOT]
        axes = {name: sorted(trained[name].dropna().unique().tolist()) for name in names if len(trained)}
    present = {tuple(plain(row[name]) for name in axes) for _, row in seen.iterrows()}
    wanted = dict.fromkeys(_grid_point(axes, values) for values in itertools.product(*axes.values()))
    return [
        {name: value for name, value in zip(axes, point, strict=True) if value is not None}
        for point in wanted
        if point not in present and axes
    ]


def describe_missing(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each missing grid point.

    >>> describe_missing([{"objective": "optical", "ratio": 0.5, "seed": 1}])
    ['missing: objective=optical ratio=0.5 seed=1']
    """
    return ["missing: " + " ".join(f"{name}={value}" for name, value in point.items()) for point in points]


def language_groups(runs: Iterable[LoggedRun]) -> dict[str, tuple[str, ...]]:
    """Group -> languages, as the runs' configs say under `languages`; `all` is every language.

    Raises:
        UserError: the runs' groups differ, or no run names any.
    """
    found: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {}
    for run in runs:
        languages = run.config.get("languages") or {}
        groups = {name: tuple(members) for name, members in languages.items() if isinstance(members, list)}
        if groups:
            found.setdefault(repr(sorted(groups.items())), (run.id, groups))
    if len(found) != 1:
        examples = ", ".join(run for run, _ in found.values())
        reason = f"the groups of {examples} differ; name runs of one study" if found else "no run names any"
        raise UserError(f"languages: {reason}")
    ((_, groups),) = found.values()
    return {**groups, "all": tuple(itertools.chain.from_iterable(groups.values()))}


def write_table(table: "pandas.DataFrame", stem: Path) -> tuple[Path, Path]:
    """Write `<stem>.parquet` and `<stem>.csv`, each whole or not at all."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    parquet, csv = stem.with_name(f"{stem.name}.parquet"), stem.with_name(f"{stem.name}.csv")
    temporary = stem.with_name(f".{stem.name}.tmp")
    table.to_parquet(temporary, index=False)
    temporary.replace(parquet)
    table.to_csv(temporary, index=False, lineterminator="\n")
    temporary.replace(csv)
    return parquet, csv


def _facts(run: LoggedRun, columns: Mapping[str, str]) -> dict[str, Any]:
    facts: dict[str, Any] = {"run": run.id, "sweep": run.group}
    facts |= {column: _config_value(run.config, key) for column, key in columns.items()}
    if facts.get("objective") == ZERO_SHOT:
        facts |= {column: None for column in OF_TRAINING if column in facts}
    return facts


def _config_value(config: Mapping[str, Any], dotted_key: str) -> Any:
    value: Any = config
    for part in dotted_key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return _name(value) if isinstance(value, Mapping) else value


def _name(section: Mapping[str, Any]) -> str | None:
    """A section's own `name`, or that of the class it builds, in snake case.

    >>> _name({"_target_": "optical_sweeps.corpora.mixture.FixedTotal", "ratio": 0.5})
    'fixed_total'
    """
    if isinstance(section.get("name"), str):
        return str(section["name"])
    target = str(section.get("_target_", "")).rpartition(".")[2]
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", target).lower()
    return _NAMES.get(name, name) or None


def _frame(rows: Sequence[Mapping[str, Any]], order: Sequence[str]) -> "pandas.DataFrame":
    import pandas

    table = pandas.DataFrame(rows, columns=list(order))
    for column in order:
        if column not in ("value", "ratio", "multiple"):
            table[column] = _with_missing_values(table[column])
    keys = [name for name in order if name != "value"]
    return table.sort_values(keys, ignore_index=True, key=lambda column: column.astype(str))


def _with_missing_values(column: "pandas.Series[Any]") -> "pandas.Series[Any]":
    """Whole numbers stay whole beside missing ones."""
    values = column.dropna().tolist()
    whole = values and all(isinstance(value, int) and not isinstance(value, bool) for value in values)
    return column.astype("Int64") if whole else column


def _queries_of(run: LoggedRun, measures: Sequence[str], splits: Sequence[str]) -> "pyarrow.Table":
    path = run.files.get(PER_QUERY_FILE)
    if path is None:
        raise UserError(f"run {run.id}: its log holds no {PER_QUERY_FILE}; run that point again")
    try:
        return read_queries(path, splits, measures)
    except (OSError, ValueError, KeyError) as error:
        first = next(iter(str(error).splitlines()), "")
        raise UserError(f"{path}: not a per-query table ({first}); run that point again") from error


def _grid_point(axes: Mapping[str, Sequence[Any]], values: Sequence[Any]) -> tuple[Any, ...]:
    point = dict(zip(axes, values, strict=True))
    if point.get("objective") == ZERO_SHOT:
        point |= {name: None for name in OF_TRAINING if name in point}
    return tuple(plain(value) for value in point.values())


def plain(value: Any) -> Any:
    """A value that compares with others: no NaN, no pandas NA, numbers as Python's."""
    import pandas

    if value is None or value is pandas.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if hasattr(value, "item") else value
