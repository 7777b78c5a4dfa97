"""Tables of claims and crossings."""

from collections.abc import Sequence

from optical_sweeps.curves.claims.crossings import Crossings
from optical_sweeps.curves.claims.pairwise_claims import Claim
from optical_sweeps.curves.tables.paper_table import Cell, Marked, PaperTable, p_value, points


def claims_table(found: Sequence[Claim], x: str = "ratio", confidence: float = 0.95) -> PaperTable:
    """A row for each claim; ▲ and ▼: the first is higher or lower, ≈: equivalent."""
    rows: list[tuple[Cell, ...]] = []
    for claim in found:
        interval = f"{points(claim.low)} to {points(claim.high)}"
        rows.append(
            (
                f"{claim.first} - {claim.second}",
                claim.slice.removeprefix("group:"),
                f"{claim.x:g}",
                points(claim.mean_first, signed=False),
                points(claim.mean_second, signed=False),
                Marked(points(claim.difference), claim.verdict),
                interval,
                p_value(claim.p_holm),
                p_value(claim.p_equivalence_holm),
            )
        )
    one = found[0] if found else None
    caption = (
        f"Differences x 100 with {confidence:.0%} intervals; p-values corrected by Holm's method over "
        f"{len(found)} comparisons; marks at {one.alpha:g}: higher, lower, or equivalent within "
        f"a margin of {one.margin:g}."
        if one
        else "No comparisons."
    )
    header = ("comparison", "slice", x, "first", "second", "difference", "interval", "p", "p equivalence")
    fields = (*Claim.__dataclass_fields__, "verdict")
    records = tuple({name: getattr(claim, name) for name in fields} for claim in found)
    return PaperTable(header, tuple(rows), 2, caption, records)


def crossings_table(found: Sequence[Crossings]) -> PaperTable:
    """A row for each crossing; pairs without one have a row that says so."""
    rows: list[tuple[Cell, ...]] = []
    records = []
    for pair in found:
        start = (f"{pair.first}, {pair.second}", pair.slice.removeprefix("group:"))
        for one in pair.found:
            leader = pair.first if one.upward else pair.second
            rows.append((*start, leader, str(one)))
            records.append(
                {
                    "first": pair.first, "second": pair.second, "slice": pair.slice, "x": one.x,
                    "low": one.low, "high": one.high, "leads_from_here": leader,
                }
            )  # fmt: skip
        if not pair.found:
            leader = "" if pair.leads is None else pair.first if pair.leads else pair.second
            rows.append((*start, leader, "none"))
            records.append(
                {
                    "first": pair.first, "second": pair.second, "slice": pair.slice, "x": None, "low": None,
                    "high": None, "leads_from_here": leader,
                }
            )  # fmt: skip
    x, confidence = (found[0].x_name, found[0].confidence) if found else ("x", 0.95)
    caption = f"Where the lead changes, with {confidence:.0%} intervals; … leaves the range that was run."
    return PaperTable(("objectives", "slice", "leads", f"from {x}"), tuple(rows), 3, caption, tuple(records))
