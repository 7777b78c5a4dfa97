"""Graceful interruption: Slurm's signals and Ctrl-C are noted, and the work stops where it can be resumed."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)
"""Slurm's termination, the warnings that sbatch and submitit send before it, and Ctrl-C."""

EXIT_CODE = 75
"""EX_TEMPFAIL of sysexits.h: the process did not fail; start it again to continue."""


class Interrupted(SystemExit):
    """The process received a signal and saved what it could; uncaught, it ends the process with code 75.

    Args:
        number: the signal.
        at_once: it was the second signal; nothing was saved after the last checkpoint.
    """

    def __init__(self, number: int, *, at_once: bool = False) -> None:
        super().__init__(EXIT_CODE)
        self.signal = signal.Signals(number)
        self.at_once = at_once

    def __reduce__(self) -> tuple[Callable[..., "Interrupted"], tuple[int, bool]]:
        return _interrupted, (int(self.signal), self.at_once)  # pickled when one rank tells the others


class Interruption:
    """Notes the first signal for `check`; a second signal raises immediately."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._raises = False

    def check(self) -> None:
        """Raise `Interrupted` if a signal was received; call it where stopping loses no work."""
        if self.received is not None:
            raise Interrupted(self.received)

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Raise `Interrupted` for the first signal, wherever it arrives in the block.

        For work that leaves nothing half done and that has no place for `check`, such as hashing many texts.
        """
        self.check()
        self._raises = True
        try:
            yield
        finally:
            self._raises = False

    def checked(self, progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
        """The progress callback, preceded by `check`."""

        def tick(done: int, total: int) -> None:
            self.check()
            progress(done, total)

        return tick

    def listen(self) -> None:
        """Install the signal handlers; call it again after a library has installed its own.

        A signal that the process was started to ignore (Ctrl-C, for a background job of a shell) stays ignored.
        """
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise Interrupted(number, at_once=True)
        self.received = signal.Signals(number)
        if self._raises:
            raise Interrupted(number)


def call_in_thread(function: Callable[[], T]) -> T:
    """The function's result, computed in a thread, so that signals are handled while it runs.

    Python handles signals in the main thread, between two of its instructions: never during a long call of a
    compiled library. An exception that a handler raises abandons the thread, which ends with the process.
    """
    if threading.current_thread() is not threading.main_thread():
        return function()
    outcome: Future[T] = Future()

    def compute() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # the caller gets it
            outcome.set_exception(error)

    threading.Thread(target=compute, name="computation", daemon=True).start()
    return outcome.result()


def how_to_continue() -> str:
    """How work that a signal stopped in this process continues: in a Slurm job, Slurm may start it again."""
    if "SLURM_JOB_ID" in os.environ:
        return "it continues if Slurm requeues the job; otherwise submit it again"
    return "run the same command again to continue"


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Note signals within the block, and restore the previous handlers after it.

    If the block ends by `Interrupted`, the previous handler is called with its signal: submitit's requeues the
    job, Python's own raises KeyboardInterrupt for Ctrl-C. If the block completes its work although a signal was
    received, the signal is passed on to an enclosing block or sweep, which then starts no further work.
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
    if interruption.received is not None:
        _pass_on(interruption.received, before[interruption.received])


@contextmanager
def stopping(before: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Raise `Interrupted` at once for a signal within the block, except inside a nested `interruptible`.

    Ctrl-C stays a KeyboardInterrupt. A nested block notes signals itself, and passes on what it received.

    Args:
        before: called with the signal, before the exception is raised; further signals are ignored meanwhile.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        for each in handled:
            signal.signal(each, signal.SIG_IGN)
        before(signal.Signals(number))
        raise Interrupted(number)

    _ENCLOSING.add(stop)
    previous: dict[signal.Signals, object] = {
        number: signal.getsignal(number) for number in SIGNALS if number != signal.SIGINT
    }
    handled = [number for number, handler in previous.items() if handler is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, stop)
    try:
        yield
    finally:
        _ENCLOSING.discard(stop)
        _restore(previous)


_ENCLOSING: set[object] = {signal.default_int_handler}
"""Handlers, besides those of `Interruption`, that get a signal which came too late for a nested block."""


def _pass_on(number: signal.Signals, handler: object) -> None:
    """Call the handler of an enclosing block; those of other libraries would restart work that is complete."""
    if callable(handler) and (
        handler in _ENCLOSING or isinstance(getattr(handler, "__self__", None), Interruption)
    ):
        handler(number, None)


def ignore_signals(_: int) -> None:
    """Ignore signals in a data loader's worker: its parent reacts to them."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _restore(handlers: Mapping[signal.Signals, object]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)  # type: ignore[arg-type]


def _interrupted(number: int, at_once: bool) -> Interrupted:
    return Interrupted(number, at_once=at_once)
