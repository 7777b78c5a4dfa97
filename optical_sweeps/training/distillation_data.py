"""What a distillation learns from, and its pairs in training order.

Shape legend: N drawn pairs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.drawn_pairs import DrawnPairs
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.encoders.token_encoder import Side, TokenEncoder, TokenizedTexts
from optical_sweeps.training.mined import MinedDocuments, MinedPairs
from optical_sweeps.training.pairs import DistillationPairs, DrawnTexts, SidePairs
from optical_sweeps.training.ranks import ALONE, Ranks

Tokenise = Callable[[TokenEncoder, Sequence[str], Side], TokenizedTexts]
"""Cuts all sentences of a language into the student's tokens; a store may have them already."""


def tokenise_now(encoder: TokenEncoder, texts: Sequence[str], side: Side) -> TokenizedTexts:
    """The texts' tokens, cut in this call."""
    return encoder.tokenize_texts(texts, side)


@dataclass(frozen=True)
class DistillationData:
    """The pairs of a mixture and what the teacher made of their English side.

    Args:
        english: the row of each English text in `vectors`.
        vectors: the teacher's token vectors of the English texts, for each side that the student learns.
        mined: for objectives that need documents, those of each language's collection.
        tokenise: of the sentences of a language, and of their translations.
    """

    mixture: DrawnPairs
    bitext: Mapping[str, Bitext]
    english: Mapping[str, int]
    vectors: Mapping[Side, RaggedEmbeddings]
    mined: Mapping[str, MinedDocuments] = field(default_factory=dict)
    tokenise: Tokenise = tokenise_now

    def pairs(
        self, student: TokenEncoder, needs: frozenset[str], seed: int, ranks: Ranks = ALONE
    ) -> DistillationPairs:
        """The drawn pairs in training order, with what the objective needs beside them."""
        order = self.mixture.order(seed)
        source, rows = self.mixture.language_index[order], self.mixture.pairs[order]
        languages = self.mixture.languages
        english = np.fromiter(
            (
                self.english[self.bitext[languages[number]].english[row]]
                for number, row in zip(source.tolist(), rows.tolist(), strict=True)
            ),
            np.int64,
            len(rows),
        )
        drawn = _Drawn(self, student, source.astype(np.int64), rows.astype(np.int64))
        return DistillationPairs(
            sides={
                side: SidePairs(
                    drawn.texts(side, "translations"),
                    vectors,
                    drawn.texts(side, "english") if "student_english" in needs else None,
                )
                for side, vectors in self.vectors.items()
            },
            english=english,
            student=student,
            ranks=ranks,
            mined=self._mined(source, english) if "documents" in needs else None,
        )

    def _mined(self, source: Int64[np.ndarray, " N"], english: Int64[np.ndarray, " N"]) -> MinedPairs:
        own = [self.mined[language] for language in self.mixture.languages]
        distinct = sorted({mined.first_id: mined for mined in own}.values(), key=lambda mined: mined.first_id)
        numbers = np.array([[mined.first_id for mined in distinct].index(mined.first_id) for mined in own])
        return MinedPairs(tuple(distinct), numbers[source], english)


@dataclass(frozen=True)
class _Drawn:
    """Tokens of the drawn pairs' texts; of languages that were drawn alone."""

    material: DistillationData
    student: TokenEncoder
    source: Int64[np.ndarray, " N"]
    rows: Int64[np.ndarray, " N"]

    def texts(self, side: Side, which: str) -> DrawnTexts:
        used, source = np.unique(self.source, return_inverse=True)
        languages = [self.material.mixture.languages[number] for number in used]
        found = (getattr(self.material.bitext[language], which) for language in languages)
        tokens = tuple(self.material.tokenise(self.student, texts, side) for texts in found)
        return DrawnTexts(tokens, source, self.rows)
