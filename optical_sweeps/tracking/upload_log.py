"""What the client says of its uploads: in its log alone, when the server refuses them in the middle of a run.

After a refusal (a key that was revoked, a run that was deleted) the client stops uploading, goes on writing to
disk, and ends as if all were well. Only a time-out at the end is raised.
"""

import json
from pathlib import Path

from optical_sweeps.tracking.login import without_keys

CLIENT_LOG = "logs/debug-internal.log"

PARTS = ("filestream:", "file transfer: upload:", "runfiles:", "runupserter:", "sender: failed")
"""How the lines begin that tell of data which did not arrive."""


def upload_problem(fragment: Path) -> str:
    """The first upload that the server refused for good, in one line; empty where all arrived."""
    try:
        lines = (fragment / CLIENT_LOG).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        if '"level":"ERROR' in line and (message := _message(line)).startswith(PARTS):
            return f"the server did not take everything ({without_keys(message)})"
    return ""


def _message(line: str) -> str:
    try:
        return str(json.loads(line)["msg"])
    except (ValueError, KeyError, TypeError):
        return ""
