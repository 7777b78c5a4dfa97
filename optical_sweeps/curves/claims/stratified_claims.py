"""Claims and crossings of all strata of a study."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from optical_sweeps.curves.claims.claims_tables import claims_table, crossings_table
from optical_sweeps.curves.claims.crossings import Crossings, find_crossings
from optical_sweeps.curves.claims.pairwise_claims import Claim, claims, refuse_absent, slices_asked
from optical_sweeps.curves.statistics.strata import Stratum
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.statistics.study_scores import Scores, scores
from optical_sweeps.curves.tables.paper_table import PaperTable
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.significance import holm

if TYPE_CHECKING:
    pass


Pairs = Sequence[tuple[str, str]] | None


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
