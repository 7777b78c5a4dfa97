"""A teacher that is loaded instead of trained: a ColBERT checkpoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from optical_sweeps.checks import FilePath
from optical_sweeps.encoders.backbone_families import check_family
from optical_sweeps.encoders.colbert_formats.colbert_checkpoint import ColbertCheckpoint
from optical_sweeps.encoders.colbert_formats.open_colbert import open_checkpoint
from optical_sweeps.encoders.encoder_settings import (
    CheckpointEncoderSettings,
    EncoderSettings,
    Side,
    TokenEncoderSettings,
)
from optical_sweeps.encoders.model_folders import folder_digest
from optical_sweeps.errors import UserError
from optical_sweeps.settings import settings

if TYPE_CHECKING:  # a grid is planned without torch
    from optical_sweeps.encoders.token_encoder import TokenEncoder


@settings("teacher")
class ColbertTeacher:
    """The encoder of a PyLate, sentence-transformers, Stanford ColBERT or ColBERT-X folder.

    Args:
        path: the folder; its content, not its path, is part of a run's identity.
    """

    path: FilePath
    training = None
    uses_backbone = False
    reads_pairs = False

    def check(self, encoder: EncoderSettings, objective: object) -> None:
        """Refuse an unusable folder, and settings of the study that contradict it, before any work."""
        checkpoint = self._open()
        check_family("teacher.path", str(self.path), checkpoint.backbone_config)
        stated = checkpoint.settings
        check_agreement(encoder, stated, self.path)
        if (dim := getattr(objective, "expected_dim", None)) not in (None, stated["dim"]):
            raise UserError(
                f"objective.dim: {dim}, but the teacher (teacher.path={self.path}) has token vectors of "
                f"{stated['dim']}; set encoder.dim={stated['dim']} and objective.dim=${{encoder.dim}}"
            )

    def fingerprint(self) -> str:
        """A digest of the folder's content."""
        return folder_digest(self._open().folder)

    def layers(self) -> int | None:
        """Layers of its backbone, if its config states them."""
        return self._open().layers

    def length(self, encoder: EncoderSettings, side: Side) -> int:
        """Maximum length of a text on this side, in tokens."""
        length = self._open().settings[f"{side}_length"]
        assert isinstance(length, int)
        return length

    def stated_settings(self) -> Mapping[str, object]:
        """The encoder's settings that the folder states."""
        return self._open().settings

    def family(self) -> str:
        """The family of its backbone, `model_type` in config.json; empty if none is stated."""
        return str(self._open().backbone_config.get("model_type", ""))

    def load(self) -> "TokenEncoder":
        """The encoder, frozen.

        Raises:
            UserError: a part of the folder is missing, damaged, or does not fit another.
        """
        checkpoint = self._open()
        check_family("teacher.path", str(self.path), checkpoint.backbone_config)
        from optical_sweeps.encoders.colbert_formats.load_colbert import load_checkpoint

        return load_checkpoint(checkpoint)

    def _open(self) -> ColbertCheckpoint:
        return open_checkpoint(self.path)


def check_agreement(encoder: EncoderSettings, stated: Mapping[str, object], path: Path) -> None:
    """Compare a study's encoder settings with those that the teacher's checkpoint states.

    Raises:
        UserError: one differs.
    """
    complete = isinstance(encoder, TokenEncoderSettings)
    for name, theirs in stated.items():
        ours = getattr(encoder, name, None)
        if ours == theirs or (ours is None and not complete) or (complete and name == "projection_bias"):
            continue
        alternative = f", or encoder.{name}={theirs}" if complete else ""
        raise UserError(
            f"encoder.{name}: {ours!r}, but the teacher (teacher.path={path}) has {theirs!r}; set "
            f"encoder=checkpoint, which takes all settings from the teacher{alternative}"
        )


def refuse_without_checkpoint(encoder: object) -> None:
    """Raises UserError for an encoder whose settings come from a checkpoint, if the teacher has none."""
    if isinstance(encoder, CheckpointEncoderSettings):
        raise UserError(
            "encoder: checkpoint takes its settings from the teacher's folder, but this teacher is trained "
            "here; set teacher=colbert teacher.path=FOLDER, or another encoder"
        )
