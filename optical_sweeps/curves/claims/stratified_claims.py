"""Claims and crossings of all strata of a study, corrected together."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from optical_sweeps.curves.claims.claims_tables import claims_table, crossings_table
from optical_sweeps.curves.claims.crossings import Crossings, find_crossings
from optical_sweeps.curves.claims.pairwise_claims import (
    Claim,
    check_shared_x,
    claims_of_study,
    slices_to_compare,
)
from optical_sweeps.curves.statistics.contrasts import objective_difference
from optical_sweeps.curves.statistics.strata import Stratum
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.tables.paper_table import PaperTable
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.significance import DRAWS, holm

Pairs = Sequence[tuple[str, str]] | None


def claims_of_strata(
    parts: Sequence[Stratum],
    pairs: Pairs = None,
    slices: Sequence[str] | None = None,
    *,
    x: Sequence[float] | None = None,
    test: str = "randomisation",
    margin: float = 0.01,
    alpha: float = 0.05,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[tuple[Claim, ...], ...]:
    """The claims of every stratum; all of them are one family (Holm), and so are all equivalences.

    Args:
        pairs, x: each stratum compares those that it has; see `comparable_pairs`.
        slices: a stratum in which none of them has enough queries has no claims.
        test, margin, alpha, draws, seed: as for `claims`.

    Raises:
        UserError: no stratum has a pair or an x; see also `claims`.
    """

    def compare(study: Study, own_pairs: Pairs, own_x: Sequence[float] | None) -> tuple[Claim, ...]:
        return claims_of_study(
            study, own_pairs, slices, x=own_x, test=test, margin=margin, alpha=alpha, draws=draws, seed=seed
        )

    pairs_of = [
        [] if all(slices_to_compare(part.study, slices).values()) else comparable_pairs(part.study, pairs, x)
        for part in parts
    ]
    in_no_stratum = [pair for pair in pairs or () if not any(pair in own_pairs for own_pairs in pairs_of)]
    if in_no_stratum or not any(pairs_of):
        compare(parts[0].study, in_no_stratum or pairs, x)  # raises the error that explains why
    by_stratum = [
        compare(part.study, own_pairs, _shared_by_any(part.study, own_pairs, x)) if own_pairs else ()
        for part, own_pairs in zip(parts, pairs_of, strict=True)
    ]
    every = [claim for part_claims in by_stratum for claim in part_claims]
    check_shared_x(x or (), {claim.x for claim in every}, parts[0].study.x)
    p = iter(holm(np.array([claim.p for claim in every])).tolist())
    p_equivalence = iter(holm(np.array([claim.p_equivalence for claim in every])).tolist())
    return tuple(
        tuple(replace(claim, p_holm=next(p), p_equivalence_holm=next(p_equivalence)) for claim in part_claims)
        for part_claims in by_stratum
    )


def comparable_pairs(
    study: Study, pairs: Pairs = None, x: Sequence[float] | None = None
) -> list[tuple[str, str]]:
    """The pairs, by default every two objectives that train, with runs at a shared x and seed.

    Args:
        x: the pair must share one of these; by default, any.
    """
    candidates = list(combinations(study.objectives, 2)) if pairs is None else pairs
    return [pair for pair in candidates if _shared_x(study, *pair, study.languages[0], x)]


def crossings_of_strata(
    parts: Sequence[Stratum], by_stratum: Sequence[Sequence[Claim]]
) -> tuple[tuple[Crossings, ...], ...]:
    """The crossings of every pair and slice with claims, unless the pair shares only one x."""
    crossings = []
    for part, part_claims in zip(parts, by_stratum, strict=True):
        compared = dict.fromkeys((claim.first, claim.second, claim.slice) for claim in part_claims)
        several = [one for one in compared if len(_shared_x(part.study, *one)) > 1]
        crossings.append(tuple(find_crossings(part.study, *one) for one in several))
    return tuple(crossings)


def strata_claims_table(parts: Sequence[Stratum], by_stratum: Sequence[Sequence[Claim]]) -> PaperTable:
    """One row for each claim of every stratum."""
    study = parts[0].study
    tables = [claims_table(part_claims, study.x, study.confidence) for part_claims in by_stratum]
    every = [claim for part_claims in by_stratum for claim in part_claims]
    return joined_tables(parts, tables, claims_table(every, study.x, study.confidence).caption)


def strata_crossings_table(parts: Sequence[Stratum], by_stratum: Sequence[Sequence[Crossings]]) -> PaperTable:
    """One row for each crossing of every stratum."""
    tables = [crossings_table(crossings) for crossings in by_stratum]
    return joined_tables(parts, tables, next((table for table in tables if table.rows), tables[0]).caption)


def joined_tables(parts: Sequence[Stratum], tables: Sequence[PaperTable], caption: str) -> PaperTable:
    """The tables of all strata as one, in which each row begins with the facts of its stratum."""
    names, rows, records = tuple(parts[0].facts), [], []
    for part, table in zip(parts, tables, strict=True):
        rows += [(*map(str, part.facts.values()), *row) for row in table.rows]
        records += [{**part.facts, **record} for record in table.records]
    first = next((table for table in tables if table.rows), tables[0])
    header = (*names, *first.header)
    return PaperTable(header, tuple(rows), len(names) + first.words, caption, tuple(records))


def _shared_x(
    study: Study, first: str, second: str, slice: str, wanted: Sequence[float] | None = None
) -> list[float]:
    """The wanted values of x at which both objectives have runs with a shared seed."""
    try:
        shared = objective_difference(study, first, second, slice).x.tolist()
    except UserError:
        return []
    return [x for x in shared if wanted is None or x in wanted]


def _shared_by_any(study: Study, pairs: Pairs, wanted: Sequence[float] | None) -> list[float] | None:
    """The wanted values of x that any of the pairs shares."""
    if wanted is None:
        return None
    shared = {x for pair in pairs or () for x in _shared_x(study, *pair, study.languages[0])}
    return [x for x in wanted if x in shared]
