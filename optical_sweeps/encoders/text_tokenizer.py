"""Texts in, token ids out, with the rule of which tokens take part in MaxSim and transport.

Shape legend: B texts of a batch, N texts with N + 1 offsets, T tokens of all of them, V entries of the
    vocabulary.
"""

import string
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Int32, Int64

from optical_sweeps.encoders.encoder_settings import SIDES, Side, TokenEncoderSettings
from optical_sweeps.encoders.ragged import offsets_of
from optical_sweeps.encoders.tokenized_texts import TokenBatch, TokenizedTexts
from optical_sweeps.errors import UserError

if TYPE_CHECKING:
    import tokenizers
    import transformers


class TextTokenizer:
    """Adds prefixes, markers and special tokens to texts, truncates them, and masks tokens that take no part.

    Args:
        tokenizer: a fast tokenizer of transformers.
        name: the backbone's name, for messages.

    Raises:
        UserError: a marker or a skipped token is not in the vocabulary, or augmentation has no mask token.
    """

    def __init__(
        self, tokenizer: "transformers.PreTrainedTokenizerFast", settings: TokenEncoderSettings, name: str
    ) -> None:
        self.tokenizer, self.settings, self.name = tokenizer, settings, name
        if settings.query_augmentation and tokenizer.mask_token_id is None:
            raise UserError(f"encoder.query_augmentation: true, but the tokenizer of {name} has no mask token")
        self.leading, self.trailing = self._special_ends()
        self._markers: dict[Side, list[int]] = {
            side: [] if (token := settings.marker(side)) is None else [self._id(f"{side}_marker", token)]
            for side in SIDES
        }
        skipped = [self._id("skip_tokens", token) for token in settings.skip_tokens]
        self._skipped_ids = np.array(skipped, np.int32)
        unknown = tokenizer.unk_token_id  # stands for content
        self._special_ids = np.array([i for i in tokenizer.all_special_ids if i != unknown], np.int32)

    @property
    def rust_tokenizer(self) -> "tokenizers.Tokenizer":
        """The underlying `tokenizers.Tokenizer`, reset to no padding and no truncation."""
        tokenizer: tokenizers.Tokenizer = self.tokenizer.backend_tokenizer
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    def tokenize(self, texts: Iterable[str], side: Side) -> TokenizedTexts:
        """Token ids of texts; `collate` makes batches of the result."""
        prefix = self.settings.prefix(side)
        encodings = self.rust_tokenizer.encode_batch(
            [prefix + text for text in texts], add_special_tokens=False
        )
        leading = [*self.leading, *self._markers[side]]
        content = self.settings.length(side) - len(leading) - len(self.trailing)
        rows = [[*leading, *e.ids[:content], *self.trailing] or [self._empty_id] for e in encodings]
        ids = np.fromiter(chain.from_iterable(rows), np.int32)
        if side == "query" and self._masks_padding:
            ids[ids == self._padding_id] = self.tokenizer.mask_token_id
        offsets = offsets_of(np.fromiter(map(len, rows), np.int64, len(rows)))
        # The space between prefix and text may become a token; it then belongs to the text.
        end = len(prefix.rstrip())
        prefix_sizes = [_tokens_up_to(e.offsets, end) if end else 0 for e in encodings]
        prefix_ends = np.array(prefix_sizes, np.int64) + len(self._markers[side])
        return TokenizedTexts(ids, self._mask(ids, offsets, prefix_ends, side), offsets)

    def collate(self, texts: TokenizedTexts, side: Side) -> TokenBatch:
        """Pad to the longest text, or augmented queries to `query_length`."""
        augment = self.settings.query_augmentation and side == "query"
        width = self.settings.query_length if augment else int(texts.lengths.max(initial=1))
        real = np.arange(width) < texts.lengths[:, None]
        ids = np.full(real.shape, self.tokenizer.mask_token_id if augment else self._padding_id, np.int64)
        mask = np.full(real.shape, augment)
        ids[real], mask[real] = texts.ids, texts.mask
        attended = real | (augment and self.settings.augmentation_attends)
        return TokenBatch(
            torch.from_numpy(ids), torch.from_numpy(attended.astype(np.int64)), torch.from_numpy(mask)
        )

    def participating(self, texts: TokenizedTexts, side: Side) -> Int64[np.ndarray, " N"]:
        """Number of tokens of each text that take part, as `collate` pads them."""
        counts: np.ndarray = np.diff(offsets_of(texts.mask.astype(np.int64))[texts.offsets])
        if self.settings.query_augmentation and side == "query":
            counts += self.settings.query_length - texts.lengths
        return counts

    def check_lengths(self, longest: int) -> None:
        """Raises UserError if a side's length leaves no room for text or exceeds `longest` tokens."""
        for side in SIDES:
            prefix = self.rust_tokenizer.encode(self.settings.prefix(side), add_special_tokens=False)
            added = (*self.leading, *self.trailing, *self._markers[side], *prefix.ids)
            length = self.settings.length(side)
            if not len(added) < length <= longest:
                raise UserError(
                    f"encoder.{side}_length: {length} is not in [{len(added) + 1}, {longest}], from special "
                    f"tokens, prefix and one token of text to the most that {self.name} takes; change it"
                )

    def punctuation_tokens(self) -> tuple[str, ...]:
        """The tokens that `skip_punctuation` excludes."""
        numbers = np.flatnonzero(self._punctuation).tolist()
        return tuple(self.tokenizer.convert_ids_to_tokens(numbers))

    def _mask(
        self,
        ids: Int32[np.ndarray, " T"],
        offsets: Int64[np.ndarray, " bounds"],
        prefix_ends: Int64[np.ndarray, " N"],
        side: Side,
    ) -> Bool[np.ndarray, " T"]:
        """Which tokens take part; a text that would have none keeps its content, or else its first token."""
        lengths = np.diff(offsets)
        position = np.arange(len(ids)) - np.repeat(offsets[:-1], lengths) - len(self.leading)
        special = np.isin(ids, self._special_ids)
        prefix = (position >= 0) & (position < np.repeat(prefix_ends, lengths)) & ~special
        mask = np.ones(len(ids), bool)
        if not self.settings.use_special_tokens:
            mask &= ~special
        if not self.settings.use_prefix_tokens:
            mask &= ~prefix
        if side == "document":
            mask &= ~np.isin(ids, self._skipped_ids)
            if self.settings.skip_punctuation:
                mask &= ~self._punctuation[ids]
        first = position == -len(self.leading)
        for fallback in (~special & ~prefix, first):
            counts = np.diff(offsets_of(mask.astype(np.int64))[offsets])
            mask |= fallback & np.repeat(counts == 0, lengths)
        return mask

    def _special_ends(self) -> tuple[list[int], list[int]]:
        """The special tokens that the tokenizer puts before and after a text."""
        encoding = self.rust_tokenizer.encode("a")
        content = [i for i, special in enumerate(encoding.special_tokens_mask) if not special]
        return encoding.ids[: content[0]], encoding.ids[content[-1] + 1 :]

    def _id(self, key: str, token: str) -> int:
        number: int | None = self.rust_tokenizer.token_to_id(token)
        if number is None:
            raise UserError(f"encoder.{key}: {token!r} is not in the vocabulary of {self.name}; change it")
        return number

    @cached_property
    def _punctuation(self) -> Bool[np.ndarray, " V"]:
        ids = [[i] for i in range(len(self.tokenizer))]
        pieces = self.rust_tokenizer.decode_batch(ids, skip_special_tokens=False)
        return np.array([_is_punctuation(piece) for piece in pieces], bool)

    @property
    def _masks_padding(self) -> bool:
        """Whether a query's literal padding token becomes a mask token, as in Stanford's ColBERT."""
        return self.settings.query_augmentation and self._padding_id in self._skipped_ids

    @property
    def _padding_id(self) -> int:
        padding: int | None = self.tokenizer.pad_token_id
        return padding if padding is not None else 0

    @property
    def _empty_id(self) -> int:
        """Represents an empty text if the tokenizer adds no special tokens."""
        unknown: int | None = self.tokenizer.unk_token_id
        return unknown if unknown is not None else self._padding_id


def _tokens_up_to(offsets: list[tuple[int, int]], end: int) -> int:
    """Number of tokens that lie entirely within the first `end` characters."""
    count = 0
    while count < len(offsets) and offsets[count][1] <= end:
        count += 1
    return count


def _is_punctuation(piece: str) -> bool:
    return all(unicodedata.category(c)[0] in "PZC" or c in string.punctuation for c in piece)
