"""Settings of the student: its initial weights, its layers, and the side of retrieval that it learns."""

import hashlib
import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Lt
from pydantic import BeforeValidator

from optical_sweeps.checks import Count, PositiveFloat, Strings
from optical_sweeps.corpora.readers.digests import file_digest
from optical_sweeps.encoders.encoder_settings import SIDES, Side
from optical_sweeps.errors import UserError
from optical_sweeps.settings import key_of, settings


@settings("student.lora")
class LoraSettings:
    """W x + (alpha / rank) B A x, with A and B trained instead of W (Hu et al. 2022, arXiv 2106.09685).

    B is initialised to 0, so the adapted encoder initially gives the same vectors.

    Args:
        rank: rows of A.
        alpha: scale of the update, in units of `rank`.
        dropout: of the adapters' input during training.
        targets: names of the linear layers, such as `query` in BERT's attention.
    """

    rank: Count = 8
    alpha: PositiveFloat = 16.0
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    targets: Strings = ("query", "value")

    def __post_init__(self) -> None:
        if not self.targets:
            raise UserError(f"{key_of('targets')}: names no layer; give some, such as [query, value]")

    def check(self) -> None:
        """Raises UserError if peft is not installed."""
        if importlib.util.find_spec("peft") is None:
            raise UserError("student.lora: needs the package peft; pip install 'optical-sweeps[peft]'")


def _layer_numbers(value: object) -> tuple[int, ...]:
    """Distinct layer numbers, ascending."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"{value!r} is not a list; write it as [3, 4]")
    numbers = tuple(value)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"{number!r} is not a whole number of at least 1; change it")
    return tuple(sorted(set(numbers)))


@settings("student")
class StudentSettings:
    """The student before training, and the side of retrieval that it learns.

    Args:
        init: `teacher` (a copy of it), `backbone` (the run's pretrained backbone), or `checkpoint`.
        checkpoint: folder of a finished run, or of an encoder, to start from.
        projection: with `backbone`, the linear map to token vectors: the teacher's, or `new` (random rows).
        drop_layers: layers to remove, counted from 1, as in Sajjad et al. 2023, arXiv 2004.03844.
        lora: train low-rank adapters instead of the backbone's weights.
        side: encode translations as `query`, `document`, or `both`. The teacher encodes the English texts as
            the same side.
    """

    init: Literal["teacher", "backbone", "checkpoint"] = "teacher"
    checkpoint: str | None = None
    projection: Literal["teacher", "new"] = "teacher"
    drop_layers: Annotated[tuple[int, ...], BeforeValidator(_layer_numbers)] = ()
    lora: LoraSettings | None = None
    side: Literal["query", "document", "both"] = "query"

    def __post_init__(self) -> None:
        if (self.init == "checkpoint") != (self.checkpoint is not None):
            raise UserError(
                f"{key_of('checkpoint')}: {self.checkpoint}, but student.init is {self.init}; give both "
                "student.init=checkpoint and the path of a run's or an encoder's folder, or neither"
            )
        if self.projection == "new" and self.init != "backbone":
            raise UserError(f"{key_of('projection')}: new requires student.init=backbone; change one")

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides to train, in order."""
        return tuple(side for side in SIDES if self.side in (side, "both"))

    def check(self, layers: int | None = None) -> None:
        """Refuse missing packages, checkpoints and layers before any work.

        Args:
            layers: of the encoder that the student starts from; None if not known yet.
        """
        if self.lora is not None:
            self.lora.check()
        if self.checkpoint is not None:
            checkpoint_file(self.checkpoint)
        if layers is not None and self.init != "checkpoint":
            check_dropped_layers(self.drop_layers, layers)

    def fingerprint(self) -> str | None:
        """A digest of the checkpoint's content, which replaces its path in a run's identity."""
        if self.checkpoint is None:
            return None
        path = checkpoint_file(self.checkpoint)
        names = ("config.json", "model.safetensors", "tokenizer.json") if path.is_dir() else ("",)
        content = b"".join(file_digest(path / name) for name in names)
        return hashlib.blake2b(content, digest_size=16).hexdigest()


def checkpoint_file(path: str) -> Path:
    """The encoder's folder, or the file of a student, that is at `path` or in the run's folder `path`.

    Raises:
        UserError: there is neither.
    """
    folder = Path(path)
    for encoder in (folder, folder / "student", folder / "checkpoints" / "student"):
        if (encoder / "config.json").is_file() and (encoder / "model.safetensors").is_file():
            return encoder
    for file in (folder, folder / "student.safetensors", folder / "checkpoints" / "student.safetensors"):
        if file.is_file():
            return file
    raise UserError(
        f"student.checkpoint: {path} has no student; name the folder of a finished run, or one with an "
        "encoder's config.json and model.safetensors"
    )


def check_dropped_layers(dropped: Sequence[int], layers: int) -> None:
    """Raises UserError if a layer does not exist, or if none would be left."""
    if dropped and (dropped[-1] > layers or len(dropped) == layers):
        raise UserError(
            f"student.drop_layers: {list(dropped)} of an encoder with layers 1 to {layers}; drop other layers, "
            "and leave at least one"
        )
