"""Every figure and table of a study, written to a folder with an index."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from optical_sweeps import __version__
from optical_sweeps.errors import UserError
from optical_sweeps.report.study_claims import claims_tables, objectives_of, study_strata
from optical_sweeps.report.study_logs import select_rows, source_text, write_paper_table
from optical_sweeps.report.study_settings import FiguresSettings
from optical_sweeps.terminal_text import count_text

if TYPE_CHECKING:
    import pandas

    from optical_sweeps.curves.figures.study_drawings import Drawing
    from optical_sweeps.curves.laws.study_laws import StudyLaws
    from optical_sweeps.curves.statistics.strata import Stratum
    from optical_sweeps.curves.tables.paper_table import PaperTable
    from optical_sweeps.tracking.run_log import RunLog

MAX_ROWS = 40
"""The index shows a table of more rows by its name only."""


@dataclass(frozen=True)
class IndexEntry:
    """A figure or a table, and its files.

    Args:
        stratum: name of its stratum; empty for the whole study.
        files: empty if it could not be made; the caption then says why.
        text: the table in Markdown.
    """

    stratum: str
    name: str
    caption: str
    files: tuple[Path, ...]
    text: str = ""


@dataclass(frozen=True)
class StudyFigures:
    """Draws the figures and writes the tables of a study.

    Args:
        per_query: values of every query, of the settings' measure and split.
        results: every final measure of every run.
        output: folder of the files.
    """

    settings: FiguresSettings
    runs: Sequence["RunLog"]
    per_query: "pandas.DataFrame"
    results: "pandas.DataFrame"
    output: Path

    def write(self) -> Iterator[IndexEntry]:
        """Draw and write everything, and yield an entry for each figure and table."""
        from optical_sweeps.curves.figures.study_drawings import cost_drawing
        from optical_sweeps.curves.tables.result_tables import write_table

        settings = self.settings
        strata = study_strata(self.per_query, self.runs, settings)
        objectives = objectives_of(self.per_query, settings)
        for stratum in strata:
            folder = self.output / stratum.folder if len(strata) > 1 else self.output
            yield from self._curves(stratum, folder)
        yield from self._claims(strata, objectives)
        if settings.budgets and settings.x != "total":
            yield from self._budgets()
        cost = cost_drawing(self.runs, objectives, settings.measure, settings.split)
        if cost is not None:
            yield self._drawing(cost, "", self.output)
        yield from self._tuning(objectives)
        yield from self._robustness()
        yield from self._plans()
        files = write_table(self.results, self.output / "results")
        yield IndexEntry("", "results", "Every final measure of every run.", tuple(files))

    def _curves(self, stratum: "Stratum", folder: Path) -> Iterator[IndexEntry]:
        """Figures and tables along x of one stratum."""
        from optical_sweeps.curves.figures.published_levels import published_for
        from optical_sweeps.curves.figures.study_drawings import curve_drawings
        from optical_sweeps.curves.statistics.study_tables import results_table

        study, laws = stratum.study, self._laws(stratum)
        published = published_for(self.runs, study) if self.settings.baselines else None
        yield self._searched_table("table", results_table(study), stratum.name, folder)
        if stratum.points > 1:
            for drawing in curve_drawings(study, laws, published, self._pairs(stratum)):
                yield self._drawing(drawing, stratum.name, folder)
        yield from _laws_entries(laws, stratum, folder, ("fits", "choices"))
        if published is not None:
            yield _table("baselines", published.table(), stratum.name, folder)

    def _claims(self, strata: Sequence["Stratum"], objectives: Mapping[str, str]) -> Iterator[IndexEntry]:
        if not self.settings.pairs and not any(self._pairs(stratum) for stratum in strata):
            return
        from optical_sweeps.curves.claims.pairwise_claims import NothingToCompare
        from optical_sweeps.curves.statistics.tuning_effort import efforts_of

        try:
            tables = claims_tables(strata, self.settings, efforts_of(self.runs, objectives))
        except NothingToCompare as error:
            yield IndexEntry("", "claims", f"Not made: {error}.", ())
            return
        yield self._searched_table("claims", tables.claims, "", self.output)
        if tables.crossings.rows:
            yield self._searched_table("crossings", tables.crossings, "", self.output)

    def _budgets(self) -> Iterator[IndexEntry]:
        """Figures against the budget, for each stratum in which it was swept."""
        from optical_sweeps.curves.figures.curve_figures import slices_of
        from optical_sweeps.curves.figures.study_drawings import budget_drawing

        rows = select_rows(self.per_query, self.settings.where)
        if rows["total"].dropna().nunique() < 2:
            return
        for stratum in study_strata(self.per_query, self.runs, self.settings, x="total"):
            if stratum.points < 2 or not slices_of(stratum.study):
                continue
            laws, folder = self._laws(stratum), self.output / "budgets" / stratum.folder
            yield self._drawing(budget_drawing(stratum.study, laws), stratum.name, folder)
            yield from _laws_entries(laws, stratum, folder, ("fits",))

    def _tuning(self, objectives: Mapping[str, str]) -> Iterator[IndexEntry]:
        """The effort behind the objectives' settings, if they were tuned."""
        from optical_sweeps.curves.figures.effort_figure import effort_figure
        from optical_sweeps.curves.figures.study_drawings import Drawing
        from optical_sweeps.curves.statistics.effort_table import effort_caption, effort_table
        from optical_sweeps.curves.statistics.tuning_effort import efforts_of

        efforts = efforts_of(self.runs, objectives)
        if efforts:
            draw = partial(effort_figure, efforts, self.settings.measure)
            yield self._drawing(Drawing("effort", effort_caption(efforts), draw), "", self.output)
            yield _table("effort", effort_table(efforts), "", self.output)

    def _robustness(self) -> Iterator[IndexEntry]:
        """The loss on perturbed queries, if the runs evaluated any."""
        from optical_sweeps.curves.figures.robustness_figure import draw_robustness
        from optical_sweeps.curves.tables.result_tables import language_groups, per_query_table
        from optical_sweeps.curves.tables.robustness_differences import (
            robustness_differences,
            robustness_differences_table,
        )
        from optical_sweeps.curves.tables.robustness_tables import (
            perturbed_splits,
            robustness_paper_table,
            robustness_table,
        )

        split, measure, where = self.settings.split, self.settings.measure, self.settings.where
        perturbed = [name for name in perturbed_splits(self.results) if name.startswith(f"{split}+")]
        if not perturbed:
            return
        splits = [split, *perturbed]
        results = self.results[self.results["split"].isin(splits) & (self.results["measure"] == measure)]
        queries = per_query_table(self.runs, measures=[measure], splits=splits)
        groups = language_groups(self.runs)
        queries = select_rows(queries, where)
        losses = robustness_table(select_rows(results, where), queries, groups)
        files = tuple(
            path
            for name, width in self.settings.figure_widths.items()
            for path in draw_robustness(losses, self.output / f"robustness-{name}", width)
        )
        caption = f"Loss of {measure} on {split} against the level of each perturbation of the queries."
        yield IndexEntry("", "robustness", caption, files)
        yield self._searched_table("robustness-table", robustness_paper_table(losses, measure), "", self.output)
        compared = robustness_differences_table(
            robustness_differences(queries, groups, self.settings.pairs), measure
        )
        if compared.rows:
            yield self._searched_table("robustness-differences", compared, "", self.output)

    def _plans(self) -> Iterator[IndexEntry]:
        """Transport plans that `inspect` wrote into run folders."""
        from optical_sweeps.curves.figures.plan_figure import draw_plan, kept_plans, read_plan

        folder = self.settings.sweep_folder or self.settings.dir
        paths = [path for run in self.runs if folder for path in kept_plans(folder / run.id)]
        for number, path in enumerate(paths[: self.settings.plans], start=1):
            plan = read_plan(path)
            tokens = plan.student_tokens, plan.teacher_tokens
            files = tuple(
                file
                for name, width in self.settings.figure_widths.items()
                for file in draw_plan(
                    plan.matrix(), *tokens, self.output / f"plan-{number}-{name}", plan.title, width
                )
            )
            caption = f"Transport plan of {path.parents[1].name}: {plan.title}"
            yield IndexEntry("", f"plan-{number}", caption, files)

    def _laws(self, stratum: "Stratum") -> "StudyLaws | None":
        from optical_sweeps.curves.figures.curve_figures import slices_of
        from optical_sweeps.curves.laws.study_laws import laws_of

        study = stratum.study
        return laws_of(study, slices_of(study), seed=self.settings.seed) if self.settings.fits else None

    def _pairs(self, stratum: "Stratum") -> list[tuple[str, str]]:
        """The requested comparisons for which the stratum has runs."""
        from optical_sweeps.curves.claims.stratified_claims import comparable_pairs

        return comparable_pairs(stratum.study, self.settings.pairs)

    def _drawing(self, drawing: "Drawing", stratum: str, folder: Path) -> IndexEntry:
        """A figure at every width, or the reason if runs that it needs are missing."""
        from optical_sweeps.curves.figures.figure_style import save_figure

        try:
            files = tuple(
                path
                for name, width in self.settings.figure_widths.items()
                for path in save_figure(drawing.draw(width), folder / f"{drawing.name}-{name}")
            )
        except UserError as error:
            return IndexEntry(stratum, drawing.name, f"Not drawn: {error}.", ())
        return IndexEntry(stratum, drawing.name, drawing.caption + self._search_note, files)

    def _searched_table(self, name: str, table: "PaperTable", stratum: str, folder: Path) -> IndexEntry:
        """A table of measures, with how their rankings were searched."""
        return _table(name, replace(table, caption=table.caption + self._search_note), stratum, folder)

    @cached_property
    def _search_note(self) -> str:
        from optical_sweeps.curves.tables.search_note import search_note

        return search_note((run.config for run in self.runs), self.settings.split)


