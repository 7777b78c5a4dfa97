"""`export`: a run's student or a teacher as a folder for transformers or PyLate."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from optical_sweeps.checks import one_of
from optical_sweeps.console import echo
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError, leave_on_user_error
from optical_sweeps.runs.spec.run_spec import resolved


@leave_on_user_error
def run(config: DictConfig) -> None:
    """Hydra's task: load the encoder, write the folder, say where it is."""
    from optical_sweeps.encoders.colbert_formats.export import FORMATS, export

    settings = resolved(config)
    one_of("format", settings["format"], FORMATS)
    one_of("part", settings["part"], ("student", "teacher"))
    if (settings["run"] is None) == (settings["checkpoint"] is None):
        raise UserError("run, checkpoint: give one of them, such as run=multirun/demo/0123456789ab")
    encoder = _of_run(settings) if settings["run"] is not None else _of_folder(settings["checkpoint"])
    folder = Path(str(settings["to"])).expanduser()
    export(encoder.to("cpu"), folder, settings["format"])
    echo(f"{folder}: {settings['format']}, {encoder.settings.dim} dimensions, {encoder.name}")


def _of_folder(checkpoint: Any) -> TokenEncoder:
    """An entry of the store holds its encoder in a folder of its own."""
    from optical_sweeps.encoders.teacher_checkpoint import ColbertTeacher

    path = Path(str(checkpoint)).expanduser()
    inside = path / "encoder"
    try:
        return ColbertTeacher(str(inside if inside.is_dir() else path)).load()
    except UserError as error:
        raise UserError(str(error).replace("teacher.path", "checkpoint", 1)) from None


def _of_run(settings: Mapping[str, Any]) -> TokenEncoder:
    from optical_sweeps.runs.distillation.query_encoders import finished_run, trained_student
    from optical_sweeps.runs.shared.prepare import teacher_of

    folder, spec = finished_run(settings)
    spec.machine.prepare()
    teacher = teacher_of(spec)
    return teacher if settings["part"] == "teacher" else trained_student(folder, spec, teacher)
