"""A teacher that is not trained here: a ColBERT checkpoint of another program."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optical_sweeps.encoders.colbert_formats.checkpoint import ColbertCheckpoint, open_checkpoint
from optical_sweeps.encoders.colbert_formats.files import folder_digest
from optical_sweeps.encoders.colbert_formats.settings import EncoderOfCheckpoint, check_agreement
from optical_sweeps.errors import UserError

if TYPE_CHECKING:  # a grid is planned without torch
    from optical_sweeps.encoders.token_encoder import TokenEncoder


@dataclass(frozen=True)
class ColbertTeacher:
    """The encoder of a PyLate, sentence-transformers, Stanford ColBERT or ColBERT-X folder.

    Args:
        path: the folder; its content, not its place, counts in a run's identity.

    Raises:
        UserError: no path.
    """

    path: str
    training = None
    uses_backbone = False
    reads_pairs = False
    __no_type_check__ = True

    def __post_init__(self) -> None:
        if not isinstance(self.path, str) or not self.path:
            raise UserError(f"teacher.path: {self.path!r} is no path; name the folder of a ColBERT checkpoint")

    def check(self, encoder: Any, objective: Any) -> None:
        """Refuse before any work a folder that cannot be used, and settings of the study that contradict it."""
        stated = self._open().stated
        check_agreement(encoder, stated, self.path)
        if (own := getattr(objective, "expected_dim", None)) not in (None, stated["dim"]):
            raise UserError(
                f"objective.dim: {own}, but the teacher (teacher.path={self.path}) has token vectors of "
                f"{stated['dim']}; set encoder.dim={stated['dim']} and objective.dim=${{encoder.dim}}"
            )

    def fingerprint(self) -> str:
        """A digest of the folder's content."""
        return folder_digest(self._open().folder)

    def layers(self) -> int | None:
        """Layers of its backbone."""
        return self._open().layers

    def length(self, encoder: Any, side: str) -> int:
        """The longest text of a side, in tokens: the checkpoint's."""
        return int(self._open().stated[f"{side}_length"])

    def load(self) -> "TokenEncoder":
        """The encoder, frozen.

        Raises:
            UserError: the folder's parts are missing, damaged, or do not fit each other.
        """
        from optical_sweeps.encoders.colbert_formats.loading import load_checkpoint

        return load_checkpoint(self._open())

    def _open(self) -> ColbertCheckpoint:
        return open_checkpoint(Path(self.path).expanduser())


def refuse_without_checkpoint(encoder: Any) -> None:
    """An encoder of a checkpoint needs a teacher that is one."""
    if isinstance(encoder, EncoderOfCheckpoint):
        raise UserError(
            "encoder: checkpoint takes its settings from the teacher's folder, but this teacher is trained "
            "here; set teacher=colbert teacher.path=FOLDER, or another encoder"
        )
