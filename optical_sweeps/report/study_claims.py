"""The claims of a study as tables: tests between objectives, and crossings, of all its strata."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from optical_sweeps.report.study_logs import select_rows
from optical_sweeps.report.study_settings import ClaimsSettings

if TYPE_CHECKING:
    import pandas

    from optical_sweeps.curves.claims.pairwise_claims import Claim
    from optical_sweeps.curves.statistics.strata import Stratum
    from optical_sweeps.curves.statistics.tuning_effort import Effort
    from optical_sweeps.curves.tables.paper_table import PaperTable
    from optical_sweeps.tracking.run_log import RunLog


@dataclass(frozen=True)
class ClaimsTables:
    """Tables of claims and of crossings."""

    claims: "PaperTable"
    crossings: "PaperTable"


def study_strata(
    per_query: "pandas.DataFrame", runs: Sequence["RunLog"], settings: ClaimsSettings, x: str | None = None
) -> tuple["Stratum", ...]:
    """The strata of a study.

    Args:
        x: the swept variable; by default that of the settings.
    """
    from optical_sweeps.curves.statistics.strata import strata
    from optical_sweeps.curves.tables.result_tables import language_groups

    return strata(
        select_rows(per_query, settings.where),
        language_groups(runs),
        x or settings.x,
        measure=settings.measure,
        split=settings.split,
        replicates=settings.replicates,
        confidence=settings.confidence,
        seed=settings.seed,
    )


def objectives_of(per_query: "pandas.DataFrame", settings: ClaimsSettings) -> dict[str, str]:
    """Run id -> objective of the selected runs."""
    rows = select_rows(per_query, settings.where).drop_duplicates("run")
    return dict(zip(rows["run"].tolist(), rows["objective"].tolist(), strict=True))


def claims_tables(
    strata: Sequence["Stratum"], settings: ClaimsSettings, efforts: Mapping[str, "Effort"]
) -> ClaimsTables:
    """Tests and crossings of all strata, corrected for multiple testing together.

    Args:
        efforts: the tuning behind each objective that has one.

    Raises:
        UserError: the study cannot answer the questions.
    """
    from optical_sweeps.curves.claims.stratified_claims import (
        claims_of_strata,
        crossings_of_strata,
        strata_claims_table,
        strata_crossings_table,
    )
    from optical_sweeps.curves.statistics.effort_table import with_tuning_note

    claims = claims_of_strata(
        strata,
        settings.pairs,
        settings.slices,
        x=settings.at,
        test=settings.test,
        margin=settings.margin,
        alpha=settings.alpha,
        draws=settings.draws,
        seed=settings.seed,
    )
    table = strata_claims_table(strata, claims)
    notes = _pairs_note(strata, claims, settings)
    notes += _omitted_slices(strata, settings.slices) + _too_few_draws(len(table.rows), settings)
    crossings = strata_crossings_table(strata, crossings_of_strata(strata, claims))
    objectives = {name for stratum in strata for name in stratum.study.objectives}
    table = with_tuning_note(replace(table, caption=table.caption + notes), objectives, efforts)
    return ClaimsTables(table, crossings)


def _pairs_note(
    strata: Sequence["Stratum"], claims: Sequence[Sequence["Claim"]], settings: ClaimsSettings
) -> str:
    """Which pairs the family consists of, in the order of the table."""
    from optical_sweeps.curves.tables.result_tables import pair_label

    pairs = dict.fromkeys((claim.first, claim.second) for part in claims for claim in part)
    if settings.pairs is None:
        names = sorted({name for stratum in strata for name in stratum.study.objectives})
        return f" Pairs: every two of {', '.join(names)} (pairs=null)." if pairs else ""
    texts = [pair_label(first, second) for first, second in pairs]
    return f" Pairs: {', '.join(texts)} (as set by pairs)." if texts else ""


def _omitted_slices(strata: Sequence["Stratum"], slices: Sequence[str] | None) -> str:
    """The slices that were not tested and why, with the names of their strata unless it is all of them."""
    from optical_sweeps.curves.claims.pairwise_claims import slices_to_compare

    strata_of: dict[str, list[str]] = {}
    for stratum in strata:
        for slice, reason in slices_to_compare(stratum.study, slices).items():
            if reason:
                strata_of.setdefault(f"{slice} ({reason})".replace("group:", ""), []).append(stratum.name)
    texts = [
        text if len(names) == len(strata) else f"{text} in {' and '.join(names)}"
        for text, names in strata_of.items()
    ]
    return f" Left out: {'; '.join(texts)}." if texts else ""


def _too_few_draws(comparisons: int, settings: ClaimsSettings) -> str:
    """A note if no comparison can be significant.

    The least p-value is 1 / (draws + 1), and Holm's method multiplies it by the number of comparisons.
    """
    if settings.test != "randomisation" or comparisons < settings.alpha * (settings.draws + 1):
        return ""
    needed = math.ceil(comparisons / settings.alpha)
    return (
        f" With {settings.draws} draws none of so many comparisons can reach {settings.alpha:g}: "
        f"set draws={needed} or more."
    )
