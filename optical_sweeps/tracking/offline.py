"""Runs read from W&B's log files, which online and offline runs both write.

Reading is plain on purpose. On 1,000 runs of 100 logged steps (122 MB), final values take 4 s and histories 6 s
of one CPU core. A second process, a cache of what was read, and regular expressions over undecoded records each
save one or two of these seconds; a command that draws curves for such a sweep takes longer than all of them
together.
"""

import logging
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.fragments import Fragment, read_fragment, run_of_fragments
from optical_sweeps.tracking.offline_log import NotAWandbLog
from optical_sweeps.tracking.run_log import NoRuns, RunLog

Warn = Callable[[str], None]


def read_offline(folder: Path, *, warn: Warn | None = None, history: bool = True) -> list[RunLog]:
    """Every run with a W&B log below `folder`, in order of id.

    All fragments of a run (one per start of the process) are merged in order of their start. Rows of the same
    step become one row, in which later values replace earlier ones. Damaged parts of a log are skipped, counted
    in `RunLog.damage`, and reported by `warn` with one line per file; the run then counts as unfinished.

    Args:
        history: also read the rows, not only configs and final values.

    Raises:
        NoRuns: no log is below the folder.
        UserError: the folder does not exist.
    """
    warn = warn or logging.getLogger(__name__).warning
    require_folder(folder)
    fragments: dict[str, list[tuple[Path, Fragment]]] = defaultdict(list)
    paths = log_files(folder)
    if not paths:
        raise NoRuns(f"{folder}: no run with a W&B log below this folder; name a sweep's folder")
    for path in paths:
        try:
            fragment = read_fragment(path, history=history)
        except NotAWandbLog as error:
            warn(f"{error}; skipped")
            continue
        except OSError as error:
            warn(f"{path}: cannot be read ({error.strerror}); skipped")
            continue
        damage = fragment.damage
        if damage.places:
            warn(
                f"{path}: damaged in {damage.places} places; {damage.lost_bytes} bytes and at least "
                f"{damage.lost_records} records were skipped, so its run counts as unfinished"
            )
        fragments[fragment.run_id].append((path, fragment))
    return [run_of_fragments(fragments[run_id]) for run_id in sorted(fragments)]


def require_folder(folder: Path) -> None:
    """Check that a folder exists.

    Raises:
        UserError: it does not.
    """
    if not folder.is_dir():
        raise UserError(f"{folder.absolute()}: no such folder; name a sweep's folder, such as multirun/<sweep>")


def log_files(folder: Path) -> list[Path]:
    """The log files of all fragments below a folder; links such as `latest-run` are not followed."""
    paths: list[Path] = []
    for parent, folders, names in os.walk(folder):
        logs = [name for name in names if name.startswith("run-") and name.endswith(".wandb")]
        paths += [Path(parent, name) for name in logs]
        folders[:] = [] if logs else sorted(folders)
    return paths
