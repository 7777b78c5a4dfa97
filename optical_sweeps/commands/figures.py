"""`figures`: every figure and table of a study, from its logs alone, and an index of them."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from optical_sweeps import __version__
from optical_sweeps.checks import positive_number, true_or_false, whole_number
from optical_sweeps.commands.claims import check_claims, study_parts, tables_of
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
from optical_sweeps.runs.run_folder import write_text
from optical_sweeps.runs.spec.run_spec import resolved

if TYPE_CHECKING:
    import pandas

    from optical_sweeps.curves.figures.study_drawings import Drawing
    from optical_sweeps.curves.statistics.strata import Stratum
    from optical_sweeps.curves.tables.paper_table import PaperTable
    from optical_sweeps.tracking.run_log import RunLog

LONGEST = 40
"""A table of more rows is in the index by its name alone."""


@dataclass(frozen=True)
class Made:
    """Something that was written: a figure or a table, with its files.

    Args:
        part: the name of its stratum; empty for what is of the whole study.
    """

    part: str
    name: str
    caption: str
    files: tuple[Path, ...]
    text: str = ""


@leave_on_user_error
def run(config: DictConfig) -> None:
    """Hydra's task: read the logs, draw and write everything, and say where."""
    from optical_sweeps.curves.tables.result_tables import per_query_table, result_table, write_table

    settings = resolved(config)
    check(settings)
    check_claims(settings)
    check_figures(settings)
    runs, output = read(settings), output_folder(settings, "figures")
    per_query = per_query_table(runs, measures=[settings["measure"]], splits=[settings["split"]])
    results = result_table(runs, include_unfinished=settings["unfinished"])
    with progress("figures"):
        made = [*_tables_and_figures(settings, runs, per_query, results, output)]
    made.append(
        Made("", "results", "Every final measure of every run.", write_table(results, output / "results"))
    )
    index = output / "index.md"
    missing = missing_lines(settings, runs, results)
    write_text(index, index_text(made, output, settings, runs, missing))
    echo(f"from {len(runs)} runs in {place(settings)}")
    for path in (index, *(path for one in made for path in one.files)):
        echo(f"  {path}")
    for line in (*(f"  {one.name}: {one.caption}" for one in made if not one.files), *missing):
        echo(line)


def check_figures(settings: Mapping[str, Any]) -> None:
    """Refuse what cannot be, before anything is read.

    Raises:
        UserError: a bad value; its key is named.
    """
    if not isinstance(settings["widths"], dict) or not _widths(settings):
        raise UserError(f"widths: {settings['widths']!r} has no width; set widths.column, in inches")
    for name, value in _widths(settings).items():
        if not 1.5 <= positive_number(f"widths.{name}", value) <= 20:
            raise UserError(f"widths.{name}: {value} inches is not between 1.5 and 20; change it")
    for key in ("budgets", "fits", "baselines"):
        true_or_false(key, settings[key])
    whole_number("plans", settings["plans"], least=0)


