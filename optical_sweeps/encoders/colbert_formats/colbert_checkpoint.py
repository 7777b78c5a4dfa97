"""What the files of a ColBERT checkpoint state, before any weight is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from optical_sweeps.encoders.colbert_formats.checkpoint_files import read_object

Format = Literal["saved", "exported", "PyLate", "Stanford"]
"""`saved`: the layout of `saved_encoders`; `exported`: the layout huggingface of `export_encoder`."""


@dataclass(frozen=True)
class ColbertCheckpoint:
    """A checkpoint's folder and the content of its JSON files.

    Args:
        format: the layout.
        folder: of the checkpoint.
        backbone: the folder that transformers reads.
        settings: values of `TokenEncoderSettings` that the checkpoint fixes, by name.
        skip_words: what documents exclude: tokens in PyLate; in Stanford's code words, each of which excludes
            its first token.
        projections: folders of the linear maps after the backbone, in order; empty: `linear.weight` is stored
            with the backbone's weights.
        lowercase, strip: whether a text is lowercased or stripped before the tokenizer.
    """

    format: Format
    folder: Path
    backbone: Path
    settings: Mapping[str, Any]
    skip_words: tuple[str, ...] = ()
    projections: tuple[Path, ...] = ()
    lowercase: bool = False
    strip: bool = False

    @property
    def backbone_config(self) -> Mapping[str, Any]:
        """The content of the backbone's config.json."""
        config = read_object(self.backbone / "config.json")
        backbone = config.get("backbone") if self.format == "saved" else config
        return backbone if isinstance(backbone, dict) else {}

    @property
    def layers(self) -> int | None:
        """Layers of the backbone, if its config states them."""
        number = self.backbone_config.get("num_hidden_layers")
        return number if isinstance(number, int) else None