def _table(name: str, table: "PaperTable", stratum: str, folder: Path) -> IndexEntry:
    files = tuple(write_paper_table(table, folder / name))
    text = table.render("markdown") if len(table.rows) <= MAX_ROWS else ""
    return IndexEntry(stratum, name, table.caption, files, text)


def _laws_entries(
    laws: "StudyLaws | None", stratum: "Stratum", folder: Path, names: Sequence[str]
) -> Iterator[IndexEntry]:
    """The tables of fitted laws, and a note on slices without a fit."""
    if laws is not None and laws.undecided:
        yield IndexEntry(stratum.name, "laws", laws.explain_undecided(), ())
    if laws is not None and laws.fitted:
        for name, table in zip(names, laws.tables(), strict=False):
            yield _table(name, table, stratum.name, folder)


def index_text(
    entries: Sequence[IndexEntry],
    output: Path,
    settings: FiguresSettings,
    runs: Sequence["RunLog"],
    missing: Sequence[str],
) -> str:
    """The index in Markdown: figures and tables with captions, and their provenance.

    The same logs give the same text.

    Args:
        missing: lines about runs without a result.
    """
    lines = [f"# Figures and tables of {settings.sweep_folder or source_text(settings)}", ""]
    lines += [f"**{line}**" if not line.startswith(" ") else f"-{line[1:]}" for line in missing]
    lines += [""] if missing else []
    for stratum in dict.fromkeys(entry.stratum for entry in entries):
        lines += [f"## {stratum or 'The whole study'}", ""]
        for entry in entries:
            if entry.stratum == stratum:
                lines += _entry_lines(entry, output)
    return "\n".join([*lines, *_provenance(settings, runs)]) + "\n"


