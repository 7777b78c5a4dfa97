"""Output for the terminal: lines that stay, and progress bars that disappear."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import Segment

from optical_sweeps.terminal_encoding import tolerate_encodings
from optical_sweeps.terminal_text import message_text, plain_text

Advance = Callable[[int, int], None]
"""Reports progress as (done, total)."""
QUIET_SECONDS, REPEAT_SECONDS = 60.0, 600.0
"""Seconds before the first line about long work, and between its lines, where output is no terminal."""
_JSON_ALONE = ContextVar("standard output is for JSON alone", default=False)


@dataclass(frozen=True)
class PlainTexts:
    """A table or screen whose texts reach the terminal without control characters; styles stay."""

    content: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.content, options):
            yield segment if segment.control else Segment(plain_text(segment.text), segment.style)


class _PlainTextsHook(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [PlainTexts(renderable) for renderable in renderables]


def terminal(width: int | None = None, error: bool = False) -> Console:
    """A console on standard output that accepts every character.

    Texts are never mark-up, and control characters are shown as text.

    Args:
        width: columns; None is the terminal's own width.
        error: use standard error instead.
    """
    tolerate_encodings()
    console = Console(width=width, markup=False, emoji=False, stderr=error)
    console.push_render_hook(_PlainTextsHook())
    return console


def no_progress(done: int, total: int) -> None:
    """Report nothing."""


@contextmanager
def json_alone() -> Iterator[None]:
    """Keep standard output for `echo_json`: `echo` and progress bars write to standard error."""
    token = _JSON_ALONE.set(True)
    try:
        yield
    finally:
        _JSON_ALONE.reset(token)


def echo(text: str = "") -> None:
    """Print a text without control characters and secrets.

    It is never wrapped, so that log lines and paths stay whole.
    """
    _messages().print(message_text(text), highlight=False, soft_wrap=True)


def echo_json(value: object) -> None:
    """Print a JSON value on one line, with escapes where the terminal is not UTF-8: JSON stays JSON."""
    readable = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
    text = plain_text(json.dumps(value, ensure_ascii=not readable))
    terminal().print(text, highlight=False, soft_wrap=True)


def _messages() -> Console:
    """The console of messages and progress bars."""
    return terminal(error=_JSON_ALONE.get())


class _TimedLines:
    """Prints lines about long work, such as `teacher: 120 of 600 after 60 s`, and none about quick work.

    Args:
        quiet: seconds before the first line.
    """

    def __init__(self, description: str, quiet: float) -> None:
        self._description, self._due, self._start = description, quiet, monotonic()

    def __call__(self, done: int, total: int) -> None:
        seconds = monotonic() - self._start
        if seconds >= self._due and done < total:
            self._due = seconds + REPEAT_SECONDS
            duration = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
            echo(f"{self._description}: {done:,} of {total:,} after {duration}")


@contextmanager
def progress(description: str, quiet: float = QUIET_SECONDS) -> Iterator[Advance]:
    """Show a progress bar on a terminal; elsewhere print a line from time to time if the work takes long.

    Yields a function to call with (done, total).

    Args:
        quiet: seconds before the first line.
    """
    console = _messages()
    if not console.is_terminal:
        yield _TimedLines(description, quiet)
        return
    text = TextColumn("  {task.description}", markup=False)
    columns = (text, BarColumn(30), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(message_text(description), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def counter(description: str) -> Iterator[Callable[[int], None]]:
    """Show a number on a terminal, for work of unknown size; yields a function to call with the number."""
    text = TextColumn("  {task.description}", markup=False)
    columns = (text, TextColumn("{task.completed:,.0f}", markup=False))
    console = _messages()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(message_text(description), total=None)
        yield lambda done: bar.update(task, completed=done)


def size_text(count: int) -> str:
    """A number of bytes in decimal units.

    >>> size_text(999), size_text(1_540_000), size_text(7_000_000_000)
    ('999 B', '1.5 MB', '7.0 GB')
    """
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
