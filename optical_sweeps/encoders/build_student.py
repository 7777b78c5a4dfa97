"""The student before its training, with its trainable parameters marked."""

from collections.abc import Iterable

from optical_sweeps.encoders.backbones import Backbone, BackboneSettings
from optical_sweeps.encoders.build_encoder import build_token_encoder
from optical_sweeps.encoders.lora import add_lora
from optical_sweeps.encoders.saved_encoders import load_difference, load_encoder
from optical_sweeps.encoders.student_settings import StudentSettings, check_dropped_layers, checkpoint_file
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.encoders.transformer_layers import drop_layers, layer_list
from optical_sweeps.errors import UserError


def build_student(
    settings: StudentSettings,
    teacher: TokenEncoder,
    backbone: BackboneSettings | None = None,
    texts: Iterable[str] | None = None,
    *,
    seed: int = 0,
) -> TokenEncoder:
    """A student with separate weights on the teacher's device.

    It tokenizes texts, and selects the tokens that take part, with the teacher's settings.

    Args:
        backbone: of the run; for `init=backbone`.
        texts: all texts that the run will encode, for a backbone whose vocabulary is fitted to them.
        seed: of the run; determines the initial adapters.

    Raises:
        UserError: the settings do not fit the teacher or the checkpoint.
    """
    if settings.checkpoint is not None:
        student = _from_checkpoint(settings.checkpoint, teacher)
    elif settings.init == "backbone":
        if backbone is None:
            raise ValueError("init=backbone needs the backbone")
        student = _from_backbone(settings, teacher, backbone, texts)
    else:
        student = teacher.copy()
    if settings.drop_layers:
        check_dropped_layers(settings.drop_layers, len(layer_list(student.backbone)))
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
        hidden, teacher_hidden = student.projection.in_features, teacher.projection.in_features
        if hidden != teacher_hidden:
            raise UserError(
                f"student.projection: the teacher's takes hidden vectors of {teacher_hidden} dimensions, "
                f"{student.name} has {hidden}; set student.projection=new"
            )
        student.projection.load_state_dict(teacher.projection.state_dict())
    return student


def _from_checkpoint(path: str, teacher: TokenEncoder) -> TokenEncoder:
    file = checkpoint_file(path)
    saved = load_encoder(file) if file.is_dir() else load_difference(file, teacher)
    if saved.settings.dim != teacher.settings.dim:
        raise UserError(
            f"student.checkpoint: {path} has token vectors of {saved.settings.dim} dimensions, the teacher of "
            f"{teacher.settings.dim}; set encoder.dim={saved.settings.dim} or name another checkpoint"
        )
    student = TokenEncoder(Backbone(saved.backbone, saved.tokenizer, saved.name), teacher.settings)
    student.projection = saved.projection
    return student