def _entry_lines(entry: IndexEntry, output: Path) -> list[str]:
    paths = [path.relative_to(output).as_posix() for path in entry.files]
    pictures = [path for path in paths if path.endswith(".png")]
    links = ", ".join(f"[{path}]({path})" for path in paths)
    lines = [f"### {entry.name.capitalize()}", ""]
    if pictures:
        lines += [f"![{entry.name}]({pictures[-1]})", ""]
    lines += [entry.text] if entry.text else [entry.caption, ""]
    lines += [links, ""] if links else []
    return lines


def _provenance(settings: FiguresSettings, runs: Sequence["RunLog"]) -> list[str]:
    """Logs, code versions and settings behind the numbers; nothing that differs between calls."""
    digest = hashlib.blake2b("\n".join(sorted(run.id for run in runs)).encode(), digest_size=6).hexdigest()
    versions = sorted({json.dumps(run.code_version, sort_keys=True) for run in runs if run.code_version})
    names = (
        "measure", "split", "x", "where", "confidence", "replicates", "seed", "pairs", "test", "margin",
        "alpha",
    )  # fmt: skip
    values = ", ".join(f"{name} {json.dumps(getattr(settings, name))}" for name in names)
    return [
        "## Provenance",
        "",
        f"- Logs: {count_text(len(runs), 'run')} from {source_text(settings)}; digest of their ids {digest}.",
        *(f"- Code that ran: `{version}`." for version in versions),
        f"- Drawn by optical-sweeps {__version__}: {values}.",
    ]
