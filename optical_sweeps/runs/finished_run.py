"""The finished run, or the checkpoint, that a command reads; checked before anything heavy is imported."""

from collections.abc import Mapping
from pathlib import Path

from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import RunFolder


def check_source(settings: Mapping[str, object], needs_data: bool = True) -> None:
    """Refuse a command's config whose `run` and `checkpoint` name no encoder.

    Args:
        needs_data: a checkpoint needs a collection under `data`.

    Raises:
        UserError: both or neither are given, the run is not done, or a checkpoint comes without data.
    """
    run, checkpoint = settings.get("run"), settings.get("checkpoint")
    if (run is None) == (checkpoint is None):
        raise UserError("give a run's folder, such as multirun/demo/0123456789ab, or checkpoint=DIR")
    if run is not None:
        finished_folder(Path(str(run)))
    elif needs_data and not settings.get("data"):
        raise UserError("data: a checkpoint has no collection of its own; name one, such as data=emoji")


def finished_folder(path: Path) -> RunFolder:
    """The folder of a finished run.

    Raises:
        UserError: the run is not done, or the folder is that of a sweep.
    """
    folder = RunFolder(path)
    if (state := folder.state()) == "done":
        return folder
    if not path.exists():
        raise UserError(f"{path.absolute()} is missing, not done; name the folder of a finished run")
    if (path / "grid.json").exists():
        runs = sorted(record.parent for record in path.glob("*/record.json"))
        advice = f"name one of its runs, such as {runs[0]}" if runs else "and none of its runs is done"
        raise UserError(f"{path} is a sweep, not a run; {advice}")
    raise UserError(f"{path} is {state}, not done; name the folder of a finished run")
