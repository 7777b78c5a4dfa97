"""Texts in, one vector per token out: a backbone, a linear projection, and L2 normalisation.

Shape legend: B texts of a batch, n tokens of its longest, N texts, W tokens of the batch that take part,
d dimensions of a token vector, h hidden size of the backbone.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from optical_sweeps.encoders import packed_bert
from optical_sweeps.encoders.backbones import Backbone
from optical_sweeps.encoders.encoder_settings import Precision, Side, TokenEncoderSettings
from optical_sweeps.encoders.ragged import offsets_of, take_rows
from optical_sweeps.encoders.text_tokenizer import TextTokenizer
from optical_sweeps.encoders.token_embeddings import Progress, RaggedEmbeddings, TokenEmbeddings, normalize
from optical_sweeps.encoders.tokenized_texts import TokenBatch, TokenizedTexts, by_length
from optical_sweeps.encoders.transformer_layers import layer_list, longest_text, unread_parameters
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed

if TYPE_CHECKING:
    import transformers

Allocate = Callable[[tuple[int, int], type[np.float32]], np.ndarray]
"""(shape, type) -> a writable array."""
TOKENS_ALIKE = 256
"""Tokens of a batch of `encode_alone`; more would waste more on filling the last batch of each length."""
STRETCH = 1 << 14
"""Texts tokenized in one call, during which the process cannot react to a signal."""


class TokenEncoder(nn.Module):
    """A late-interaction encoder (ColBERT, arXiv 2004.12832, section 3.2).

    Raises:
        UserError: the settings do not fit the backbone (its maximum length, its vocabulary).
    """

    def __init__(self, backbone: Backbone, settings: TokenEncoderSettings) -> None:
        super().__init__()
        self.backbone: transformers.PreTrainedModel = backbone.model
        self.name = backbone.name
        self.settings = settings
        self.text_tokenizer = TextTokenizer(backbone.tokenizer, settings, backbone.name)
        self.text_tokenizer.check_lengths(longest_text(backbone.model))
        self.projection = _projection(backbone.model.config.hidden_size, settings)
        for parameter in unread_parameters(self.backbone):
            parameter.requires_grad = False

    def requires_grad_(self, requires_grad: bool = True) -> "TokenEncoder":
        """Make all weights trainable that take part; several devices would wait for gradients of others."""
        super().requires_grad_(requires_grad)
        for parameter in unread_parameters(self.backbone):
            parameter.requires_grad = False
        return self

    @property
    def tokenizer(self) -> "transformers.PreTrainedTokenizerFast":
        return self.text_tokenizer.tokenizer

    def tokenize_texts(self, texts: Iterable[str], side: Side) -> TokenizedTexts:
        """Token ids of texts; `collate` makes batches of the result."""
        return self.text_tokenizer.tokenize(texts, side)

    def collate(self, texts: TokenizedTexts, side: Side) -> TokenBatch:
        """One padded batch of tokenized texts."""
        return self.text_tokenizer.collate(texts, side)

    def tokenize(self, texts: Iterable[str], side: Side) -> TokenBatch:
        """One padded batch of texts."""
        return self.collate(self.tokenize_texts(texts, side), side)

    def forward(self, batch: TokenBatch) -> TokenEmbeddings:
        """Vectors in float32, of length 1 where `batch.mask` is true and 0 elsewhere."""
        return self._embeddings(self._states(batch), batch)

    def _embeddings(self, states: Float[Tensor, "W h"], batch: TokenBatch) -> TokenEmbeddings:
        vectors = normalize(self.projection(states))
        texts, width = batch.mask.shape
        positions = batch.mask.flatten().nonzero().squeeze(1)
        padded = vectors.new_zeros(texts * width, vectors.shape[1]).index_copy(0, positions, vectors)
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
        allocate: Allocate = np.empty,
    ) -> RaggedEmbeddings:
        """Vectors of many texts in the given order, without gradients and dropout.

        A batch contains texts of similar length, and the batches depend only on the tokens. The same set of
        texts therefore gives bit-identical vectors in any order, on one device with one number of threads.
        Another set or batch size can change the last bits, because the rounding of matrix products depends on
        their shape.

        Args:
            precision: of the backbone's matrix products; normalisation, sums and the projection stay float32.
            allocate: creates the array of the vectors, such as one that is mapped to a file.
        """
        tokens = texts if isinstance(texts, TokenizedTexts) else self._tokenize_all(list(texts), side, progress)
        order = by_length(tokens)
        offsets = offsets_of(self.text_tokenizer.participating(tokens, side))
        vectors = allocate((int(offsets[-1]), self.settings.dim), np.float32)
        training = self.training
        self.eval()
        try:
            for start in range(0, len(order), batch_size):
                texts_of_batch = order[start : start + batch_size]
                rows, _ = take_rows(offsets, texts_of_batch)
                vectors[rows] = self._encode_batch(tokens.take(texts_of_batch), side, precision)
                if progress is not None:
                    progress(min(start + batch_size, len(order)), len(order))
        finally:
            self.train(training)
        return RaggedEmbeddings(np.asarray(vectors), offsets)

    def encode_alone(
        self, texts: Sequence[str], side: Side, progress: Progress | None = None
    ) -> RaggedEmbeddings:
        """Vectors that do not depend on the other texts: the same sentence has the same vectors in every call.

        All texts of a batch have equally many tokens, and all batches of such texts have the same shape; the
        last one is filled up with a text. So every matrix product has a shape that the sentence alone
        determines, on one kind of device with one number of threads.
        """
        tokens = self._tokenize_all(texts, side, progress)
        shapes = np.stack([tokens.lengths, self.text_tokenizer.participating(tokens, side)])
        offsets = offsets_of(shapes[1])
        vectors = np.empty((int(offsets[-1]), self.settings.dim), np.float32)
        done = 0
        training = self.training
        self.eval()
        try:
            for batch, count in _batches_alike(shapes):
                encoded = self._encode_batch(tokens.take(batch), side, "float32")
                rows, bounds = take_rows(offsets, batch[:count])
                vectors[rows] = encoded[: bounds[-1]]
                done += count
                if progress is not None:
                    progress(done, len(tokens))
        finally:
            self.train(training)
        return RaggedEmbeddings(vectors, offsets)

    def _tokenize_all(self, texts: Sequence[str], side: Side, progress: Progress | None) -> TokenizedTexts:
        """Like `tokenize_texts`, with calls of `progress` in between, since they can raise to stop the work."""
        parts = []
        for start in range(0, max(len(texts), 1), STRETCH):
            if progress is not None and start:
                progress(0, len(texts))
            parts.append(self.tokenize_texts(texts[start : start + STRETCH], side))
        if len(parts) == 1:
            return parts[0]
        ids, masks = [part.ids for part in parts], [part.mask for part in parts]
        lengths = np.concatenate([part.lengths for part in parts])
        return TokenizedTexts(np.concatenate(ids), np.concatenate(masks), offsets_of(lengths))

    @torch.inference_mode()
    def _encode_batch(
        self, texts: TokenizedTexts, side: Side, precision: Precision
    ) -> Float[np.ndarray, "W d"]:
        device = self.projection.weight.device
        batch = self.collate(texts, side)
        on_device = batch.to(device)
        lower = precision != "float32"
        with torch.autocast(device.type, getattr(torch, precision)) if lower else nullcontext():
            states = self._states(on_device)
        vectors = self._embeddings(states.float() if lower else states, on_device).vectors.cpu()
        return vectors[batch.mask].numpy()

    def copy(self) -> "TokenEncoder":
        """A copy whose weights are separate and all trainable; both share the tokenizer."""
        shared = {id(self.text_tokenizer): self.text_tokenizer}
        return copy.deepcopy(self, shared).requires_grad_(True)

    def freeze(self, embeddings: bool = False, layers: int = 0) -> "TokenEncoder":
        """Freeze the embeddings, the first `layers` layers, or both; returns the encoder."""
        stack = layer_list(self.backbone) if layers else nn.ModuleList()
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


def _batches_alike(shapes: Int64[np.ndarray, "2 N"]) -> Iterator[tuple[Int64[np.ndarray, " B"], int]]:
    """Batches of texts with equal columns of `shapes`, and how many of their texts are no filling.

    The number of texts of a batch depends only on the tokens of each.
    """
    order = np.lexsort(shapes)[::-1]  # the most tokens first: if memory is too small, the first batch fails
    changes = np.flatnonzero((np.diff(shapes[:, order]) != 0).any(0)) + 1
    for group in np.split(order, changes):
        size = max(1, TOKENS_ALIKE // max(1, int(shapes[0, group[0]]))) if len(group) else 1
        for start in range(0, len(group), size):
            texts = group[start : start + size]
            yield np.concatenate([texts, np.repeat(texts[-1:], size - len(texts))]), len(texts)


def _projection(hidden_size: int, settings: TokenEncoderSettings) -> nn.Linear:
    """Random orthonormal rows: they preserve the backbone's cosines as well as so few dimensions can."""
    bias = settings.projection_bias
    projection = nn.Linear(hidden_size, settings.dim, bias=bias, device="meta").to_empty(device="cpu")
    generator = torch.Generator().manual_seed(derive_seed("projection", settings.seed))
    nn.init.orthogonal_(projection.weight, generator=generator)
    if bias:
        nn.init.zeros_(projection.bias)
    return projection
