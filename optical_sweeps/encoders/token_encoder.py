"""Texts in, one vector a token out: a backbone, a linear projection, and a rule of which tokens take part.

Shape legend: B texts of a batch, n tokens of its longest, N texts with N + 1 bounds, T tokens of all of them,
d dimensions, V pieces of the vocabulary.
"""

import copy
import dataclasses
import string
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int32, Int64
from torch import Tensor, nn

from optical_sweeps.encoders import packed_bert
from optical_sweeps.encoders.backbones import Backbone, BackboneSettings, layer_list
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings, TokenEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed

Side = Literal["query", "document"]
Precision = Literal["float32", "bfloat16", "float16"]
Progress = Callable[[int, int], None]  # texts done, texts in all

ADDED_LATER = ("query_marker", "document_marker", "skip_tokens", "projection_bias")
"""Settings that came after encoders had been saved; at their defaults nothing differs."""


@dataclass(frozen=True)
class TokenEncoderSettings:
    """How texts become token vectors.

    Args:
        dim: dimensions of a token vector.
        query_prefix, document_prefix: put before every text of that side, and cut into tokens with it.
        query_length, document_length: longest text in tokens, with prefix and special tokens.
        use_special_tokens: whether [CLS], [SEP] and their like take part in MaxSim and transport. They stand
            in every text and so tell none apart; ColBERT keeps them.
        use_prefix_tokens: the same for the tokens of the prefix.
        skip_punctuation: documents: leave out tokens of nothing but punctuation, in any script (ColBERT).
        query_augmentation: pad queries to `query_length` with [MASK] tokens, which take part (ColBERT, arXiv
            2004.12832, section 3.2).
        augmentation_attends: whether other tokens attend to those [MASK] tokens.
        seed: base seed of the projection's initial weights.
        query_marker, document_marker: one token of the vocabulary, put between the first special tokens and the
            text, such as `[unused0]`; takes part where the prefix does. None: none.
        skip_tokens: documents: leave out these tokens of the vocabulary too (ColBERT's skip-list).
        projection_bias: whether the projection adds a vector.
    """

    dim: int = 128
    query_prefix: str = "query: "
    document_prefix: str = "passage: "
    query_length: int = 32
    document_length: int = 180
    use_special_tokens: bool = False
    use_prefix_tokens: bool = False
    skip_punctuation: bool = True
    query_augmentation: bool = False
    augmentation_attends: bool = False
    seed: int = 0
    query_marker: str | None = None
    document_marker: str | None = None
    skip_tokens: Sequence[str] = ()
    projection_bias: bool = False

    def __post_init__(self) -> None:
        for name in ("dim", "query_length", "document_length"):
            if getattr(self, name) < 1:
                raise UserError(f"encoder.{name}={getattr(self, name)}: it has to be at least 1")
        object.__setattr__(self, "skip_tokens", tuple(self.skip_tokens))

    def prefix(self, side: Side) -> str:
        return self.query_prefix if side == "query" else self.document_prefix

    def length(self, side: Side) -> int:
        return self.query_length if side == "query" else self.document_length

    def marker(self, side: Side) -> str | None:
        return self.query_marker if side == "query" else self.document_marker

    def described(self) -> dict[str, Any]:
        """The settings for a file or a digest: later ones only where used, so that old digests stand."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ADDED_LATER or getattr(self, field.name) != field.default
        }


@dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of many texts end to end, cut to length, with special tokens and without padding.

    Args:
        ids: text i has entries `offsets[i]` to `offsets[i + 1]`.
        mask: tokens that take part; at least one of each text.
        offsets: from 0 to T.
    """

    ids: Int32[np.ndarray, " T"]
    mask: Bool[np.ndarray, " T"]
    offsets: Int64[np.ndarray, " bounds"]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Int64[np.ndarray, " N"]:
        return np.diff(self.offsets)

    def take(self, rows: Sequence[int] | Int[np.ndarray, " k"]) -> "TokenizedTexts":
        """The texts of these rows, in their order."""
        rows = np.asarray(rows, np.int64)
        lengths = self.lengths[rows]
        offsets = _offsets(lengths)
        index = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return TokenizedTexts(self.ids[index], self.mask[index], offsets)


