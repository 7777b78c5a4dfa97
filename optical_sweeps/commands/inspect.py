"""`inspect`: the plan of a sentence pair as a picture, alignment error on gold alignments, token vectors."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig

from optical_sweeps.checks import number_between, one_of, true_or_false, whole_number
from optical_sweeps.console import echo, progress
from optical_sweeps.corpora.settings import check_pattern
from optical_sweeps.errors import UserError, leave_on_user_error
from optical_sweeps.runs.spec.run_spec import resolved
from optical_sweeps.settings import build

if TYPE_CHECKING:
    from optical_sweeps.curves.tables.encoder_report import EncoderReport
    from optical_sweeps.curves.tables.paper_table import PaperTable
    from optical_sweeps.inspection.token_alignment import Aligner
    from optical_sweeps.objectives.optical import Optical
    from optical_sweeps.runs.distillation.query_encoders import Encoders

CENTRING_TEXTS = 256
"""English texts of the bitext whose mean vector stands for that of training's batches."""


@leave_on_user_error
def run(config: DictConfig) -> None:
    """Hydra's task: load the encoders, do each look that is asked for, and say where it lies."""
    from optical_sweeps.inspection.alignment_error import alignment_table
    from optical_sweeps.runs.distillation.query_encoders import load_encoders

    settings = resolved(config)
    _check(settings)
    encoders = load_encoders(settings)
    languages = _languages(settings, encoders)
    output = Path(settings["output"] or Path(settings["run"] or "", "inspect"))
    if settings["pair"] is not None or settings["row"] is not None:
        _say_all(_plan(settings, encoders, output))
    if settings["alignment"]:
        table = alignment_table(settings, encoders, _aligners(settings, encoders, languages))
        _write_table(table, output / "alignment")
    if settings["report"]:
        from optical_sweeps.curves.figures.encoder_spectra import draw_spectra
        from optical_sweeps.curves.tables.encoder_report import report_table

        reports = _reports(encoders, languages, settings["pairs"])
        _write_table(report_table(reports), output / "encoder")
        _say_all(draw_spectra(reports, output / "spectra"))


def _check(settings: Mapping[str, Any]) -> None:
    for key in ("alignment", "report"):
        true_or_false(key, settings[key])
    if (settings["pair"] is None) != (settings["english"] is None):
        raise UserError("pair, english: give both, a sentence and its translation")
    if settings["row"] is not None:
        whole_number("row", settings["row"], least=0)
        if settings["pair"] is not None:
            raise UserError("pair, row: give one of them")
        if settings["language"] is None:
            raise UserError("language: no value; a row is one of a language's bitext")
    if settings["pair"] is None and settings["row"] is None and not settings["alignment"] | settings["report"]:
        raise UserError(
            "pair, row, alignment, report: nothing is asked for; give pair='...' english='...', or one"
        )
    whole_number("pairs", settings["pairs"], least=1)
    if number_between("share", settings["share"], 0.0, 1.0) == 0:
        raise UserError("share: 0 would link every word with every other; raise it")
    if settings["gold"] is not None:
        check_pattern("gold", settings["gold"], {"language"}, needs={"language"})


def _languages(settings: Mapping[str, Any], encoders: "Encoders") -> tuple[str, ...]:
    known = encoders.spec.languages.all if encoders.spec else tuple(encoders.corpus.languages)
    if settings["language"] is None:
        return known
    return (one_of("language", settings["language"], known),)


# ------------------------------------------------------------------------------------------------- a pair


def _plan(settings: Mapping[str, Any], encoders: "Encoders", output: Path) -> list[Path]:
    """The picture of a pair's plan, and the plan itself."""
    from optical_sweeps.curves.figures.fonts import families_for
    from optical_sweeps.curves.figures.plan_figure import KeptPlan, draw_plan, write_plan

    name, text, english = _pair(settings, encoders)
    aligner = _aligner(settings, encoders, _some_english(encoders, settings["language"]))
    (plan,) = aligner.plans([text], [english])
    rows, columns = aligner.tokens(text, english)
    title = f"{encoders.name}: {settings['language'] or 'pair'}"
    for row, masses in zip(rows, plan, strict=True):
        best = int(masses.argmax())
        share = float(masses[best] / masses.sum()) if masses.sum() else 0.0
        echo(f"  {row} ~ {columns[best]} {share:.2f}")
    if missing := families_for((*rows, *columns))[1]:
        echo(f"  no font here has {''.join(sorted(missing)[:10])}: romanised; install one, such as Noto Sans")
    kept = write_plan(output / f"{name}.plan.json", KeptPlan(plan.tolist(), rows, columns, title))
    return [*draw_plan(plan, rows, columns, output / name, title), kept]


