"""Error of a student's transport plans as word alignments, against gold alignments."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from optical_sweeps.checks import check_file
from optical_sweeps.console import progress
from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.collections import Corpus
from optical_sweeps.corpora.readers.alignments import GoldAlignment, read_alignments
from optical_sweeps.curves.tables.paper_table import PaperTable
from optical_sweeps.errors import UserError
from optical_sweeps.inspection.inspect_settings import InspectSettings
from optical_sweeps.inspection.token_alignment import Aligner
from optical_sweeps.transport import alignment_error_rate


@runtime_checkable
class AlignedCorpus(Protocol):
    """A corpus with gold word alignments."""

    def alignments(self, language: str) -> Iterable[Iterable[tuple[int, int]]]:
        """The links (word, English word) of each pair of a language's bitext, in order."""
        ...


def alignment_table(settings: InspectSettings, corpus: Corpus, aligners: Mapping[str, Aligner]) -> PaperTable:
    """One row per language: alignment error of the student's plans, and of the teacher's own.

    Raises:
        UserError: a language has no gold alignments, or they do not fit its bitext.
    """
    gold = {language: _gold(settings, corpus, language) for language in aligners}
    rows, records = [], []
    with progress("alignment") as advance:
        for number, (language, aligner) in enumerate(aligners.items()):
            advance(number, len(aligners))
            teacher = replace(aligner, student=aligner.teacher, side="query")
            bitext, pairs = corpus.bitext(language), gold[language]
            student_error, teacher_error = (
                _error(one, bitext, pairs, settings.share) for one in (aligner, teacher)
            )
            links = sum(len(pair.sure) for pair in pairs)
            cells = (f"{len(pairs)}", f"{links:,}", f"{student_error:.3f}", f"{teacher_error:.3f}")
            rows.append((language, *cells))
            records.append(
                {
                    "language": language, "pairs": len(pairs), "links": links, "student": student_error,
                    "teacher": teacher_error,
                }
            )  # fmt: skip
    caption = (
        "Alignment error rate of words, from 0 to 1 (Och and Ney 2003). The mass of tokens is summed over "
        f"words; two words are linked if their mass is at least {settings.share:g} of the largest mass of "
        "their row or column."
    )
    header = ("language", "pairs", "sure links", "student", "teacher")
    return PaperTable(header, tuple(rows), 1, caption, tuple(records))


def _gold(settings: InspectSettings, corpus: Corpus, language: str) -> list[GoldAlignment]:
    """The gold alignments of the first pairs of a language's bitext.

    Raises:
        UserError: there are none, or they do not fit the bitext.
    """
    if settings.gold is None:
        if not isinstance(corpus, AlignedCorpus):
            raise UserError(
                f"gold: {corpus.name} has no gold alignments; name Pharaoh files: gold=gold/{{language}}.txt"
            )
        return [
            GoldAlignment(frozenset(links)) for links in islice(corpus.alignments(language), settings.pairs)
        ]
    path, bitext = Path(settings.gold.format(language=language)), corpus.bitext(language)
    check_file("gold", path, "name one for each language, or choose language=")
    alignments = list(read_alignments(path))
    if len(alignments) != len(bitext):
        raise UserError(
            f"{path}: {len(alignments)} lines for the {len(bitext)} pairs of {language}'s bitext; "
            "write one line per pair"
        )
    for number, (gold, text, english) in enumerate(
        zip(alignments, bitext.translations, bitext.english, strict=True), start=1
    ):
        sizes = len(text.split()), len(english.split())
        if any(link[side] >= sizes[side] for link in (gold.sure | gold.possible) for side in (0, 1)):
            raise UserError(
                f"{path}:{number}: a link beyond the pair's {sizes[0]} and {sizes[1]} words; correct it"
            )
    return alignments[: settings.pairs]


def _error(aligner: Aligner, bitext: Bitext, gold: Sequence[GoldAlignment], share: float) -> float:
    """The alignment error rate over all pairs; their words are numbered consecutively."""
    count = len(gold)
    texts, english = bitext.translations[:count], bitext.english[:count]
    starts = (_starts(texts), _starts(english))
    links = aligner.links(texts, english, share)
    return alignment_error_rate(
        _numbered(links, starts),
        _numbered((pair.sure for pair in gold), starts),
        _numbered((pair.possible for pair in gold), starts),
    )


def _starts(texts: Sequence[str]) -> list[int]:
    """The number of each text's first word."""
    return [0, *np.cumsum([len(text.split()) for text in texts]).tolist()]


def _numbered(
    links: Iterable[Iterable[tuple[int, int]]], starts: tuple[Sequence[int], Sequence[int]]
) -> set[tuple[int, int]]:
    return {
        (starts[0][pair] + i, starts[1][pair] + j)
        for pair, pair_links in enumerate(links)
        for i, j in pair_links
    }
