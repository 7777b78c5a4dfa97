"""Upload failures that W&B's client reports only in its own log file.

If the server refuses uploads in the middle of a run (a revoked key, a deleted run), the client stops uploading,
continues to write to disk, and exits as if nothing had happened. It only raises for a time-out at the end.
"""

from pathlib import Path

from optical_sweeps.limits import parse_json
from optical_sweeps.tracking.login import without_keys

CLIENT_LOG = "logs/debug-internal.log"

PARTS = ("filestream:", "file transfer: upload:", "runfiles:", "runupserter:", "sender: failed")
"""How log lines about lost data begin."""


def upload_problem(fragment: Path) -> str:
    """The first upload that the server refused permanently, as one line; empty if everything arrived."""
    try:
        lines = (fragment / CLIENT_LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        if '"level":"ERROR' in line and (message := _message(line)).startswith(PARTS):
            return f"the server did not accept everything ({without_keys(message)})"
    return ""


def _message(line: str) -> str:
    try:
        return str(parse_json(line)["msg"])
    except (ValueError, KeyError, TypeError):
        return ""
