"""`export`: write a run's student or a teacher as a folder for transformers or PyLate."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from omegaconf import DictConfig

from optical_sweeps.checks import FilePath, check_new_folder
from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.runs.finished_run import check_source
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.settings import from_root, settings

if TYPE_CHECKING:
    from optical_sweeps.encoders.token_encoder import TokenEncoder


@settings("")
class ExportSettings:
    """See conf/export.yaml."""

    to: FilePath
    checkpoint: FilePath | None = None
    part: Literal["student", "teacher"] = "student"
    format: Literal["huggingface", "pylate"] = "huggingface"


def run(config: DictConfig, run: Path | None) -> None:
    """Load the encoder, write the folder, and print its path."""
    content = {**resolved(config), "run": run}
    chosen = from_root(ExportSettings, content)
    check_source(content, needs_data=False)
    check_new_folder("to", chosen.to)
    from optical_sweeps.encoders.colbert_formats.export_encoder import export

    if chosen.checkpoint is None:
        encoder = _encoder_of_run(content, chosen)
    else:
        encoder = _encoder_of_folder(chosen.checkpoint, chosen)
    export(encoder.to("cpu"), chosen.to, chosen.format)
    echo(f"{chosen.to}: {chosen.format}, {encoder.settings.dim} dimensions, {encoder.name}")


def _encoder_of_folder(checkpoint: Path, chosen: ExportSettings) -> "TokenEncoder":
    """The encoder of a folder, or of the folder `encoder` in an entry of the artifact store."""
    from optical_sweeps.encoders.colbert_formats.export_encoder import check_export
    from optical_sweeps.encoders.teacher_checkpoint import ColbertTeacher

    nested = checkpoint / "encoder"
    teacher = ColbertTeacher(nested if nested.is_dir() else checkpoint)
    try:
        check_export(teacher.stated_settings(), teacher.family(), chosen.to, chosen.format)
        return teacher.load()
    except UserError as error:
        raise UserError(str(error).replace("teacher.path", "checkpoint", 1)) from None


def _encoder_of_run(content: Mapping[str, object], chosen: ExportSettings) -> "TokenEncoder":
    from optical_sweeps.encoders.colbert_formats.export_encoder import check_export
    from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
    from optical_sweeps.encoders.huggingface_backbone import HuggingFaceBackbone
    from optical_sweeps.encoders.teacher_checkpoint import ColbertTeacher
    from optical_sweeps.runs.distillation.query_encoders import finished_run, trained_student
    from optical_sweeps.runs.shared.prepare import teacher_of

    folder, spec = finished_run(content)
    if isinstance(spec.encoder, TokenEncoderSettings):
        family = spec.backbone.family() if isinstance(spec.backbone, HuggingFaceBackbone) else None
        check_export(dataclasses.asdict(spec.encoder), family, chosen.to, chosen.format)
    elif isinstance(spec.teacher, ColbertTeacher):
        check_export(spec.teacher.stated_settings(), spec.teacher.family(), chosen.to, chosen.format)
    spec.machine.prepare()
    teacher = teacher_of(spec)
    return teacher if chosen.part == "teacher" else trained_student(folder, spec, teacher)
