"""What a ColBERT checkpoint's own files say, before any weight is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optical_sweeps.encoders.colbert_formats.files import METADATA, MODULES, read_object
from optical_sweeps.errors import UserError


@dataclass(frozen=True)
class ColbertCheckpoint:
    """A checkpoint's folder, read as far as its JSON goes.

    Args:
        format: whose layout it is.
        folder: of the checkpoint.
        backbone: the folder that transformers reads.
        stated: settings of a `TokenEncoder` that the checkpoint fixes, by name.
        skip_words: what documents leave out: tokens in PyLate, words in Stanford's code, where each stands for
            the first of its tokens.
        projections: folders of the linear maps after the backbone, in order; empty: `linear.weight` beside the
            backbone's weights.
        lowercase, strip: what is done to a text before the tokenizer sees it.
    """

    format: str
    folder: Path
    backbone: Path
    stated: Mapping[str, Any]
    skip_words: tuple[str, ...]
    projections: tuple[Path, ...] = ()
    lowercase: bool = False
    strip: bool = False

    @property
    def layers(self) -> int | None:
        """Layers of the backbone, where its config says so."""
        number = read_object(self.backbone / "config.json").get("num_hidden_layers")
        return number if isinstance(number, int) else None


def open_checkpoint(path: Path) -> ColbertCheckpoint:
    """What the folder holds: an encoder of ours, PyLate's layout (with a `modules.json`), or Stanford's.

    Raises:
        UserError: no such folder, another layout, or parts that are not supported; one line with what to do.
    """
    from optical_sweeps.encoders.colbert_formats import own, pylate, stanford

    if not path.is_dir():
        raise UserError(f"teacher.path: there is no folder {path}; name the folder of a ColBERT checkpoint")
    if own.is_own(path):
        return own.open_checkpoint(path)
    if (path / MODULES).is_file():
        return pylate.open_checkpoint(path)
    architectures = read_object(path / "config.json").get("architectures") or ()
    if (path / METADATA).is_file() or "HF_ColBERT" in architectures:
        return stanford.open_checkpoint(path)
    raise UserError(
        f"teacher.path: {path} has neither modules.json (PyLate) nor artifact.metadata (Stanford ColBERT, "
        "ColBERT-X), so no projection; name a ColBERT, or train one: teacher=default backbone=huggingface"
    )
