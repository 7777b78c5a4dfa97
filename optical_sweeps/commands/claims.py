"""`claims`: which objective is better where, which are equivalent, and where the lead changes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig
from rich.console import Console

from optical_sweeps.checks import number_between, one_of, positive_number, strings, whole_number
from optical_sweeps.console import echo, progress
from optical_sweeps.errors import UserError, leave_on_user_error
from optical_sweeps.report.study_logs import (
    check,
    chosen,
    missing_lines,
    output_folder,
    place,
    read,
    write_paper_table,
)
from optical_sweeps.runs.spec.run_spec import resolved

if TYPE_CHECKING:
    import pandas

    from optical_sweeps.curves.statistics.strata import Stratum
    from optical_sweeps.curves.tables.paper_table import PaperTable
    from optical_sweeps.tracking.run_log import RunLog


WIDE = 240
"""Columns that a table may take; a terminal of fewer wraps its lines, and cuts nothing."""


@leave_on_user_error
def run(config: DictConfig) -> None:
    """Hydra's task: read the logs, test, print the tables, write them, and say where."""
    from optical_sweeps.curves.statistics.study_tables import terminal_paper_table
    from optical_sweeps.curves.tables.result_tables import per_query_table, result_table

    settings = resolved(config)
    check(settings)
    check_claims(settings)
    runs, output = read(settings), output_folder(settings, "claims")
    per_query = per_query_table(runs, measures=[settings["measure"]], splits=[settings["split"]])
    with progress("tests"):
        found = tables_of(study_parts(per_query, runs, settings), settings)
    for table in (found.claims, found.crossings):
        if table.rows:
            Console(width=WIDE, soft_wrap=True).print(terminal_paper_table(table))
            echo(table.caption)
            echo()
    echo(f"from {len(runs)} runs in {place(settings)}")
    for stem, table in (("claims", found.claims), ("crossings", found.crossings)):
        for path in write_paper_table(table, output / stem):
            echo(f"  {path}")
    for line in missing_lines(settings, runs, result_table(runs)):
        echo(line)


@dataclass(frozen=True)
class ClaimsTables:
    """What a study may claim, as tables."""

    claims: "PaperTable"
    crossings: "PaperTable"


def check_claims(settings: Mapping[str, Any]) -> None:
    """Refuse what cannot be, before anything is read.

    Raises:
        UserError: a bad value; its key is named.
    """
    from optical_sweeps.curves.claims.pairwise_claims import TESTS

    one_of("test", settings["test"], TESTS)
    positive_number("margin", settings["margin"])
    if not 0 < number_between("alpha", settings["alpha"], 0.0, 1.0) < 1:
        raise UserError(f"alpha: {settings['alpha']} must lie between 0 and 1")
    whole_number("draws", settings["draws"], least=1)
    if settings["slices"] is not None:
        strings("slices", settings["slices"])
    for pair in _list("pairs", settings["pairs"]):
        if len(strings("pairs", pair)) != 2:
            raise UserError(f"pairs: {pair!r} is not two objectives; write [[optical, contrastive]]")
    for x in _list("at", settings["at"]):
        number_between("at", x, 0.0, float("inf"))


def study_parts(
    per_query: "pandas.DataFrame", runs: Sequence["RunLog"], settings: Mapping[str, Any], x: str | None = None
) -> tuple["Stratum", ...]:
    """The study's strata along x, by default that of the settings."""
    from optical_sweeps.curves.statistics.strata import strata
    from optical_sweeps.curves.tables.result_tables import language_groups

    return strata(
        chosen(per_query, settings["where"]),
        language_groups(runs),
        x or settings["x"],
        **{name: settings[name] for name in ("measure", "split", "replicates", "confidence", "seed")},
    )


def tables_of(parts: Sequence["Stratum"], settings: Mapping[str, Any]) -> ClaimsTables:
    """Tests and crossings of all strata, corrected together."""
    from optical_sweeps.curves.claims.stratified_claims import (
        claims_of,
        claims_of_all_table,
        crossings_of_all,
        crossings_of_all_table,
    )

    pairs = settings["pairs"]
    found = claims_of(
        parts,
        None if pairs is None else [(first, second) for first, second in pairs],
        settings["slices"],
        x=None if settings["at"] is None else [float(x) for x in settings["at"]],
        **{name: settings[name] for name in ("test", "margin", "alpha", "draws", "seed")},
    )
    crossings = crossings_of_all(parts, found)
    table = claims_of_all_table(parts, found)
    notes = _left_out(parts, settings["slices"]) + _too_few_draws(len(table.rows), settings)
    return ClaimsTables(replace(table, caption=table.caption + notes), crossings_of_all_table(parts, crossings))


def _left_out(parts: Sequence["Stratum"], slices: Sequence[str] | None) -> str:
    """Slices that were not asked about and why, with their strata where it is not all."""
    from optical_sweeps.curves.claims.pairwise_claims import slices_asked

    where: dict[str, list[str]] = {}
    for part in parts:
        for slice, why in slices_asked(part.study, slices).items():
            if why:
                where.setdefault(f"{slice} ({why})".replace("group:", ""), []).append(part.name)
    words = [
        text if len(names) == len(parts) else f"{text} in {' and '.join(names)}"
        for text, names in where.items()
    ]
    return f" Left out: {'; '.join(words)}." if words else ""


def _too_few_draws(comparisons: int, settings: Mapping[str, Any]) -> str:
    """No p-value of drawn assignments is below 1 / (draws + 1), and Holm multiplies it by the comparisons."""
    alpha, draws = settings["alpha"], settings["draws"]
    if settings["test"] != "randomisation" or comparisons < alpha * (draws + 1):
        return ""
    least = math.ceil(comparisons / alpha)
    return f" With {draws} draws none of so many can reach {alpha:g}: set draws={least} or more."


def _list(key: str, value: object) -> list[Any]:
    """A list, or nothing where the setting is null.

    Raises:
        UserError: something else.
    """
    if value is not None and not isinstance(value, list):
        raise UserError(f"{key}: {value!r} is not a list; see `optical-sweeps claims --help`")
    return value or []
