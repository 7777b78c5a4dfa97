"""Tables of claims and of crossings."""

from collections.abc import Sequence

from optical_sweeps.curves.claims.crossings import Crossings
from optical_sweeps.curves.claims.pairwise_claims import Claim
from optical_sweeps.curves.tables.paper_table import Cell, Marked, PaperTable, p_value, points


def claims_table(claims: Sequence[Claim], x: str = "ratio", confidence: float = 0.95) -> PaperTable:
    """One row for each claim; ▲ and ▼: the first is higher or lower, ≈: the two are equivalent."""
    rows: list[tuple[Cell, ...]] = [
        (
            f"{claim.first} - {claim.second}", claim.slice.removeprefix("group:"), f"{claim.x:g}",
            points(claim.mean_first, signed=False), points(claim.mean_second, signed=False),
            Marked(points(claim.difference), claim.verdict), f"{points(claim.low)} to {points(claim.high)}",
            p_value(claim.p_holm), p_value(claim.p_equivalence_holm),
        )
        for claim in claims
    ]  # fmt: skip
    caption = "No comparisons."
    if claims:
        caption = (
            f"Differences x 100 with {confidence:.0%} intervals; p-values corrected by Holm's method over "
            f"{len(claims)} comparisons; marks at {claims[0].alpha:g}: higher, lower, or equivalent within "
            f"a margin of {claims[0].margin:g}."
        )
    header = ("comparison", "slice", x, "first", "second", "difference", "interval", "p", "p equivalence")
    fields = (*Claim.__dataclass_fields__, "verdict")
    records = tuple({name: getattr(claim, name) for name in fields} for claim in claims)
    return PaperTable(header, tuple(rows), 2, caption, records)


def crossings_table(pairs: Sequence[Crossings]) -> PaperTable:
    """One row for each crossing, and one row for each pair without a crossing."""
    rows: list[tuple[Cell, ...]] = []
    records = []
    for pair in pairs:
        for crossing in pair.found or (None,):
            leader = pair.leader if crossing is None else pair.leader_after(crossing)
            group = pair.slice.removeprefix("group:")
            rows.append((f"{pair.first}, {pair.second}", group, leader, str(crossing or "none")))
            records.append(
                {
                    "first": pair.first, "second": pair.second, "slice": pair.slice,
                    "x": crossing and crossing.x, "low": crossing and crossing.low,
                    "high": crossing and crossing.high, "leads_from_here": leader,
                }
            )  # fmt: skip
    x, confidence = (pairs[0].x_name, pairs[0].confidence) if pairs else ("x", 0.95)
    caption = f"Where the lead changes, with {confidence:.0%} intervals; … means beyond the values of {x}."
    return PaperTable(("objectives", "slice", "leads", f"from {x}"), tuple(rows), 3, caption, tuple(records))
