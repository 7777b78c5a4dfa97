"""Error of a student's transport plans, read as word alignments, against gold ones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optical_sweeps.console import progress
from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.readers.alignments import GoldAlignment, read_alignments
from optical_sweeps.curves.tables.paper_table import PaperTable
from optical_sweeps.errors import UserError
from optical_sweeps.transport import alignment_error_rate

if TYPE_CHECKING:
    from optical_sweeps.inspection.token_alignment import Aligner
    from optical_sweeps.runs.distillation.query_encoders import Encoders


def alignment_table(
    settings: Mapping[str, Any], encoders: "Encoders", aligners: Mapping[str, "Aligner"]
) -> PaperTable:
    """A row a language: error of the student's plans, and of the teacher's own, which is where it began.

    Raises:
        UserError: a language has no gold alignments, or ones that are not of its bitext.
    """
    gold = {language: _gold(settings, encoders.corpus, language) for language in aligners}
    rows, records = [], []
    with progress("alignment") as advance:
        for number, (language, aligner) in enumerate(aligners.items()):
            advance(number, len(aligners))
            teacher = replace(aligner, student=aligner.teacher, side="query")
            bitext, own = encoders.corpus.bitext(language), gold[language]
            errors = [_error(one, bitext, own, settings["share"]) for one in (aligner, teacher)]
            links = sum(len(one.sure) for one in own)
            rows.append((language, str(len(own)), f"{links:,}", *(f"{error:.3f}" for error in errors)))
            records.append(
                {
                    "language": language, "pairs": len(own), "links": links, "student": errors[0],
                    "teacher": errors[1],
                }
            )  # fmt: skip
    caption = (
        "Alignment error rate of words (Och and Ney 2003): plans gathered from tokens to words; links where a "
        f"word carries {settings['share']:g} of the largest mass of its row or column."
    )
    header = ("language", "pairs", "sure links", "student", "teacher")
    return PaperTable(header, tuple(rows), 1, caption, tuple(records))


def _gold(settings: Mapping[str, Any], corpus: Any, language: str) -> list[GoldAlignment]:
    """Of the first pairs of a language's bitext.

    Raises:
        UserError: there is none, or it is not of this bitext.
    """
    most = settings["pairs"]
    if settings["gold"] is None:
        if not hasattr(corpus, "alignments"):
            raise UserError(
                f"gold: {corpus.name} has no gold alignments; name Pharaoh files: gold=gold/{{language}}.txt"
            )
        return [GoldAlignment(frozenset(links)) for links in islice(corpus.alignments(language), most)]
    path, bitext = Path(str(settings["gold"]).format(language=language)), corpus.bitext(language)
    if not path.is_file():
        raise UserError(f"gold: there is no file {path}; name one for each language, or choose language=")
    found = list(read_alignments(path))
    if len(found) != len(bitext):
        raise UserError(
            f"{path}: {len(found)} lines for the {len(bitext)} pairs of {language}'s bitext; give one for each"
        )
    for number, (gold, own, english) in enumerate(
        zip(found, bitext.translations, bitext.english, strict=True), start=1
    ):
        sizes = len(own.split()), len(english.split())
        if any(link[side] >= sizes[side] for link in (gold.sure | gold.possible) for side in (0, 1)):
            raise UserError(
                f"{path}:{number}: a link beyond the pair's {sizes[0]} and {sizes[1]} words; correct it"
            )
    return found[:most]


def _error(aligner: "Aligner", bitext: Bitext, gold: Sequence[GoldAlignment], share: float) -> float:
    """Over all pairs together: words are numbered through them."""
    count = len(gold)
    texts, english = bitext.translations[:count], bitext.english[:count]
    firsts = (_firsts(texts), _firsts(english))
    found = aligner.links(texts, english, share)
    return alignment_error_rate(
        _numbered(found, firsts),
        _numbered((one.sure for one in gold), firsts),
        _numbered((one.possible for one in gold), firsts),
    )


def _firsts(texts: Sequence[str]) -> list[int]:
    """The number of each text's first word."""
    return [0, *np.cumsum([len(text.split()) for text in texts]).tolist()]


def _numbered(
    links: Iterable[Iterable[tuple[int, int]]], firsts: tuple[Sequence[int], Sequence[int]]
) -> set[tuple[int, int]]:
    return {(firsts[0][pair] + i, firsts[1][pair] + j) for pair, own in enumerate(links) for i, j in own}
