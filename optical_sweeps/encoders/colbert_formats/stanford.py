"""Folders of Stanford's ColBERT, and of ColBERT-X (PLAID-X), which keeps the layout.

config.json        of the backbone, architectures [HF_ColBERT]
model.safetensors  or pytorch_model.bin: the backbone's weights and `linear.weight`
artifact.metadata  JSON: lengths, markers, mask_punctuation, attend_to_mask_tokens

How its code encodes: the marker's token goes in after the first; queries are padded to their length by mask
tokens, and every token takes part; of documents the first token of each ASCII punctuation mark does not.
"""

import string
from pathlib import Path

from optical_sweeps.encoders.colbert_formats.checkpoint import ColbertCheckpoint
from optical_sweeps.encoders.colbert_formats.files import METADATA, read_object, read_weights
from optical_sweeps.errors import UserError

PROJECTION = "linear.weight"


def open_checkpoint(path: Path) -> ColbertCheckpoint:
    """What the folder says; where it says nothing, the defaults of that code.

    Raises:
        UserError: an interaction other than MaxSim over all query tokens, or no projection.
    """
    own = read_object(path / METADATA)
    if (interaction := own.get("interaction", "colbert")) != "colbert":
        raise UserError(
            f"teacher.path: {path / METADATA}: interaction {interaction!r} is not supported; name a checkpoint "
            "with 'colbert'"
        )
    stated = {
        "dim": own["dim"] if "dim" in own else _width(path),
        "query_prefix": "",
        "document_prefix": "",
        "query_length": own.get("query_maxlen", 32),
        "document_length": own.get("doc_maxlen", 220),
        "use_special_tokens": True,
        "use_prefix_tokens": True,
        "skip_punctuation": False,
        "query_augmentation": True,
        "augmentation_attends": bool(own.get("attend_to_mask_tokens", False)),
        "query_marker": own.get("query_token_id", "[unused0]"),
        "document_marker": own.get("doc_token_id", "[unused1]"),
        "projection_bias": False,
    }
    skipped = tuple(string.punctuation) if own.get("mask_punctuation", True) else ()
    return ColbertCheckpoint("Stanford", path, path, stated, skipped)


def _width(path: Path) -> int:
    weights = read_weights(path, (PROJECTION,))
    if PROJECTION not in weights:
        raise UserError(f"teacher.path: {path}: no {PROJECTION} among its weights; name a trained ColBERT")
    return len(weights[PROJECTION])