def _pair(settings: Mapping[str, Any], encoders: "Encoders") -> tuple[str, str, str]:
    """A name for files, the sentence and its translation."""
    if settings["pair"] is not None:
        text, english = str(settings["pair"]), str(settings["english"])
        digest = hashlib.blake2b(f"{text}\0{english}".encode(), digest_size=4).hexdigest()
        return f"{settings['language'] or 'pair'}-{digest}", text, english
    bitext = encoders.corpus.bitext(settings["language"])
    row = settings["row"]
    if row >= len(bitext):
        raise UserError(
            f"row: {row}, but the bitext of {bitext.language} has {len(bitext)} pairs, from 0; lower it"
        )
    return f"{bitext.language}-{row}", bitext.translations[row], bitext.english[row]


def _aligner(settings: Mapping[str, Any], encoders: "Encoders", english: Sequence[str]) -> "Aligner":
    from optical_sweeps.inspection.token_alignment import Aligner, english_mean

    teacher = encoders.teacher or encoders.documents
    reads_queries = "query" in _sides(encoders)
    return Aligner(
        student=encoders.queries if reads_queries else encoders.documents,
        teacher=teacher,
        optical=_optical(settings, encoders),
        mean=english_mean(teacher, english),
        side="query" if reads_queries else "document",
    )


def _aligners(
    settings: Mapping[str, Any], encoders: "Encoders", languages: Sequence[str]
) -> dict[str, "Aligner"]:
    return {language: _aligner(settings, encoders, _some_english(encoders, language)) for language in languages}


def _sides(encoders: "Encoders") -> Sequence[str]:
    """What the student reads; the teacher reads the rest."""
    return ("query", "document") if encoders.trained is None else encoders.trained.student.sides


def _optical(settings: Mapping[str, Any], encoders: "Encoders") -> "Optical":
    """The run's own cost and solver where it was distilled by transport; a learned cost is not kept."""
    from optical_sweeps.objectives.optical import Optical
    from optical_sweeps.transport import Sinkhorn

    own = encoders.trained.objective if encoders.trained else None
    chosen = build("solver", settings["solver"]) if settings.get("solver") else None
    if not isinstance(own, Optical):
        return Optical(chosen or Sinkhorn())
    if own.cost == "learned":
        echo("  the run's cost was learned and is not kept: cosine in its place")
    return Optical(chosen or own.solver, own.centre, "cosine" if own.cost == "learned" else own.cost)


def _some_english(encoders: "Encoders", language: str | None) -> list[str]:
    """English of the bitext, for the mean vector; none where there is no bitext."""
    language = language or next(iter(encoders.corpus.languages))
    try:
        english = encoders.corpus.bitext(language).english
    except UserError:
        return []
    return sorted(set(english[:CENTRING_TEXTS]))


# ------------------------------------------------------------------------------------------ the vectors


def _reports(encoders: "Encoders", languages: Sequence[str], most: int) -> dict[str, "EncoderReport"]:
    """The vectors of each language's test queries and of documents, the student's of what it reads."""
    found, sides = {}, _sides(encoders)
    reader = "student" if "query" in sides else "teacher"
    with progress("report") as advance:
        for number, language in enumerate(languages):
            advance(number, len(languages) + 1)
            collection = encoders.corpus.collection(language, "test")
            found[f"{reader}, {language} queries"] = _report(
                encoders.queries, collection.queries.texts[:most], "query"
            )
        documents = encoders.corpus.collection(languages[0], "test").documents
        texts = list(documents.texts[:most])
        if encoders.teacher is not None and "document" in sides:
            found[f"student, {documents.language} documents"] = _report(encoders.documents, texts, "document")
        name = f"teacher, {documents.language} documents"
        found[name] = _report(encoders.teacher or encoders.documents, texts, "document")
    return found


def _report(encoder: Any, texts: Sequence[str], side: str) -> "EncoderReport":
    """Of the vectors, and of the lengths that the projection gave them."""
    from optical_sweeps.curves.tables.encoder_report import encoder_report

    norms: list[np.ndarray] = []
    hook = encoder.projection.register_forward_hook(
        lambda module, inputs, output: norms.append(output.detach().float().norm(dim=-1).cpu().numpy())
    )
    try:
        vectors = np.asarray(encoder.encode(texts, side).vectors)
    finally:
        hook.remove()
    return encoder_report(vectors, np.concatenate(norms))


def _write_table(table: "PaperTable", stem: Path) -> None:
    from optical_sweeps.report.study_logs import write_paper_table

    echo(table.render("markdown"))
    _say_all(write_paper_table(table, stem))


def _say_all(paths: Iterable[Path]) -> None:
    for path in paths:
        echo(f"  {path}")
