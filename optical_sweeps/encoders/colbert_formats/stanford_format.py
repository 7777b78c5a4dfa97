"""Folders of Stanford's ColBERT, and of ColBERT-X (PLAID-X), which has the same layout.

config.json        of the backbone, architectures [HF_ColBERT]
model.safetensors  or pytorch_model.bin: the backbone's weights and `linear.weight`
artifact.metadata  JSON: lengths, markers, mask_punctuation, attend_to_mask_tokens

Encoding in that code: the marker's token is inserted after the first token; queries are padded to their length
with mask tokens, and all their tokens take part; documents exclude the first token of each ASCII punctuation
character. A padding token that a text spells out, such as [PAD], has no vector in a document, and is a mask
token in a query.
"""

import string
from pathlib import Path

from optical_sweeps.encoders.colbert_formats.checkpoint_files import (
    METADATA,
    PROJECTION,
    read_object,
    read_weights,
)
from optical_sweeps.encoders.colbert_formats.colbert_checkpoint import ColbertCheckpoint
from optical_sweeps.errors import UserError


def open_checkpoint(path: Path) -> ColbertCheckpoint:
    """The settings that the folder states; missing ones have that code's defaults.

    Raises:
        UserError: an interaction other than MaxSim over all query tokens, or no projection.
    """
    metadata = read_object(path / METADATA)
    if (interaction := metadata.get("interaction", "colbert")) != "colbert":
        raise UserError(
            f"teacher.path: {path / METADATA}: interaction {interaction!r} is not supported; name a checkpoint "
            "with 'colbert'"
        )
    settings = {
        "dim": metadata["dim"] if "dim" in metadata else _width(path),
        "query_prefix": "",
        "document_prefix": "",
        "query_length": metadata.get("query_maxlen", 32),
        "document_length": metadata.get("doc_maxlen", 220),
        "use_special_tokens": True,
        "use_prefix_tokens": True,
        "skip_punctuation": False,
        "query_augmentation": True,
        "augmentation_attends": bool(metadata.get("attend_to_mask_tokens", False)),
        "query_marker": metadata.get("query_token_id", "[unused0]"),
        "document_marker": metadata.get("doc_token_id", "[unused1]"),
        "projection_bias": False,
    }
    skipped = tuple(string.punctuation) if metadata.get("mask_punctuation", True) else ()
    return ColbertCheckpoint("Stanford", path, path, settings, skipped)


def _width(path: Path) -> int:
    weights = read_weights(path, (PROJECTION,))
    if PROJECTION not in weights:
        raise UserError(f"teacher.path: {path}: no {PROJECTION} among its weights; name a trained ColBERT")
    return len(weights[PROJECTION])
