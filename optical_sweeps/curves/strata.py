"""A study of several budgets, backbones or protocols, taken apart into those that a curve can show.

A curve varies x and the seed. Every other column of `table.COLUMNS` that differs between runs sets runs apart:
each combination is a stratum with a `Study` of its own, which refuses runs that differ in none of them.
Zero-shot runs have no budget or protocol and stand in every stratum of their data and backbone. A stratum may
lack runs of a sweep that goes on; then what it holds is compared.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from optical_sweeps.curves.bootstrap import Study
from optical_sweeps.curves.claims import Claim, claims, refuse_absent, slices_asked
from optical_sweeps.curves.crossings import Crossings, find_crossings
from optical_sweeps.curves.paper_tables import PaperTable, claims_table, crossings_table
from optical_sweeps.curves.scores import Scores, scores
from optical_sweeps.curves.table import COLUMNS, OF_TRAINING, ZERO_SHOT, plain
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.significance import holm

if TYPE_CHECKING:
    import pandas

Pairs = Sequence[tuple[str, str]] | None


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


def claims_of(
    parts: Sequence[Stratum],
    pairs: Pairs = None,
    slices: Sequence[str] | None = None,
    *,
    x: Sequence[float] | None = None,
    **options: Any,
) -> tuple[tuple[Claim, ...], ...]:
    """The claims of every stratum; all of them are one family (Holm), and so are all equivalences.

    Args:
        pairs, x: in each stratum those that it holds are compared, `comparable`.
        slices, options: of `claims`; a stratum without slices to ask about has no claims.

    Raises:
        UserError: a pair or an x that no stratum holds; what `claims` refuses.
    """
    held = [
        [] if all(slices_asked(part.study, slices).values()) else comparable(part.study, pairs, x)
        for part in parts
    ]
    nowhere = [pair for pair in pairs or () if not any(pair in here for here in held)]
    if nowhere or not any(held):
        claims(parts[0].study, nowhere or pairs, slices, x=x, **options)  # says what is wrong
    found = [
        claims(part.study, here, slices, x=_held(part.study, here, x), **options) if here else ()
        for part, here in zip(parts, held, strict=True)
    ]
    every = [claim for of_one in found for claim in of_one]
    refuse_absent(x or (), {claim.x for claim in every}, parts[0].study.x)
    p = iter(holm(np.array([claim.p for claim in every])).tolist())
    same = iter(holm(np.array([claim.p_equivalence for claim in every])).tolist())
    return tuple(
        tuple(replace(claim, p_holm=next(p), p_equivalence_holm=next(same)) for claim in of_one)
        for of_one in found
    )


def comparable(study: Study, pairs: Pairs = None, x: Sequence[float] | None = None) -> list[tuple[str, str]]:
    """Those of the pairs, by default every two that train, of which the study holds runs at one x and seed.

    Args:
        x: at one of these; by default, at any.
    """
    asked = list(combinations(study.objectives, 2)) if pairs is None else pairs
    return [pair for pair in asked if _shared(study, *pair, study.languages[0], x)]


def crossings_of_all(
    parts: Sequence[Stratum], found: Sequence[Sequence[Claim]]
) -> tuple[tuple[Crossings, ...], ...]:
    """Where the lead changes between the objectives that claims are of; none where they share one x."""
    return tuple(
        tuple(
            find_crossings(part.study, *asked)
            for asked in _asked(of_one)
            if len(_shared(part.study, *asked)) > 1
        )
        for part, of_one in zip(parts, found, strict=True)
    )


def claims_of_all_table(parts: Sequence[Stratum], found: Sequence[Sequence[Claim]]) -> PaperTable:
    """A row for each claim of every stratum."""
    study = parts[0].study
    tables = [claims_table(of_one, study.x, study.confidence) for of_one in found]
    every = claims_table([claim for of_one in found for claim in of_one], study.x, study.confidence)
    return joined(parts, tables, every.caption)


def crossings_of_all_table(parts: Sequence[Stratum], found: Sequence[Sequence[Crossings]]) -> PaperTable:
    """A row for each crossing of every stratum."""
    return joined(parts, [crossings_table(of_one) for of_one in found])


def joined(parts: Sequence[Stratum], tables: Sequence[PaperTable], caption: str | None = None) -> PaperTable:
    """Tables of strata as one, in which each row begins with its stratum's facts."""
    names = tuple(parts[0].facts)
    rows = [
        (*map(str, part.facts.values()), *row)
        for part, table in zip(parts, tables, strict=True)
        for row in table.rows
    ]
    records = [
        {**part.facts, **record} for part, table in zip(parts, tables, strict=True) for record in table.records
    ]
    first = next((table for table in tables if table.rows), tables[0])
    return PaperTable(
        (*names, *first.header), tuple(rows), len(names) + first.words, caption or first.caption, tuple(records)
    )


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


def _difference(study: Study, first: str, second: str, slice: str) -> Scores | None:
    """None where there are no runs to compare."""
    try:
        return scores(study, first, slice).less(scores(study, second, slice))
    except UserError:
        return None


def _shared(
    study: Study, first: str, second: str, slice: str, wanted: Sequence[float] | None = None
) -> list[float]:
    """Values of x, of those that are wanted, at which there are runs to compare."""
    difference = _difference(study, first, second, slice)
    points = [] if difference is None else difference.x.tolist()
    return [x for x in points if wanted is None or x in wanted]


def _held(study: Study, pairs: Pairs, wanted: Sequence[float] | None) -> list[float] | None:
    """Those of the wanted x at which a pair has runs to compare."""
    if wanted is None:
        return None
    there = {x for pair in pairs or () for x in _shared(study, *pair, study.languages[0])}
    return [x for x in wanted if x in there]


def _asked(found: Iterable[Claim]) -> list[tuple[str, str, str]]:
    return list(dict.fromkeys((claim.first, claim.second, claim.slice) for claim in found))


def _sortable(key: tuple[Any, ...]) -> list[tuple[bool, float, str]]:
    """Numbers by size, then words; what is not there last."""
    return [
        (value is None, float(value) if isinstance(value, int | float) else 0.0, str(value)) for value in key
    ]
