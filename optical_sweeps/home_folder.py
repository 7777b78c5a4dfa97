"""A home folder for libraries that cannot work without one.

Containers run programs as a user who is only a number, or with a home that cannot be written. W&B's client,
ir_datasets and matplotlib then fail or complain, some of them when training is over.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

FOLDERS = ("MPLCONFIGDIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "XDG_CACHE_HOME")
"""Variables that move what libraries write into a home folder."""


def provide_home() -> None:
    """Give this process and its children a temporary home folder, unless the user's can be written.

    A home that can only be read stays, since it may hold credentials and models: only what libraries write
    is moved.
    """
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises for a user without one
    if home.is_absolute() and os.access(home, os.W_OK | os.X_OK):
        return
    folder = tempfile.mkdtemp(prefix="optical-sweeps-home-")
    atexit.register(_remove, folder, os.getpid())
    if home.is_absolute() and home.is_dir():
        changes = {name: f"{folder}/{name}" for name in FOLDERS if name not in os.environ}
        if (home / ".cache").is_dir():
            changes.pop("XDG_CACHE_HOME", None)  # models of Hugging Face are read from there
        if not (home / ".ir_datasets").is_dir():
            changes["IR_DATASETS_HOME"] = os.environ.get("IR_DATASETS_HOME", f"{folder}/ir_datasets")
    else:
        changes = {"HOME": folder}
    os.environ.update(changes)
    sys.stderr.write(
        f"no home folder that can be written: libraries use {folder} until this command ends; set HOME to a "
        "folder to keep their caches\n"
    )


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
