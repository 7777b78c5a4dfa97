"""Tidy tables of a study: one row per run, split, slice and measure, and one row per query.

A slice is a language (`ar`) or a group of languages (`group:low`), named as in the logs. A split is `dev`,
`test`, or a perturbed split such as `test+typing@0.1`.
"""

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import numpy

from optical_sweeps.atomic_files import replacing
from optical_sweeps.curves.tables.per_query_files import read_per_query, stacked
from optical_sweeps.errors import UserError, first_line
from optical_sweeps.spreadsheets import without_formula

if TYPE_CHECKING:
    import pandas
    import pyarrow

Fact = str | int | float | None
"""A value of a run's config that a table holds."""

ZERO_SHOT = "none"
"""The objective of runs without training. They are a reference level without ratio, budget or seed."""

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
"""Column -> dotted key of the config. A key of a section gives the section's name."""

ZERO_SHOT_LABEL = "zero-shot"
"""How tables and figures for people name `ZERO_SHOT`."""

OF_TRAINING = ("protocol", "ratio", "total", "multiple", "high_total", "seed")
"""Columns that are empty for a zero-shot run."""

PER_QUERY_FILE = "per_query.parquet"
_RESULT = re.compile(r"(?P<split>(?:dev|test)(?:\+[^/]+)?)/(?P<measure>[^/]+)/(?P<slice>[^/]+)")


@runtime_checkable
class LoggedRun(Protocol):
    """The log of a run, such as `optical_sweeps.tracking.run_log.RunLog`."""

    @property
    def id(self) -> str: ...
    @property
    def config(self) -> Mapping[str, object]: ...
    @property
    def summary(self) -> Mapping[str, object]: ...
    @property
    def files(self) -> Mapping[str, Path]: ...
    @property
    def group(self) -> str: ...
    @property
    def complete(self) -> bool: ...


def result_table(runs: Iterable[LoggedRun], *, include_unfinished: bool = False) -> "pandas.DataFrame":
    """Final measures, with columns `run`, `sweep`, those of `COLUMNS`, `split`, `slice`, `measure`, `value`.

    The order of the rows depends on their content only.
    """
    import pandas

    rows = [
        {**_facts(run), **match.groupdict(), "value": value}
        for run in runs
        if run.complete or include_unfinished
        for key, value in run.summary.items()
        if (match := _RESULT.fullmatch(key)) and isinstance(value, int | float)
    ]
    keys = ["run", "sweep", *COLUMNS, "split", "slice", "measure"]
    table = pandas.DataFrame(rows, columns=[*keys, "value"])
    for column in keys:
        values = table[column].dropna().tolist()
        is_whole = values and all(isinstance(value, int) and not isinstance(value, bool) for value in values)
        if is_whole and column not in ("ratio", "multiple"):
            table[column] = table[column].astype("Int64")  # integers that allow missing values
    return table.sort_values(keys, ignore_index=True, key=lambda column: column.astype(str))


def per_query_table(
    runs: Iterable[LoggedRun], *, measures: Sequence[str] = ("nDCG@10",), splits: Sequence[str] = ("test",)
) -> "pandas.DataFrame":
    """Measures of every query of every finished run, with columns `language` and `query_id` for `slice`.

    Raises:
        UserError: a finished run has no per-query file, or the file has other columns.
    """
    import pandas

    finished = [run for run in runs if run.complete]
    order = ["run", "sweep", *COLUMNS, "split", "language", "query_id", "measure", "value"]
    if not finished:
        return pandas.DataFrame(columns=order)
    tables = [_queries_of(run, measures, splits) for run in finished]
    rows = [_facts(run) for run in finished]
    facts = {column: [row[column] for row in rows] for column in rows[0]}
    # with gaps, integers need the dtype object to stay integers
    dtypes = {column: object if None in values else None for column, values in facts.items()}
    columns = {column: pandas.Series(values, dtype=dtypes[column]) for column, values in facts.items()}
    return stacked(tables, pandas.DataFrame(columns))[order]


def missing_points(table: "pandas.DataFrame") -> list[dict[str, Fact]]:
    """Grid points without a run: the product of the values in the table, without the points in the table.

    The axes are the objective and the columns of training that have values. A zero-shot objective is one
    point.
    """
    runs = table.drop_duplicates("run")
    trained = runs[runs["objective"] != ZERO_SHOT]
    axes = [name for name in ("objective", *OF_TRAINING) if trained[name].notna().any()]
    present = {tuple(plain(row[name]) for name in axes) for _, row in runs.iterrows()}
    values = (sorted(trained[name].dropna().unique().tolist()) for name in axes)
    points = (tuple(plain(value) for value in point) for point in itertools.product(*values))
    return [dict(zip(axes, point, strict=True)) for point in points if axes and point not in present]


