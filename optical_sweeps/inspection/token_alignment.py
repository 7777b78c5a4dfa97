"""Plans between a student's tokens and the teacher's, as training sees them: of texts, tokens or words."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.objectives.optical import Optical
from optical_sweeps.retrieval.word_alignment import token_spans, word_shares
from optical_sweeps.training.padding import pad_embeddings
from optical_sweeps.transport.alignment import Pair, strongest_pairs

_BATCH = 256


@dataclass(frozen=True, eq=False)
class Aligner:
    """Aligns pairs.

    Args:
        optical: solver, cost and centring.
        mean: what vectors are centred on; None: the pairs' own mean.
        side: of the student; the teacher reads English as queries.
    """

    student: TokenEncoder
    teacher: TokenEncoder
    optical: Optical
    mean: Float[Tensor, " d"] | None
    side: Side = "query"

    def plans(self, texts: Sequence[str], english: Sequence[str]) -> Iterator[Float[np.ndarray, "n m"]]:
        """The plan of each pair, between the tokens that take part."""
        for start in range(0, len(texts), _BATCH):
            part = slice(start, start + _BATCH)
            own = self.student.encode(texts[part], self.side)
            theirs = self.teacher.encode(english[part], "query")
            rows = np.arange(len(own))
            left, right = pad_embeddings(own, rows), pad_embeddings(theirs, rows)
            matrices = self.optical.align(left, right, self.mean).matrix.float().cpu().numpy()
            for matrix, n, m in zip(matrices, np.diff(own.offsets), np.diff(theirs.offsets), strict=True):
                yield matrix[:n, :m]

    def tokens(self, text: str, english: str) -> tuple[list[str], list[str]]:
        """The names of a plan's rows and columns."""
        return token_names(self.student, text, self.side), token_names(self.teacher, english, "query")

    def links(self, texts: Sequence[str], english: Sequence[str], share: float) -> Iterator[set[Pair]]:
        """The strongest links between the words (between blanks) of each pair."""
        own, theirs = (
            _shares_by_text(encoder, side, own_side)
            for encoder, side, own_side in ((self.student, texts, self.side), (self.teacher, english, "query"))
        )
        for plan, rows, columns in zip(self.plans(texts, english), own, theirs, strict=True):
            n, m = rows.shape[1], columns.shape[1]  # tokens that pad queries come after these
            words = rows @ plan[:n, :m].astype(float) @ columns.T
            yield strongest_pairs(torch.from_numpy(words), share)


def english_mean(teacher: TokenEncoder, english: Sequence[str]) -> Float[Tensor, " d"] | None:
    """The mean token vector of English texts; None of none."""
    if not english:
        return None
    vectors = np.asarray(teacher.encode(list(english), "query").vectors)
    return torch.from_numpy(vectors.mean(0, dtype=np.float64).astype(np.float32))


def token_names(encoder: TokenEncoder, text: str, side: Side) -> list[str]:
    """Each token that takes part, as it stands in the text; tokens that are not of it by their own name."""
    tokens = encoder.tokenize_texts([text], side)
    batch = encoder.collate(tokens, side)
    (spans,), _ = token_spans(encoder, [text], tokens, side)
    own = encoder.tokenizer.convert_ids_to_tokens(tokens.ids[tokens.mask].tolist())
    names = [
        text[max(start, 0) : end].strip() if end > 0 else name
        for (start, end), name in zip(spans.tolist(), own, strict=True)
    ]
    names = [name or f"{own[place]}".replace("\u2581", "") or "\u2581" for place, name in enumerate(names)]
    return [*names, *["[MASK]"] * (int(batch.mask.sum()) - len(names))]


def _shares_by_text(
    encoder: TokenEncoder, texts: Sequence[str], side: Side
) -> Iterator[Float[np.ndarray, "O n"]]:
    tokens = encoder.tokenize_texts(texts, side)
    spans, _ = token_spans(encoder, texts, tokens, side)
    for text, own in zip(texts, spans, strict=True):
        words = [match.span() for match in re.finditer(r"\S+", text)]
        yield word_shares(np.array(words, np.int64).reshape(-1, 2), own)