@dataclass(frozen=True)
class TokenBatch:
    """A padded batch, ready for the encoder.

    Args:
        attention_mask: 1 where a token is attended to.
        mask: tokens that take part in MaxSim and transport.
    """

    input_ids: Int64[Tensor, "B n"]
    attention_mask: Int64[Tensor, "B n"]
    mask: Bool[Tensor, "B n"]

    def to(self, device: torch.device | str) -> "TokenBatch":
        return TokenBatch(
            self.input_ids.to(device, non_blocking=True),
            self.attention_mask.to(device, non_blocking=True),
            self.mask.to(device, non_blocking=True),
        )

    def __len__(self) -> int:
        return len(self.input_ids)


class TokenEncoder(nn.Module):
    """A late-interaction encoder (ColBERT, arXiv 2004.12832): backbone, linear projection, L2 normalisation.

    Raises UserError where the settings do not fit the backbone (its longest text, its special tokens).
    """

    def __init__(self, backbone: Backbone, settings: TokenEncoderSettings) -> None:
        super().__init__()
        self.backbone = backbone.model
        self.tokenizer = backbone.tokenizer
        self.name = backbone.name
        self.settings = settings
        self.projection = _projection(backbone.model.config.hidden_size, settings)
        self._leading, self._trailing = _special_ends(self.rust_tokenizer)
        self._check()

    # ----------------------------------------------------------------------------------- text to tokens

    def tokenize_texts(self, texts: Iterable[str], side: Side) -> TokenizedTexts:
        """Cut texts into tokens, once; `collate` makes batches of the result."""
        prefix = self.settings.prefix(side)
        whole = [prefix + text for text in texts]
        encodings = self.rust_tokenizer.encode_batch(whole, add_special_tokens=False)
        leading = [*self._leading, *self._markers[side]]
        room = self.settings.length(side) - len(leading) - len(self._trailing)
        rows = [[*leading, *e.ids[:room], *self._trailing] or [self._stand_in] for e in encodings]
        ids = np.fromiter(chain.from_iterable(rows), np.int32)
        offsets = _offsets(np.fromiter(map(len, rows), np.int64, len(rows)))
        # The blank between prefix and text may be cut as a token of its own: it belongs to the text.
        end = len(prefix.rstrip())
        prefix_sizes = [_tokens_up_to(e.offsets, end) if end else 0 for e in encodings]
        prefix_ends = np.array(prefix_sizes, np.int64) + len(self._markers[side])
        return TokenizedTexts(ids, self._mask(ids, offsets, prefix_ends, side), offsets)

    def collate(self, texts: TokenizedTexts, side: Side) -> TokenBatch:
        """Pad to the longest of these texts, or, for queries under augmentation, to `query_length`."""
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

    def tokenize(self, texts: Iterable[str], side: Side) -> TokenBatch:
        """One padded batch of these texts."""
        return self.collate(self.tokenize_texts(texts, side), side)

    @property
    def rust_tokenizer(self) -> Any:
        """The `tokenizers.Tokenizer` beneath, without padding or truncation that a call left on."""
        tokenizer = self.tokenizer.backend_tokenizer
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    def _mask(
        self,
        ids: Int32[np.ndarray, " T"],
        offsets: Int64[np.ndarray, " bounds"],
        prefix_sizes: Int64[np.ndarray, " N"],
        side: Side,
    ) -> Bool[np.ndarray, " T"]:
        """Which tokens take part; a text left with none keeps its content, failing that its first token."""
        lengths = np.diff(offsets)
        position = np.arange(len(ids)) - np.repeat(offsets[:-1], lengths) - len(self._leading)
        special = np.isin(ids, self._special_ids)
        prefix = (position >= 0) & (position < np.repeat(prefix_sizes, lengths)) & ~special
        mask = np.ones(len(ids), bool)
        if not self.settings.use_special_tokens:
            mask &= ~special
        if not self.settings.use_prefix_tokens:
            mask &= ~prefix
        if self.settings.skip_punctuation and side == "document":
            mask &= ~self._punctuation[ids]
        if self.settings.skip_tokens and side == "document":
            mask &= ~np.isin(ids, self._skipped_ids)
        first = position == -len(self._leading)
        for fallback in (~special & ~prefix, first):
            mask |= fallback & np.repeat(_sums(mask, offsets) == 0, lengths)
        return mask

    @cached_property
    def _skipped_ids(self) -> Int32[np.ndarray, " k"]:
        return np.array([self._known_id("skip_tokens", token) for token in self.settings.skip_tokens], np.int32)

    @cached_property
    def _markers(self) -> dict[Side, list[int]]:
        named: dict[Side, str | None] = {
            "query": self.settings.query_marker,
            "document": self.settings.document_marker,
        }
        return {
            side: [] if token is None else [self._known_id(f"{side}_marker", token)]
            for side, token in named.items()
        }

    def _known_id(self, key: str, token: str) -> int:
        number = self.rust_tokenizer.token_to_id(token)
        if number is None:
            raise UserError(
                f"encoder.{key}: {token!r} is no token of {self.name}'s vocabulary; name one that is"
            )
        return int(number)

    @property
    def leading_tokens(self) -> tuple[int, ...]:
        """The special tokens before every text."""
        return tuple(self._leading)

    @property
    def longest_text(self) -> int:
        """The most tokens that the backbone takes."""
        return _longest_text(self.backbone)

    def punctuation_tokens(self) -> tuple[str, ...]:
        """The tokens that `skip_punctuation` leaves out."""
        numbers = np.flatnonzero(self._punctuation).tolist()
        return tuple(self.rust_tokenizer.id_to_token(number) for number in numbers)

    @cached_property
    def _punctuation(self) -> Bool[np.ndarray, " V"]:
        ids = [[i] for i in range(len(self.tokenizer))]
        pieces = self.rust_tokenizer.decode_batch(ids, skip_special_tokens=False)
        return np.array([_is_punctuation(piece) for piece in pieces], bool)

    @cached_property
    def _special_ids(self) -> Int32[np.ndarray, " k"]:
        unknown = self.tokenizer.unk_token_id  # stands for content
        return np.array([i for i in self.tokenizer.all_special_ids if i != unknown], np.int32)

    @property
    def _padding_id(self) -> int:
        padding = self.tokenizer.pad_token_id
        return int(padding) if padding is not None else 0

    @property
    def _stand_in(self) -> int:
        """For an empty text of a tokenizer that adds no special tokens."""
        unknown = self.tokenizer.unk_token_id
        return int(unknown) if unknown is not None else self._padding_id

    # -------------------------------------------------------------------------------- tokens to vectors

    def forward(self, batch: TokenBatch) -> TokenEmbeddings:
        """Vectors of float32, of length 1 where `batch.mask` is true and 0 elsewhere."""
        return self._embeddings(self._states(batch), batch)

    def _embeddings(self, states: Float[Tensor, "W h"], batch: TokenBatch) -> TokenEmbeddings:
        vectors = normalize(self.projection(states))
        texts, width = batch.mask.shape
        where = batch.mask.flatten().nonzero().squeeze(1)
        padded = vectors.new_zeros(texts * width, vectors.shape[1]).index_copy(0, where, vectors)
        return TokenEmbeddings(padded.view(texts, width, -1), batch.mask)

    def _states(self, batch: TokenBatch) -> Float[Tensor, "W h"]:
        """The backbone's last hidden states of the tokens that take part."""
        if packed_bert.supports(self.backbone):
            attended = batch.attention_mask.bool()
            return packed_bert.wanted_states(self.backbone, batch.input_ids, attended, batch.mask)
        output = self.backbone(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
        states: Tensor = output.last_hidden_state[batch.mask]
        return states

    def encode(
        self,
        texts: Iterable[str] | TokenizedTexts,
        side: Side,
        batch_size: int = 64,
        progress: Progress | None = None,
        precision: Precision = "float32",
    ) -> RaggedEmbeddings:
        """Vectors of many texts, without gradients and dropout, in the order given.

        Batches are made of texts of like length, by their tokens alone. So the same set of texts gives the
        same bits in any order (on one device, with one number of threads); another set or batch size may
        change the last bits, as matrix products round according to their shape.

        Args:
            precision: of the backbone's matrix products; normalisation, sums and the projection stay float32.
        """
        tokens = texts if isinstance(texts, TokenizedTexts) else self.tokenize_texts(texts, side)
        order = by_length(tokens)
        chunks: list[np.ndarray] = []
        counts: list[np.ndarray] = []
        training = self.training
        self.eval()
        try:
            for start in range(0, len(order), batch_size):
                chosen = tokens.take(order[start : start + batch_size])
                vectors, mask = self._encode_batch(chosen, side, precision)
                chunks.append(vectors)
                counts.append(mask.sum(1))
                if progress is not None:
                    progress(min(start + batch_size, len(order)), len(order))
        finally:
            self.train(training)
        return _in_order(chunks, counts, order, self.settings.dim)

    @torch.inference_mode()
    def _encode_batch(
        self, texts: TokenizedTexts, side: Side, precision: Precision
    ) -> tuple[Float[np.ndarray, "t d"], Bool[np.ndarray, "B n"]]:
        device = self.projection.weight.device
        batch = self.collate(texts, side)
        there = batch.to(device)
        lower = precision != "float32"
        with torch.autocast(device.type, getattr(torch, precision)) if lower else nullcontext():
            states = self._states(there)
        vectors = self._embeddings(states.float() if lower else states, there).vectors.cpu()
        return vectors[batch.mask].numpy(), batch.mask.numpy()

    # ----------------------------------------------------------------------------------------- training

    def copy(self) -> "TokenEncoder":
        """An encoder with weights of its own, such as a student that begins as its teacher; all trainable."""
        shared: dict[int, Any] = {id(self.tokenizer): self.tokenizer}
        return copy.deepcopy(self, shared).requires_grad_(True)

    def freeze(self, embeddings: bool = False, layers: int = 0) -> "TokenEncoder":
        """Hold the embeddings, the first `layers` layers, or both at their values; returns the encoder."""
        stack = layer_list(self.backbone)
        if not 0 <= layers <= len(stack):
            raise UserError(f"freezing {layers} layers: the encoder has {len(stack)}")
        if embeddings:
            self.backbone.get_input_embeddings().requires_grad_(False)
            getattr(self.backbone, "embeddings", nn.Identity()).requires_grad_(False)
        for layer in stack[:layers]:
            layer.requires_grad_(False)
        return self

    def trainable_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that training changes, by name."""
        return {name: value for name, value in self.named_parameters() if value.requires_grad}

    def _check(self) -> None:
        settings, tokenizer = self.settings, self.tokenizer
        assert len(self._skipped_ids) == len(settings.skip_tokens)  # looked up: an unknown one is met here
        if settings.query_augmentation and tokenizer.mask_token_id is None:
            raise UserError(f"encoder.query_augmentation=true: the tokenizer of {self.name} has no mask token")
        longest = _longest_text(self.backbone)
        ends = len(self._leading) + len(self._trailing)
        for side in ("query", "document"):
            prefix = self.rust_tokenizer.encode(settings.prefix(side), add_special_tokens=False)
            least = ends + len(self._markers[side]) + len(prefix.ids) + 1
            length = settings.length(side)
            if not least <= length <= longest:
                raise UserError(
                    f"encoder.{side}_length={length}: choose from {least} (special tokens, "
                    f"encoder.{side}_prefix and one more) to {longest} (the most that {self.name} takes)"
                )


def build_token_encoder(
    settings: TokenEncoderSettings, backbone: BackboneSettings, texts: Iterable[str] | None = None
) -> TokenEncoder:
    """The encoder over a backbone fitted to `texts` and to the prefixes that will stand before them."""
    if texts is not None:
        texts = chain((settings.query_prefix, settings.document_prefix), texts)
    built = backbone.build(texts)
    add_tokens(built, [token for token in (settings.query_marker, settings.document_marker) if token], settings)
    return TokenEncoder(built, settings)


def add_tokens(backbone: Backbone, tokens: Sequence[str], settings: TokenEncoderSettings) -> None:
    """Give a backbone those of the tokens that its vocabulary lacks, in place.

    Their embeddings are drawn about the mean of all others, with their spread, from `settings.seed`.
    """
    known = backbone.tokenizer.backend_tokenizer
    if missing := [token for token in dict.fromkeys(tokens) if known.token_to_id(token) is None]:
        backbone.tokenizer.add_tokens(missing)
        old = backbone.model.get_input_embeddings().weight
        with torch.random.fork_rng(devices=[]):  # it draws rows, which are replaced below
            rows = max(len(backbone.tokenizer), len(old))
            backbone.model.resize_token_embeddings(rows, mean_resizing=False)
        new = backbone.model.get_input_embeddings().weight
        generator = torch.Generator().manual_seed(derive_seed("added tokens", settings.seed))
        with torch.no_grad():
            for token in missing:
                drawn = torch.randn(new.shape[1], generator=generator) * old.std(0) + old.mean(0)
                new[known.token_to_id(token)] = drawn


def normalize(vectors: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
    """Vectors of float32 and length 1; a zero vector stays zero, and its gradient finite.

    >>> normalize(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    vectors = vectors.float()
    squared = vectors.square().sum(-1, keepdim=True)
    return vectors * torch.where(squared > 1e-24, squared, 1.0).rsqrt()


def _projection(hidden_size: int, settings: TokenEncoderSettings) -> nn.Linear:
    """Random orthonormal rows: they keep the backbone's cosines as far as so few dimensions can."""
    bias = settings.projection_bias
    projection = nn.Linear(hidden_size, settings.dim, bias=bias, device="meta").to_empty(device="cpu")
    generator = torch.Generator().manual_seed(derive_seed("projection", settings.seed))
    nn.init.orthogonal_(projection.weight, generator=generator)
    if bias:
        nn.init.zeros_(projection.bias)
    return projection


def _special_ends(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens that the tokenizer puts before and after a text."""
    encoding = tokenizer.encode("a")
    content = [i for i, special in enumerate(encoding.special_tokens_mask) if not special]
    return encoding.ids[: content[0]], encoding.ids[content[-1] + 1 :]


def _tokens_up_to(offsets: list[tuple[int, int]], end: int) -> int:
    """How many tokens lie wholly within the first `end` characters."""
    count = 0
    while count < len(offsets) and offsets[count][1] <= end:
        count += 1
    return count


def _is_punctuation(piece: str) -> bool:
    return all(unicodedata.category(c)[0] in "PZC" or c in string.punctuation for c in piece)


def _longest_text(model: Any) -> int:
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit is None or limit < 0:
        return 1 << 30  # relative positions
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    first = getattr(table, "padding_idx", None)  # the RoBERTa family counts from padding_idx + 1
    return int(limit) if first is None else int(limit) - first - 1


def _offsets(lengths: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " bounds"]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def _sums(values: Bool[np.ndarray, " T"], offsets: Int64[np.ndarray, " bounds"]) -> Int64[np.ndarray, " N"]:
    return np.diff(_offsets(values.astype(np.int64))[offsets])


def by_length(texts: TokenizedTexts) -> Int64[np.ndarray, " N"]:
    """Longest first, so that memory runs out at once or never; then by content, to forget the order given."""
    bounds = pairwise(texts.offsets)
    keys = [(int(start - end), texts.ids[start:end].tobytes()) for start, end in bounds]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)


def _in_order(
    chunks: list[np.ndarray], counts: list[np.ndarray], order: Int64[np.ndarray, " N"], dim: int
) -> RaggedEmbeddings:
    sizes = np.zeros(len(order), np.int64)
    sizes[order] = np.concatenate([np.zeros(0, np.int64), *counts])
    offsets = _offsets(sizes)
    vectors = np.empty((offsets[-1], dim), np.float32)
    done = 0
    for chunk, count in zip(chunks, counts, strict=True):
        rows = order[done : done + len(count)]
        starts = np.repeat(offsets[rows] - _offsets(count)[:-1], count)
        vectors[np.arange(len(chunk)) + starts] = chunk
        done += len(count)
    return RaggedEmbeddings(vectors, offsets)
