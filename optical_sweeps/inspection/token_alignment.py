"""Transport plans between a student's and a teacher's tokens, with the cost and solver of training."""

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
    """Aligns sentences with their English translations.

    Args:
        optical: solver, cost and centring.
        mean: subtracted from all vectors; None subtracts the mean of each batch of pairs.
        side: of the student; the teacher encodes English as queries.
    """

    student: TokenEncoder
    teacher: TokenEncoder
    optical: Optical
    mean: Float[Tensor, " d"] | None
    side: Side = "query"

    def plans(self, texts: Sequence[str], english: Sequence[str]) -> Iterator[Float[np.ndarray, "n m"]]:
        """The plan of each pair, between the tokens that are encoded as vectors."""
        for start in range(0, len(texts), _BATCH):
            part = slice(start, start + _BATCH)
            student = self.student.encode(texts[part], self.side)
            teacher = self.teacher.encode(english[part], "query")
            rows = np.arange(len(student))
            left, right = pad_embeddings(student, rows), pad_embeddings(teacher, rows)
            matrices = self.optical.align(left, right, self.mean).matrix.float().cpu().numpy()
            lengths = zip(np.diff(student.offsets), np.diff(teacher.offsets), strict=True)
            for matrix, (n, m) in zip(matrices, lengths, strict=True):
                yield matrix[:n, :m]

    def tokens(self, text: str, english: str) -> tuple[list[str], list[str]]:
        """The names of a plan's rows and columns."""
        return token_names(self.student, text, self.side), token_names(self.teacher, english, "query")

    def links(self, texts: Sequence[str], english: Sequence[str], share: float) -> Iterator[set[Pair]]:
        """The strongest links between the words of each pair; words are separated by white space."""
        student = _shares_by_text(self.student, texts, self.side)
        teacher = _shares_by_text(self.teacher, english, "query")
        for plan, rows, columns in zip(self.plans(texts, english), student, teacher, strict=True):
            n, m = rows.shape[1], columns.shape[1]  # query augmentation tokens follow these
            words = rows @ plan[:n, :m].astype(float) @ columns.T
            yield strongest_pairs(torch.from_numpy(words), share)


def english_mean(teacher: TokenEncoder, english: Sequence[str]) -> Float[Tensor, " d"] | None:
    """The mean token vector of English texts; None if there are no texts."""
    if not english:
        return None
    vectors = np.asarray(teacher.encode(list(english), "query").vectors)
    return torch.from_numpy(vectors.mean(0, dtype=np.float64).astype(np.float32))


def token_names(encoder: TokenEncoder, text: str, side: Side) -> list[str]:
    """Each encoded token as written in the text, or its vocabulary entry if it is not part of the text."""
    tokens = encoder.tokenize_texts([text], side)
    batch = encoder.collate(tokens, side)
    (spans,), _ = token_spans(encoder, [text], tokens, side)
    vocabulary = encoder.tokenizer.convert_ids_to_tokens(tokens.ids[tokens.mask].tolist())
    names = [
        text[max(start, 0) : end].strip() if end > 0 else name
        for (start, end), name in zip(spans.tolist(), vocabulary, strict=True)
    ]
    names = [
        name or str(token).replace("\u2581", "") or "\u2581"
        for name, token in zip(names, vocabulary, strict=True)
    ]
    return [*names, *["[MASK]"] * (int(batch.mask.sum()) - len(names))]


def _shares_by_text(
    encoder: TokenEncoder, texts: Sequence[str], side: Side
) -> Iterator[Float[np.ndarray, "O n"]]:
    """The share of each token that lies in each word, for each text."""
    tokens = encoder.tokenize_texts(texts, side)
    spans, _ = token_spans(encoder, texts, tokens, side)
    for text, text_spans in zip(texts, spans, strict=True):
        words = [match.span() for match in re.finditer(r"\S+", text)]
        yield word_shares(np.array(words, np.int64).reshape(-1, 2), text_spans)
