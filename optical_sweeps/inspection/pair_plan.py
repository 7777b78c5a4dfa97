"""The transport plan of one sentence pair, as a figure and as data."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.console import echo
from optical_sweeps.corpora.collections import Corpus
from optical_sweeps.errors import UserError
from optical_sweeps.inspection.token_alignment import Aligner


@dataclass(frozen=True)
class SentencePair:
    """A sentence and its English translation; `name` is used for files."""

    name: str
    text: str
    english: str

    @classmethod
    def of_texts(cls, text: str, english: str, language: str | None) -> "SentencePair":
        """A pair of given texts, named by a digest."""
        digest = hashlib.blake2b(f"{text}\0{english}".encode(), digest_size=4).hexdigest()
        return cls(f"{language or 'pair'}-{digest}", text, english)

    @classmethod
    def of_row(cls, corpus: Corpus, language: str, row: int) -> "SentencePair":
        """A pair of a language's bitext.

        Raises:
            UserError: the bitext has no such row.
        """
        bitext = corpus.bitext(language)
        if row >= len(bitext):
            raise UserError(
                f"row: {row}, but the bitext of {language} has {len(bitext)} pairs, from 0; lower it"
            )
        return cls(f"{language}-{row}", bitext.translations[row], bitext.english[row])


def write_pair_plan(pair: SentencePair, aligner: Aligner, title: str, output: Path) -> list[Path]:
    """Draw the plan of a pair, write it as JSON, and print the strongest link of each student token."""
    from optical_sweeps.curves.figures.fonts import families_for
    from optical_sweeps.curves.figures.plan_figure import KeptPlan, draw_plan, write_plan

    (plan,) = aligner.plans([pair.text], [pair.english])
    rows, columns = aligner.tokens(pair.text, pair.english)
    for row, masses in zip(rows, plan, strict=True):
        best = int(masses.argmax())
        share = float(masses[best] / masses.sum()) if masses.sum() else 0.0
        echo(f"  {row} ~ {columns[best]} {share:.2f}")
    if missing := families_for((*rows, *columns))[1]:
        characters = "".join(sorted(missing)[:10])
        echo(f"  no installed font has {characters}: romanised; install one, such as Noto Sans")
    stored = write_plan(output / f"{pair.name}.plan.json", KeptPlan(plan.tolist(), rows, columns, title))
    return [*draw_plan(plan, rows, columns, output / pair.name, title), stored]
