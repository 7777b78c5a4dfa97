"""Tables of claims and of crossings."""

from collections.abc import Sequence

from optical_sweeps.curves.claims.crossings import Crossings
from optical_sweeps.curves.claims.pairwise_claims import Claim
from optical_sweeps.curves.tables.paper_table import (
    Cell,
    Marked,
    PaperTable,
    margin_text,
    p_value,
    points,
    sign,
)
from optical_sweeps.curves.tables.result_tables import objective_label, pair_label
from optical_sweeps.terminal_text import count_text


def claims_table(claims: Sequence[Claim], x: str = "ratio", confidence: float = 0.95) -> PaperTable:
    """One row for each claim; ▲ and ▼: the first is higher or lower, ≈: the two are equivalent."""
    rows: list[tuple[Cell, ...]] = [
        (
            pair_label(claim.first, claim.second), claim.slice.removeprefix("group:"), f"{claim.x:g}",
            points(claim.mean_first, signed=False), points(claim.mean_second, signed=False),
            Marked(points(claim.difference), claim.verdict), f"{points(claim.low)} to {points(claim.high)}",
            p_value(claim.p_holm), p_value(claim.p_equivalence_holm),
        )
        for claim in claims
    ]  # fmt: skip
    caption = _claims_caption(claims, confidence) if claims else "No comparisons."
    header = ("comparison", "slice", x, "first", "second", "difference", "interval", "p", "p equivalence")
    fields = (*Claim.__dataclass_fields__, "verdict")
    records = tuple({name: getattr(claim, name) for name in fields} for claim in claims)
    return PaperTable(header, tuple(rows), 2, caption, records)


def _claims_caption(claims: Sequence[Claim], confidence: float) -> str:
    alpha, count = claims[0].alpha, len(claims)
    return (
        f"Scores and differences (first minus second) in points, x 100, with {confidence:.0%} intervals. The "
        f"p-values and the marks are corrected by Holm's method over {count_text(count, 'comparison')}; "
        "the intervals are not corrected. p: of no difference; p equivalence: of a difference as large as the "
        f"margin. Marks at {alpha:g}: {sign('higher')} the first is higher, {sign('lower')} lower, "
        f"{sign('equivalent')} both are equivalent within a margin of {margin_text(claims[0].margin)}; no "
        "mark: undecided."
    )


def crossings_table(pairs: Sequence[Crossings]) -> PaperTable:
    """One row for each crossing, and one row for each pair without a crossing."""
    rows: list[tuple[Cell, ...]] = []
    records = []
    for pair in pairs:
        for crossing in pair.found or (None,):
            leader = pair.leader if crossing is None else pair.leader_after(crossing)
            group = pair.slice.removeprefix("group:")
            pair_text = f"{objective_label(pair.first)}, {objective_label(pair.second)}"
            rows.append((pair_text, group, objective_label(leader), str(crossing or "no crossing")))
            records.append(
                {
                    "first": pair.first, "second": pair.second, "slice": pair.slice,
                    "x": crossing and crossing.x, "low": crossing and crossing.low,
                    "high": crossing and crossing.high, "leads_from_here": leader,
                }
            )  # fmt: skip
    x, confidence = (pairs[0].x_name, pairs[0].confidence) if pairs else ("x", 0.95)
    caption = (
        f"Where the lead changes along {x}, with {confidence:.0%} intervals, which are not corrected for the "
        f"number of comparisons. leads: the objective that is higher above that {x} or, without a crossing, on "
        f"average. …: beyond the values of {x}; anywhere: the interval covers all of them."
    )
    return PaperTable(("objectives", "slice", "leads", f"from {x}"), tuple(rows), 3, caption, tuple(records))