def describe_missing(points: Sequence[Mapping[str, object]]) -> list[str]:
    """One line for each missing grid point.

    >>> describe_missing([{"objective": "optical", "ratio": 0.5, "seed": 1}])
    ['missing: objective=optical ratio=0.5 seed=1']
    """
    return ["missing: " + " ".join(f"{name}={value}" for name, value in point.items()) for point in points]


def language_groups(runs: Iterable[LoggedRun]) -> dict[str, tuple[str, ...]]:
    """Group -> languages, from `languages` in the runs' configs; `all` holds every language.

    Raises:
        UserError: there are no runs, their groups differ, or none has any.
    """
    variants: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {}
    runs = list(runs)
    for run in runs:
        languages = run.config.get("languages")
        sections = languages.items() if isinstance(languages, Mapping) else ()
        groups = {str(name): tuple(members) for name, members in sections if isinstance(members, list)}
        if groups:
            variants.setdefault(repr(sorted(groups.items())), (run.id, groups))
    if len(variants) != 1:
        examples = ", ".join(run for run, _ in variants.values())
        if variants:
            raise UserError(f"languages: the groups of {examples} differ; choose runs of one study")
        raise UserError(
            "languages: none of the runs has groups of languages in its config; choose runs of a study"
            if runs
            else "languages: there are no runs; choose a folder or a project that has some"
        )
    ((_, groups),) = variants.values()
    return {**groups, "all": tuple(itertools.chain.from_iterable(groups.values()))}


def objective_label(objective: str) -> str:
    """The name of an objective for people.

    >>> objective_label("none"), objective_label("optical")
    ('zero-shot', 'optical')
    """
    return ZERO_SHOT_LABEL if objective == ZERO_SHOT else objective


def pair_label(first: str, second: str) -> str:
    """The name of a difference for people.

    >>> pair_label("optical", "none")
    'optical - zero-shot'
    """
    return f"{objective_label(first)} - {objective_label(second)}"


def write_table(table: "pandas.DataFrame", stem: Path) -> tuple[Path, Path]:
    """Write `<stem>.parquet` and `<stem>.csv`, each atomically."""
    parquet, csv = stem.with_name(f"{stem.name}.parquet"), stem.with_name(f"{stem.name}.csv")
    with replacing(parquet) as temporary:
        table.to_parquet(temporary, index=False)
    with replacing(csv) as temporary:
        _without_formulas(table).to_csv(temporary, index=False, lineterminator="\n")
    return parquet, csv


def _without_formulas(table: "pandas.DataFrame") -> "pandas.DataFrame":
    texts = {name: table[name].map(without_formula) for name in table.select_dtypes(exclude="number").columns}
    return table.assign(**texts)


def plain(value: object) -> Fact:
    """A value as Python's own type, so that values compare: NaN and pandas' NA become None."""
    import pandas

    if value is None or value is pandas.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    fact = value.item() if isinstance(value, numpy.generic) else value
    return cast(Fact, fact)


def _facts(run: LoggedRun) -> dict[str, Fact]:
    facts: dict[str, Fact] = {"run": run.id, "sweep": run.group}
    facts |= {column: _config_value(run.config, key) for column, key in COLUMNS.items()}
    if facts["objective"] == ZERO_SHOT:
        facts |= dict.fromkeys(OF_TRAINING)
    return facts


def _config_value(config: Mapping[str, object], dotted_key: str) -> Fact:
    value: object = config
    for part in dotted_key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return _section_name(value) if isinstance(value, Mapping) else plain(value)


def _section_name(section: Mapping[str, object]) -> str | None:
    """The `name` of a config section, or the name of the class that it builds, in snake case.

    >>> _section_name({"_target_": "optical_sweeps.corpora.mixture.FixedTotal", "ratio": 0.5})
    'fixed_total'
    """
    if isinstance(section.get("name"), str):
        return str(section["name"])
    target = str(section.get("_target_", "")).rpartition(".")[2]
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", target).lower()
    return ZERO_SHOT if name == "no_distillation" else name or None


def _queries_of(run: LoggedRun, measures: Sequence[str], splits: Sequence[str]) -> "pyarrow.Table":
    path = run.files.get(PER_QUERY_FILE)
    if path is None:
        raise UserError(f"run {run.id}: its log has no {PER_QUERY_FILE}; execute that run again")
    try:
        return read_per_query(path, splits, measures)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: not a per-query table ({first_line(error)}); execute that run again"
        ) from error
