"""The student before its training: what it begins as, and which of its parts train."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optical_sweeps.checks import one_of, whole_number
from optical_sweeps.encoders.backbones import Backbone, BackboneSettings, drop_layers, layer_list
from optical_sweeps.encoders.checkpoints import load_difference, load_encoder
from optical_sweeps.encoders.lora import LoraSettings, add_lora
from optical_sweeps.encoders.token_encoder import Side, TokenEncoder, build_token_encoder
from optical_sweeps.errors import UserError

SIDES: dict[str, tuple[Side, ...]] = {
    "query": ("query",),
    "document": ("document",),
    "both": ("query", "document"),
}


@dataclass(frozen=True)
class StudentSettings:
    """What the student begins as, and which side of retrieval it learns.

    Args:
        init: `teacher` (a copy of it), `backbone` (the run's backbone, as pretrained), or `checkpoint`.
        checkpoint: folder of a finished run, or of an encoder, to begin with.
        projection: with `backbone`, the linear map onto token vectors: the teacher's, or `new` (random rows).
        drop_layers: layers to leave out, counted from 1, as in Sajjad et al. 2023, arXiv 2004.03844.
        lora: train low-rank adapters in place of the backbone's weights.
        side: what the student encodes translations as: `query`, `document`, or `both`. Its teacher's vectors
            of the English side are those of the same side.

    Raises:
        UserError: a setting is unknown or does not fit another.
    """

    init: str = "teacher"
    checkpoint: str | None = None
    projection: str = "teacher"
    drop_layers: tuple[int, ...] = ()
    lora: LoraSettings | None = None
    side: str = "query"
    __no_type_check__ = True

    def __post_init__(self) -> None:
        one_of("student.init", self.init, ("teacher", "backbone", "checkpoint"))
        one_of("student.projection", self.projection, ("teacher", "new"))
        one_of("student.side", self.side, SIDES)
        if (self.init == "checkpoint") != (self.checkpoint is not None):
            raise UserError(
                f"student.checkpoint: {self.checkpoint}, but student.init is {self.init}; give both "
                "student.init=checkpoint and the path of a run's or an encoder's folder, or neither"
            )
        if self.projection == "new" and self.init != "backbone":
            raise UserError("student.projection: new goes with student.init=backbone alone; change one")
        object.__setattr__(self, "drop_layers", _layer_numbers(self.drop_layers))

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides to train, in order."""
        return SIDES[self.side]

    def check(self, layers: int | None = None) -> None:
        """Refuse before any work what would fail later: no peft, no checkpoint, no such layer.

        Args:
            layers: of the encoder that the student begins as; None where not known.
        """
        if self.lora is not None:
            self.lora.check()
        if self.checkpoint is not None:
            _checkpoint_file(self.checkpoint)
        if layers is not None and self.init != "checkpoint":
            _check_layers(self.drop_layers, layers)

    def fingerprint(self) -> str | None:
        """A digest of the checkpoint's content, which counts in a run's identity in place of its path."""
        return None if self.checkpoint is None else _content_digest(_checkpoint_file(self.checkpoint))


def build_student(
    settings: StudentSettings,
    teacher: TokenEncoder,
    backbone: BackboneSettings | None = None,
    texts: Iterable[str] | None = None,
    *,
    seed: int = 0,
) -> TokenEncoder:
    """A student with weights of its own, on the teacher's device, its trainable parameters marked as such.

    It cuts texts into tokens and picks those that take part by the teacher's settings.

    Args:
        backbone: of the run; for `init=backbone`.
        texts: that the run will encode, for a backbone that is fitted to them.
        seed: of the run; draws the first adapters.

    Raises:
        UserError: the settings do not fit the teacher or the checkpoint.
    """
    if settings.init == "teacher":
        student = teacher.copy()
    elif settings.init == "backbone":
        if backbone is None:
            raise ValueError("init=backbone needs the backbone")
        student = _from_backbone(settings, teacher, backbone, texts)
    else:
        assert settings.checkpoint is not None
        student = _from_checkpoint(settings.checkpoint, teacher)
    if settings.drop_layers:
        _check_layers(settings.drop_layers, len(layer_list(student.backbone)))
        drop_layers(student.backbone, settings.drop_layers)
    student = student.to(teacher.projection.weight.device).requires_grad_(True).train(teacher.training)
    if settings.lora is not None:
        add_lora(student, settings.lora, seed)
    return student


def _from_backbone(
    settings: StudentSettings, teacher: TokenEncoder, backbone: BackboneSettings, texts: Iterable[str] | None
) -> TokenEncoder:
    student = build_token_encoder(teacher.settings, backbone, texts)
    if settings.projection == "teacher":
        ours, theirs = student.projection.weight, teacher.projection.weight
        if ours.shape != theirs.shape:
            raise UserError(
                f"student.projection: the teacher's takes hidden vectors of {theirs.shape[1]} dimensions, "
                f"{student.name} has {ours.shape[1]}; set student.projection=new"
            )
        student.projection.load_state_dict(teacher.projection.state_dict())
    return student


def _from_checkpoint(path: str, teacher: TokenEncoder) -> TokenEncoder:
    file = _checkpoint_file(path)
    found = load_encoder(file) if file.is_dir() else load_difference(file, teacher)
    if found.settings.dim != teacher.settings.dim:
        raise UserError(
            f"student.checkpoint: {path} has token vectors of {found.settings.dim} dimensions, the teacher of "
            f"{teacher.settings.dim}; set encoder.dim={found.settings.dim} or name another checkpoint"
        )
    student = TokenEncoder(Backbone(found.backbone, found.tokenizer, found.name), teacher.settings)
    student.projection = found.projection
    return student


def _checkpoint_file(path: str) -> Path:
    """The encoder's folder or the difference's file that a path of either, or of a run, means."""
    folder = Path(path)
    for encoder in (folder, folder / "student", folder / "checkpoints" / "student"):
        if (encoder / "config.json").is_file() and (encoder / "model.safetensors").is_file():
            return encoder
    for file in (folder, folder / "student.safetensors", folder / "checkpoints" / "student.safetensors"):
        if file.is_file():
            return file
    raise UserError(
        f"student.checkpoint: {path} holds no student; name the folder of a finished run, or one "
        "with an encoder's config.json and model.safetensors"
    )


def _content_digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    names = ("config.json", "model.safetensors", "tokenizer.json") if path.is_dir() else ("",)
    for name in names:
        with (path / name if name else path).open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()


def _layer_numbers(value: Any) -> tuple[int, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise UserError(f"student.drop_layers: {value!r} is not a list; write it as [3, 4]")
    return tuple(sorted({whole_number("student.drop_layers", number, least=1) for number in value}))


def _check_layers(dropped: tuple[int, ...], layers: int) -> None:
    if dropped and (dropped[-1] > layers or len(dropped) == layers):
        raise UserError(
            f"student.drop_layers: {list(dropped)} of an encoder with layers 1 to {layers}; drop others, and "
            "leave at least one"
        )
