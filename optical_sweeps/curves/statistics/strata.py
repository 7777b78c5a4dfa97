"""A study of several budgets, backbones or protocols, taken apart into those that a curve can show.

A curve varies x and the seed. Every other column of `table.COLUMNS` that differs between runs sets runs apart:
each combination is a stratum with a `Study` of its own, which refuses runs that differ in none of them.
Zero-shot runs have no budget or protocol and stand in every stratum of their data and backbone. A stratum may
lack runs of a sweep that goes on; then what it holds is compared.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.tables.result_tables import COLUMNS, OF_TRAINING, ZERO_SHOT, plain
from optical_sweeps.errors import UserError

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Stratum:
    """Runs that differ in objective, x and seed alone.

    Args:
        facts: what sets them apart from the others of the study; empty where nothing does.
        folder: for file names; no two strata of a study share one.
    """

    facts: Mapping[str, Any]
    study: Study
    folder: str

    @property
    def name(self) -> str:
        """For people: `backbone xlm-roberta-base, total 32000`."""
        return ", ".join(f"{column} {value}" for column, value in self.facts.items())

    @property
    def points(self) -> int:
        """Values of x."""
        trained = self.study.rows[self.study.rows["objective"] != ZERO_SHOT]
        return int(trained[self.study.x].nunique())


def strata(
    per_query: "pandas.DataFrame", groups: Mapping[str, Sequence[str]], x: str = "ratio", **options: Any
) -> tuple[Stratum, ...]:
    """The strata of a per-query table, in the order of their facts.

    >>> import pandas
    >>> rows = [(f"{b} {r}", "optical", b, r, 1, "ar", "q", r) for b in (10, 20) for r in (0.0, 1.0)]
    >>> names = ["run", "objective", "total", "ratio", "seed", "language", "query_id", "value"]
    >>> table = pandas.DataFrame(rows, columns=names).assign(split="test", measure="nDCG@10")
    >>> [stratum.name for stratum in strata(table, {}, replicates=10)]
    ['total 10', 'total 20']

    Args:
        x: the swept variable; runs without it (of another protocol) are left out.
        options: of `Study`.

    Raises:
        UserError: no rows; no run has x; what `Study` refuses.
    """
    if per_query.empty:
        raise UserError("no run logged queries of this measure and split; choose a measure and split they hold")
    runs = per_query.drop_duplicates("run")
    apart = [name for name in COLUMNS if name in runs and name not in ("objective", "seed", x)]
    trained = runs[(runs["objective"] != ZERO_SHOT) & runs[x].notna()]
    if trained.empty:
        raise UserError(f"x: no run has a {x}; choose another x, such as ratio, multiple or total")
    keys = {
        run: tuple(plain(value) for value in row)
        for run, *row in trained[["run", *apart]].itertuples(index=False)
    }
    zero = runs[runs["objective"] == ZERO_SHOT]
    of_all = [place for place, name in enumerate(apart) if name not in OF_TRAINING]
    zero_keys = {
        run: tuple(plain(row[place]) for place in of_all)
        for run, *row in zero[["run", *apart]].itertuples(index=False)
    }
    found = sorted(set(keys.values()), key=_sortable)
    differ = [place for place in range(len(apart)) if len({key[place] for key in found}) > 1]
    whole = len(found) == 1 and len(keys) + len(zero_keys) == len(runs)
    facts = [{apart[place]: _whole(key[place]) for place in differ} for key in found]
    made = []
    for key, own_facts, folder in zip(found, facts, _folders(facts), strict=True):
        members = {run for run, own in keys.items() if own == key}
        members |= {run for run, own in zero_keys.items() if own == tuple(key[place] for place in of_all)}
        rows = per_query if whole and len(members) == len(runs) else per_query[per_query["run"].isin(members)]
        made.append(Stratum(own_facts, Study(rows, groups, x=x, **options), folder))
    return tuple(made)


def _folders(facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of a path its last part; all of it where two strata would else have one name.

    >>> _folders([{"backbone": "org/large"}, {"backbone": "org/small"}])
    ['backbone-large', 'backbone-small']
    >>> _folders([{"backbone": "a/last"}, {"backbone": "b/last"}])
    ['backbone-a-last', 'backbone-b-last']
    """
    names: list[str] = []
    for last in (True, False):
        words = [
            "_".join(f"{column}-{_last(value) if last else value}" for column, value in of.items())
            for of in facts
        ]
        names = [re.sub(r"[^\w.=-]+", "-", word) for word in words]
        if len(set(names)) == len(names):
            return names
    return [f"{name}-{number}" for number, name in enumerate(names, start=1)]


def _last(path: Any) -> str:
    return str(path).rsplit("/", 1)[-1]


def _whole(value: Any) -> Any:
    """2000.0, as a column with gaps has it, is 2000."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _sortable(key: tuple[Any, ...]) -> list[tuple[bool, float, str]]:
    """Numbers by size, then words; what is not there last."""
    return [
        (value is None, float(value) if isinstance(value, int | float) else 0.0, str(value)) for value in key
    ]
