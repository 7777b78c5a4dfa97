"""A study of several budgets, backbones or protocols, divided into strata that a curve can show.

A curve varies x and the seed. Every other column of `COLUMNS` that differs between runs divides them: each
combination of values is a stratum with its own `Study`. Zero-shot runs have no budget or protocol and belong to
every stratum of their data and backbone. While a sweep is incomplete, a stratum may lack runs, and the runs
that it has are compared.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.tables.result_tables import COLUMNS, OF_TRAINING, ZERO_SHOT, Fact, plain
from optical_sweeps.errors import UserError

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Stratum:
    """Runs that differ only in objective, x and seed.

    Args:
        facts: the values that distinguish the stratum from the others; empty if there is only one.
        folder: a folder name, unique among the strata of a study.
    """

    facts: Mapping[str, Fact]
    study: Study
    folder: str

    @property
    def name(self) -> str:
        """Such as `backbone xlm-roberta-base, total 32000`."""
        return ", ".join(f"{column} {value}" for column, value in self.facts.items())

    @property
    def points(self) -> int:
        """The number of values of x."""
        trained = self.study.rows[self.study.rows["objective"] != ZERO_SHOT]
        return int(trained[self.study.x].nunique())


def strata(
    per_query: "pandas.DataFrame",
    groups: Mapping[str, Sequence[str]],
    x: str = "ratio",
    *,
    measure: str = "nDCG@10",
    split: str = "test",
    replicates: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[Stratum, ...]:
    """The strata of a per-query table, sorted by their facts.

    Args:
        x: the swept variable; runs without a value of it (with another protocol) are left out.
        groups, measure, split, replicates, confidence, seed: as for `Study`.

    Raises:
        UserError: no rows; no run has x; see also `Study`.
    """
    if per_query.empty:
        raise UserError("no run logged queries of this measure and split; choose a measure and split they have")
    runs = per_query.drop_duplicates("run")
    columns = [name for name in COLUMNS if name in runs and name not in ("objective", "seed", x)]
    for_zero_shot = [name for name in columns if name not in OF_TRAINING]
    is_zero_shot = runs["objective"] == ZERO_SHOT
    trained = runs[~is_zero_shot & runs[x].notna()]
    if trained.empty:
        raise UserError(f"x: no run has a {x}; choose another x, such as ratio, multiple or total")
    keys, zero_shot_keys = _keys(trained, columns), _keys(runs[is_zero_shot], for_zero_shot)
    distinct = sorted(set(keys.values()), key=_sortable)
    differing = [place for place in range(len(columns)) if len({key[place] for key in distinct}) > 1]
    facts = [{columns[place]: _as_integer(key[place]) for place in differing} for key in distinct]
    parts = []
    for key, part_facts, folder in zip(distinct, facts, _folders(facts), strict=True):
        zero_shot_key = tuple(value for name, value in zip(columns, key, strict=True) if name in for_zero_shot)
        members = {run for run, other in keys.items() if other == key}
        members |= {run for run, other in zero_shot_keys.items() if other == zero_shot_key}
        rows = per_query if len(members) == len(runs) else per_query[per_query["run"].isin(members)]
        study = Study(
            rows, groups, measure=measure, split=split, x=x, replicates=replicates, confidence=confidence,
            seed=seed,
        )  # fmt: skip
        parts.append(Stratum(part_facts, study, folder))
    return tuple(parts)


def _keys(runs: "pandas.DataFrame", columns: Sequence[str]) -> dict[str, tuple[Fact, ...]]:
    """Run -> its values in these columns."""
    rows = runs[["run", *columns]].itertuples(index=False)
    return {run: tuple(plain(value) for value in values) for run, *values in rows}


def _folders(facts: Sequence[Mapping[str, Fact]]) -> list[str]:
    """Folder names with the last part of each path, or the whole path where names would be equal.

    >>> _folders([{"backbone": "org/large"}, {"backbone": "org/small"}])
    ['backbone-large', 'backbone-small']
    >>> _folders([{"backbone": "a/last"}, {"backbone": "b/last"}])
    ['backbone-a-last', 'backbone-b-last']
    """
    short = [{column: str(value).rsplit("/", 1)[-1] for column, value in part.items()} for part in facts]
    names: list[str] = []
    for variant in (short, facts):
        words = ["_".join(f"{column}-{value}" for column, value in part.items()) for part in variant]
        names = [re.sub(r"[^\w.=-]+", "-", word) for word in words]
        if len(set(names)) == len(names):
            return names
    return [f"{name}-{number}" for number, name in enumerate(names, start=1)]


def _as_integer(value: Fact) -> Fact:
    """2000 for 2000.0, which is how a column with gaps stores it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _sortable(key: tuple[Fact, ...]) -> list[tuple[bool, float, str]]:
    """Sorts numbers by value, then text, and missing values last."""
    return [
        (value is None, float(value) if isinstance(value, int | float) else 0.0, str(value)) for value in key
    ]
