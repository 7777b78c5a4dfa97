"""An encoder whose settings come from its checkpoint; those that a study names itself have to be the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optical_sweeps.checks import whole_number
from optical_sweeps.errors import UserError


@dataclass(frozen=True)
class EncoderOfCheckpoint:
    """None stands for what the checkpoint has.

    Args:
        dim: dimensions of a token vector.
        query_length, document_length: longest text in tokens, with marker and special tokens.
        query_marker, document_marker: the token that names the side.
        augmentation_attends: whether other tokens attend to a query's [MASK] tokens.

    Raises:
        UserError: a number below 1.
    """

    dim: int | None = None
    query_length: int | None = None
    document_length: int | None = None
    query_marker: str | None = None
    document_marker: str | None = None
    augmentation_attends: bool | None = None
    __no_type_check__ = True

    def __post_init__(self) -> None:
        for name in ("dim", "query_length", "document_length"):
            if getattr(self, name) is not None:
                whole_number(f"encoder.{name}", getattr(self, name), least=1)


def check_agreement(encoder: Any, stated: Mapping[str, Any], path: str) -> None:
    """Compare a study's encoder settings with those that the teacher's checkpoint fixes.

    Raises:
        UserError: the first that differs: key, both values, what to do.
    """
    whole = not isinstance(encoder, EncoderOfCheckpoint)
    for name, theirs in stated.items():
        ours = getattr(encoder, name, None)
        if ours == theirs or (ours is None and not whole) or (whole and name == "projection_bias"):
            continue
        instead = "" if whole else f", or encoder.{name}={theirs}"
        raise UserError(
            f"encoder.{name}: {ours!r}, but the teacher (teacher.path={path}) has {theirs!r}; set "
            f"encoder=checkpoint, which takes all from there{instead}"
        )
