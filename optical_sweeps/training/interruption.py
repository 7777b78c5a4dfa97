"""Being asked to stop: by Slurm, by a user, by whoever sends a signal; what is under way is kept first."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)
"""Slurm's end, its warnings as sbatch and submitit ask for them, and Ctrl-C."""

EXIT_CODE = 75
"""EX_TEMPFAIL: not failed; call again."""


class Interrupted(SystemExit):
    """The process was asked to stop and has kept what it could; uncaught, it ends the process with code 75.

    Args:
        number: of the signal.
        at_once: it was asked twice; nothing was kept beyond the last checkpoint.
    """

    def __init__(self, number: int, *, at_once: bool = False) -> None:
        super().__init__(EXIT_CODE)
        self.signal = signal.Signals(number)
        self.at_once = at_once

    def __reduce__(self) -> tuple[Callable[..., "Interrupted"], tuple[int, bool]]:
        return _interrupted, (int(self.signal), self.at_once)  # from one rank to the others


class Interruption:
    """Whether this process was asked to stop. The first signal is noted, a second one raises where it meets."""

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None

    def check(self) -> None:
        """Raises `Interrupted` if asked to stop; called where stopping loses nothing."""
        if self.asked is not None:
            raise Interrupted(self.asked)

    def checked(self, progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
        """A progress callable that is also a place to stop."""

        def tick(done: int, total: int) -> None:
            self.check()
            progress(done, total)

        return tick

    def listen(self) -> None:
        """Take the signals; again after a library has put handlers of its own in front.

        What the process was started to ignore (Ctrl-C, in a shell's background) stays ignored.
        """
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None:
            raise Interrupted(number, at_once=True)
        self.asked = signal.Signals(number)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Notes signals within the block, and restores their handlers after it.

    A handler that stood before gets the signal that ended the block: submitit's requeues the job, Python's own
    turns Ctrl-C into KeyboardInterrupt.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    interruption.listen()
    try:
        yield interruption
    except Interrupted as interrupted:
        _restore(before)
        handler = before[interrupted.signal]
        if callable(handler):
            handler(interrupted.signal, None)
        raise
    finally:
        _restore(before)


def ignore_signals(_: int) -> None:
    """For a data loader's workers, whom a signal to the whole job reaches too: their parent decides."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _restore(handlers: Mapping[signal.Signals, object]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)  # type: ignore[arg-type]


def _interrupted(number: int, at_once: bool) -> Interrupted:
    return Interrupted(number, at_once=at_once)
