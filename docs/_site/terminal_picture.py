"""A picture of a terminal: runs a command in a pseudo-terminal, and writes what it shows as SVG.

python docs/_site/terminal_picture.py docs/assets/terminal-status.svg optical-sweeps sweep status multirun/demo
"""

import io
import os
import pty
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 88
FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Fonts of another host, which the site must not request."""


def screen_of(command: list[str]) -> str:
    """What the command shows on a terminal, with its colours; transient bars are overwritten."""
    os.environ.update(COLUMNS=str(COLUMNS), TERM="xterm-256color", PYTHONUTF8="1")
    parts: list[bytes] = []

    def read(descriptor: int) -> bytes:
        parts.append(os.read(descriptor, 65536))
        return parts[-1]

    status = os.waitstatus_to_exitcode(pty.spawn(command, read))
    if status:
        raise SystemExit(f"{' '.join(command)}: exit code {status}")
    text = b"".join(parts).decode().replace("\r\n", "\n")
    return re.sub(r"\x1b\[\?25[lh]|[^\n]*(?:\r|\x1b\[[12]?[KA])", "", text)


def main() -> None:
    target, *command = sys.argv[1:]
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(f"$ {' '.join(command)}", markup=False, highlight=False)
    console.print(Text.from_ansi(screen_of(command)))
    picture = FONT_FACE.sub("", console.export_svg(title="optical-sweeps"))
    Path(target).write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
