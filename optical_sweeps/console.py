"""What a person sees while the program works: lines that stay, and progress that goes away."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[[int, int], None]
"""(done, total) of the work under way."""


def no_progress(done: int, total: int) -> None:
    """Report nothing."""


def echo(text: str = "") -> None:
    """Print one line, as it is; never wrapped, so that logs and paths stay whole."""
    Console(highlight=False, soft_wrap=True).print(text, markup=False)


@contextmanager
def progress(description: str) -> Iterator[Advance]:
    """A progress bar on a terminal, which vanishes when done; on anything else, nothing.

    Yields a function to call with (done, total).
    """
    columns = (TextColumn("  {task.description}"), BarColumn(30), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
