"""Tiny random models of every family of transformers that reads text."""

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from optical_sweeps.encoders.tiny_backbone import train_tokenizer

LONGEST = 48
"""Positions of a tiny model, where its family limits them."""
SIZES = {
    "vocab_size": 300, "hidden_size": 32, "d_model": 32, "dim": 32, "emb_dim": 32, "embedding_size": 16,
    "intermediate_size": 48, "hidden_dim": 48, "d_ff": 48, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
    "num_hidden_layers": 3, "n_layers": 3, "num_layers": 3, "encoder_layers": 3, "decoder_layers": 1,
    "num_encoder_layers": 3, "num_decoder_layers": 1, "num_attention_heads": 2, "n_heads": 2, "num_heads": 2,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_encoder_attention_heads": 2,
    "num_decoder_attention_heads": 2, "num_key_value_heads": 2, "d_kv": 16, "head_dim": 16, "pad_token_id": 0,
    "max_position_embeddings": LONGEST, "max_encoder_position_embeddings": LONGEST, "attention_window": 8,
}  # fmt: skip
"""Sizes of a tiny model, by the names that families have for them."""
EXTRA: dict[str, dict[str, Any]] = {
    "luke": {"entity_vocab_size": 10, "entity_emb_size": 8},
    "mobilebert": {"embedding_size": 32, "true_hidden_size": 32, "intra_bottleneck_size": 32},
    "squeezebert": {
        "embedding_size": 32,
        **{f"{part}_groups": 1 for part in ("q", "k", "v", "post_attention", "intermediate", "output")},
    },
    "switch_transformers": {"num_experts": 2, "num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
}
"""Sizes that one family alone has."""


def tiny_config(family: str, **sizes: object) -> transformers.PretrainedConfig:
    known = CONFIG_MAPPING[family]().to_dict()
    common = {key: value for key, value in SIZES.items() if key in known}
    return CONFIG_MAPPING[family](**common | EXTRA.get(family, {}) | sizes)


def write_model(family: str, folder: Path, texts: tuple[str, ...], **sizes: object) -> Path:
    """A folder as `save_pretrained` writes it."""
    tokenizer = train_tokenizer(texts, 200)
    torch.manual_seed(1)
    with torch.no_grad():
        transformers.AutoModel.from_config(tiny_config(family, **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