def _widths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are not null."""
    return {name: value for name, value in settings["widths"].items() if value is not None}


def _tables_and_figures(
    settings: Mapping[str, Any],
    runs: Sequence["RunLog"],
    per_query: "pandas.DataFrame",
    results: "pandas.DataFrame",
    output: Path,
) -> Iterator[Made]:
    from optical_sweeps.curves.figures.study_drawings import cost_drawing

    parts = study_parts(per_query, runs, settings)
    for part in parts:
        yield from _of_part(settings, runs, part, output, len(parts) > 1)
    yield from _claims(settings, parts, output)
    if settings["budgets"] and settings["x"] != "total":
        yield from _budgets(settings, runs, per_query, output)
    named = chosen(per_query, settings["where"]).drop_duplicates("run")
    objectives = dict(zip(named["run"].tolist(), named["objective"].tolist(), strict=True))
    cost = cost_drawing(runs, objectives, settings["measure"], settings["split"])
    if cost is not None:
        yield _drawn(cost, "", output, settings)
    yield from _robustness(settings, runs, results, output)
    yield from _plans(settings, runs, output)


def _of_part(
    settings: Mapping[str, Any], runs: Sequence["RunLog"], part: "Stratum", output: Path, several: bool
) -> Iterator[Made]:
    """Figures and tables along x of one stratum."""
    from optical_sweeps.curves.figures.curve_figures import slices_of
    from optical_sweeps.curves.figures.published_levels import published_for
    from optical_sweeps.curves.figures.study_drawings import curve_drawings
    from optical_sweeps.curves.laws.study_laws import laws_of
    from optical_sweeps.curves.statistics.study_tables import results_table

    folder, study = output / part.folder if several else output, part.study
    published = published_for(runs, study) if settings["baselines"] else None
    laws = laws_of(study, slices_of(study), seed=settings["seed"]) if settings["fits"] else None
    yield _table("table", results_table(study), part.name, folder)
    if part.points > 1:
        for drawing in curve_drawings(study, laws, published, _pairs(settings, part)):
            yield _drawn(drawing, part.name, folder, settings)
    if laws is not None and laws.undecided:
        yield Made(part.name, "laws", laws.without(), ())
    if laws is not None and laws.fitted:
        fits, choices = laws.tables()
        yield _table("fits", fits, part.name, folder)
        yield _table("choices", choices, part.name, folder)
    if published is not None:
        yield _table("baselines", published.table(), part.name, folder)


def _claims(settings: Mapping[str, Any], parts: Sequence["Stratum"], output: Path) -> Iterator[Made]:
    if not settings["pairs"] and not any(_pairs(settings, part) for part in parts):
        return
    from optical_sweeps.curves.claims.pairwise_claims import NothingToAsk

    try:
        found = tables_of(parts, settings)
    except NothingToAsk as error:
        yield Made("", "claims", f"Not made: {error}.", ())
        return
    yield _table("claims", found.claims, "", output)
    if found.crossings.rows:
        yield _table("crossings", found.crossings, "", output)


def _budgets(
    settings: Mapping[str, Any], runs: Sequence["RunLog"], per_query: "pandas.DataFrame", output: Path
) -> Iterator[Made]:
    """Against the budget, for each stratum in which it was swept."""
    from optical_sweeps.curves.figures.curve_figures import slices_of
    from optical_sweeps.curves.figures.study_drawings import budget_drawing
    from optical_sweeps.curves.laws.study_laws import laws_of

    rows = chosen(per_query, settings["where"])
    if rows["total"].dropna().nunique() < 2:
        return
    for part in study_parts(per_query, runs, settings, x="total"):
        if part.points < 2 or not slices_of(part.study):
            continue
        laws = laws_of(part.study, slices_of(part.study), seed=settings["seed"]) if settings["fits"] else None
        folder = output / "budgets" / part.folder
        yield _drawn(budget_drawing(part.study, laws), part.name, folder, settings)
        if laws is not None and laws.undecided:
            yield Made(part.name, "laws", laws.without(), ())
        if laws is not None and laws.fitted:
            yield _table("fits", laws.tables()[0], part.name, folder)


def _robustness(
    settings: Mapping[str, Any], runs: Sequence["RunLog"], results: "pandas.DataFrame", output: Path
) -> Iterator[Made]:
    """What perturbed queries cost, where the study has them."""
    from optical_sweeps.curves.figures.robustness_figure import draw_robustness
    from optical_sweeps.curves.tables.result_tables import language_groups, per_query_table
    from optical_sweeps.curves.tables.robustness_tables import (
        perturbed_splits,
        robustness_paper_table,
        robustness_table,
    )

    split, measure = settings["split"], settings["measure"]
    perturbed = [name for name in perturbed_splits(results) if name.startswith(f"{split}+")]
    if not perturbed:
        return
    splits = [split, *perturbed]
    wanted = results[results["split"].isin(splits) & (results["measure"] == measure)]
    queries = per_query_table(runs, measures=[measure], splits=splits)
    where = settings["where"]
    frame = robustness_table(chosen(wanted, where), chosen(queries, where), language_groups(runs))
    files = tuple(
        path
        for name, width in _widths(settings).items()
        for path in draw_robustness(frame, output / f"robustness-{name}", float(width))
    )
    caption = f"Loss of {measure} on {split} against the level of each perturbation of the queries."
    yield Made("", "robustness", caption, files)
    yield _table("robustness-table", robustness_paper_table(frame, measure), "", output)


def _plans(settings: Mapping[str, Any], runs: Sequence["RunLog"], output: Path) -> Iterator[Made]:
    """Transport plans that `inspect` left in run folders."""
    from optical_sweeps.curves.figures.plan_figure import draw_plan, kept_plans, read_plan

    folder = settings["sweep"] or settings["dir"]
    kept = [path for run in runs if folder for path in kept_plans(Path(folder, run.id))]
    for number, path in enumerate(kept[: settings["plans"]], start=1):
        plan = read_plan(path)
        files = tuple(
            file
            for name, width in _widths(settings).items()
            for file in draw_plan(
                plan.matrix(),
                plan.student_tokens,
                plan.teacher_tokens,
                output / f"plan-{number}-{name}",
                plan.title,
                float(width),
            )
        )
        caption = f"Transport plan of {path.parents[1].name}: {plan.title}"
        yield Made("", f"plan-{number}", caption, files)


def _pairs(settings: Mapping[str, Any], part: "Stratum") -> list[tuple[str, str]]:
    """The comparisons that are asked for, of which the stratum holds runs."""
    from optical_sweeps.curves.claims.stratified_claims import comparable

    pairs = settings["pairs"]
    return comparable(part.study, None if pairs is None else [(first, second) for first, second in pairs])


def _drawn(drawing: "Drawing", part: str, folder: Path, settings: Mapping[str, Any]) -> Made:
    """A figure at every width; the reason in its place where runs that it needs are not there yet."""
    from optical_sweeps.curves.figures.figure_style import save_figure

    try:
        files = tuple(
            path
            for name, width in _widths(settings).items()
            for path in save_figure(drawing.draw(float(width)), folder / f"{drawing.name}-{name}")
        )
    except UserError as error:
        return Made(part, drawing.name, f"Not drawn: {error}.", ())
    return Made(part, drawing.name, drawing.caption, files)


def _table(name: str, table: "PaperTable", part: str, folder: Path) -> Made:
    files = tuple(write_paper_table(table, folder / name))
    text = table.render("markdown") if len(table.rows) <= LONGEST else ""
    return Made(part, name, table.caption, files, text)


def index_text(
    made: Sequence[Made],
    output: Path,
    settings: Mapping[str, Any],
    runs: Sequence["RunLog"],
    missing: Sequence[str],
) -> str:
    """All that was made, with captions, and where it comes from; the same text for the same logs."""
    lines = [f"# Figures and tables of {settings['sweep'] or place(settings)}", ""]
    lines += [f"**{line}**" if not line.startswith(" ") else f"-{line[1:]}" for line in missing]
    lines += [""] if missing else []
    for part in dict.fromkeys(one.part for one in made):
        lines += [f"## {part or 'The whole study'}", ""]
        for one in made:
            if one.part == part:
                lines += _entry(one, output)
    return "\n".join([*lines, *_provenance(settings, runs)]) + "\n"


def _entry(one: Made, output: Path) -> list[str]:
    paths = [path.relative_to(output).as_posix() for path in one.files]
    shown = [path for path in paths if path.endswith(".png")]
    links = ", ".join(f"[{path}]({path})" for path in paths)
    lines = [f"### {one.name.capitalize()}", ""]
    if shown:
        lines += [f"![{one.name}]({shown[-1]})", ""]
    lines += [one.text] if one.text else [one.caption, ""]
    lines += [links, ""] if links else []
    return lines


def _provenance(settings: Mapping[str, Any], runs: Sequence["RunLog"]) -> list[str]:
    """What the numbers come from; nothing that changes from call to call."""
    digest = hashlib.blake2b("\n".join(sorted(run.id for run in runs)).encode(), digest_size=6).hexdigest()
    versions = sorted({json.dumps(run.code_version, sort_keys=True) for run in runs if run.code_version})
    names = ("measure", "split", "x", "where", "confidence", "replicates", "seed", "test", "margin", "alpha")
    return [
        "## Provenance",
        "",
        f"- Logs: {len(runs)} runs from {place(settings)}; digest of their ids {digest}.",
        *(f"- Code that ran: `{version}`." for version in versions),
        f"- Drawn by optical-sweeps {__version__}: "
        + ", ".join(f"{name} {json.dumps(settings[name])}" for name in names)
        + ".",
    ]
