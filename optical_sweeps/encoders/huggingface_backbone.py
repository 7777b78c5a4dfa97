"""A backbone from the Hugging Face hub or from a local folder."""

import dataclasses
from collections.abc import Iterable
from pickle import UnpicklingError
from typing import TYPE_CHECKING

from optical_sweeps.checks import Count
from optical_sweeps.encoders.backbone_families import check_family
from optical_sweeps.encoders.backbones import Backbone, Dropout, settings_digest, transformer_weights
from optical_sweeps.encoders.model_folders import HubModel, quiet_transformers
from optical_sweeps.errors import UserError
from optical_sweeps.settings import settings

if TYPE_CHECKING:
    import transformers

DROPOUTS = (
    "hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout", "dropout_rate",
    "embedding_dropout", "mlp_dropout",
)  # fmt: skip
"""Config keys of dropout, by family: BERT's, BART's, T5's and ModernBERT's."""


@settings("backbone")
class HuggingFaceBackbone:
    """An encoder of the Hugging Face hub or of a local folder; Python code in its folder is never run.

    Args:
        name: `owner/model`, or the path of a folder.
        revision: branch, tag or commit on the hub.
        layers: keep the first `layers` layers; None keeps all.
        dropout: replaces the model's dropout; None keeps it.
    """

    name: str
    revision: str = "main"
    layers: Count | None = None
    dropout: Dropout | None = None
    reads_texts = False
    vocabulary_pairs = None

    def layer_weights(self) -> int | None:
        """From `num_hidden_layers` and `hidden_size` of its config.json."""
        config = self._hub_model.config()
        depth, hidden_size = config.get("num_hidden_layers"), config.get("hidden_size")
        if not isinstance(depth, int) or not isinstance(hidden_size, int):
            return None
        return transformer_weights(min(depth, self.layers or depth), hidden_size)

    def check(self) -> None:
        """Raises UserError if the model is neither on this machine nor on the hub, or of a refused family."""
        check_family("backbone.name", self.name, self._hub_model.config())

    def family(self) -> str:
        """The model's family, `model_type` in its config.json."""
        return str(self._hub_model.config().get("model_type", ""))

    def fingerprint(self) -> str:
        """A digest of the model's content and of the settings, without name and revision."""
        values = dataclasses.asdict(self) | {"name": "", "revision": ""}
        return settings_digest("huggingface", values | {"content": self._hub_model.content()})

    def build(self, texts: Iterable[str] | None = None) -> Backbone:
        """The model, downloaded if necessary.

        Raises:
            UserError: it is not available, cannot be loaded, lacks weights or has no fast tokenizer.
        """
        from optical_sweeps.encoders.transformer_layers import (
            drop_layers,
            drop_pooler,
            encoder_half,
            layer_list,
        )

        model, tokenizer = self._load()
        model = encoder_half(model)
        drop_pooler(model)
        if self.layers is not None:
            depth = len(layer_list(model))
            if self.layers > depth:
                raise UserError(
                    f"backbone.layers: {self.layers}, but {self.name} has layers 1 to {depth}; lower it"
                )
            drop_layers(model, range(self.layers + 1, depth + 1))
        return Backbone(model.eval(), tokenizer, self.name)

    @property
    def _hub_model(self) -> HubModel:
        return HubModel("backbone.name", self.name, self.revision, "use backbone=e5_small_offline")

    def _load(self) -> "tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerFast]":
        import transformers

        folder = self._hub_model.folder()
        try:
            with quiet_transformers():
                config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
                self._adapt(config)
                model, report = transformers.AutoModel.from_pretrained(
                    folder, config=config, trust_remote_code=False, dtype="float32", output_loading_info=True
                )
                tokenizer = transformers.AutoTokenizer.from_pretrained(
                    folder, trust_remote_code=False, use_fast=True
                )
        except (OSError, ValueError, KeyError, ImportError, UnpicklingError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(
                f"backbone.name: {folder} cannot be loaded ({reason}); name another model"
            ) from None
        unused = ("pooler", "decoder.")
        if missing := sorted(n for n in report["missing_keys"] if not any(part in n for part in unused)):
            raise UserError(
                f"backbone.name: {folder} lacks {len(missing)} weights, such as {missing[0]}, which would be "
                "random; name a complete checkpoint"
            )
        if not isinstance(tokenizer, transformers.PreTrainedTokenizerFast):
            raise UserError(
                f"backbone.name: {self.name} has no fast tokenizer (tokenizer.json); name another model"
            )
        return model, tokenizer

    def _adapt(self, config: "transformers.PretrainedConfig") -> None:
        """Set the dropout, exact attention in BigBird (it uses it up to 704 tokens), and no cache."""
        if getattr(config, "attention_type", None) == "block_sparse":
            config.attention_type = "original_full"  # else the config changes with the first text
        if getattr(config, "use_cache", False):
            config.use_cache = False
        if self.dropout is None:
            return
        keys = [key for key in DROPOUTS if hasattr(config, key)]
        if not keys:
            raise UserError(f"backbone.dropout: {self.name} has no dropout; leave it null")
        for key in keys:
            setattr(config, key, self.dropout)
