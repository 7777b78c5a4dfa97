"""`inspect`: draw the plan of a sentence pair, compute alignment error, and describe token vectors."""

from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from optical_sweeps.commands.arguments import text_or_line
from optical_sweeps.console import echo, progress
from optical_sweeps.corpora.languages import chosen_language
from optical_sweeps.errors import UserError
from optical_sweeps.inspection.inspect_settings import InspectSettings
from optical_sweeps.runs.finished_run import check_source
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.settings import build, from_root

if TYPE_CHECKING:
    from optical_sweeps.curves.tables.paper_table import PaperTable


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--pair", metavar="TEXT", help="a sentence in the student's language; - reads a line")
    parser.add_argument("--english", metavar="TEXT", help="the English translation of --pair; - reads a line")


def run(config: DictConfig, run: Path | None, pair: str | None = None, english: str | None = None) -> None:
    """Load the encoders, do each requested inspection, and print the paths."""
    content = {**resolved(config), "run": run}
    settings = from_root(InspectSettings, content)
    check_source(content)
    texts = _texts(pair, english, settings)
    with progress("loading"):
        from optical_sweeps.inspection.alignment_error import alignment_table
        from optical_sweeps.inspection.pair_plan import SentencePair, write_pair_plan
        from optical_sweeps.inspection.run_aligner import aligner_of
        from optical_sweeps.runs.distillation.query_encoders import load_encoders

    encoders = load_encoders(content)
    solver = build("solver", content["solver"]) if content.get("solver") else None
    known = encoders.spec.languages.all if encoders.spec else tuple(encoders.corpus.languages)
    language = settings.language
    languages = known if language is None else (chosen_language("language", language, known),)
    output = settings.output or (run or Path()) / "inspect"
    if texts is not None or settings.row is not None:
        if texts is not None:
            sentences = SentencePair.of_texts(*texts, language)
        else:
            sentences = SentencePair.of_row(encoders.corpus, languages[0], settings.row or 0)
        title = f"{encoders.name}: {language or 'pair'}"
        _echo_paths(write_pair_plan(sentences, aligner_of(encoders, language, solver), title, output))
    if settings.alignment:
        aligners = {name: aligner_of(encoders, name, solver) for name in languages}
        _write_table(alignment_table(settings, encoders.corpus, aligners), output / "alignment")
    if settings.report:
        from optical_sweeps.curves.figures.encoder_spectra import draw_spectra
        from optical_sweeps.curves.tables.encoder_report import report_table
        from optical_sweeps.inspection.encoder_statistics import encoder_statistics

        reports = encoder_statistics(encoders, languages, settings.pairs)
        _write_table(report_table(reports), output / "encoder")
        _echo_paths(draw_spectra(reports, output / "spectra"))


def _texts(pair: str | None, english: str | None, settings: InspectSettings) -> tuple[str, str] | None:
    """The texts of `--pair` and `--english`.

    Raises:
        UserError: one of them is missing, a row is given as well, or nothing is to be inspected.
    """
    if pair is None and english is None:
        if settings.row is None and not settings.alignment and not settings.report:
            raise UserError(
                "nothing to inspect; give --pair TEXT --english TEXT, row=N language=NAME, alignment=true or "
                "report=true"
            )
        return None
    if pair is None or english is None:
        raise UserError("--pair, --english: give both, a sentence and its translation")
    if settings.row is not None:
        raise UserError("--pair, row: give one of them")
    return text_or_line("--pair", pair), text_or_line("--english", english)


def _write_table(table: "PaperTable", stem: Path) -> None:
    from optical_sweeps.report.study_logs import write_paper_table

    echo(table.render("markdown"))
    _echo_paths(write_paper_table(table, stem))


def _echo_paths(paths: Iterable[Path]) -> None:
    for path in paths:
        echo(f"  {path}")
