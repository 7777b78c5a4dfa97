"""Compiling the CPU kernels, and running them in parallel over the problems of a batch."""

import inspect
import itertools
import threading
from collections.abc import Callable
from typing import Any

import numba
import torch

_CHUNKS_PER_THREAD = 4  # ragged problems differ in work: small chunks balance it
_SERIAL_BELOW = 1 << 17  # cost entries (1 ms of work) below which a second thread costs more than it saves


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """`function` compiled without the interpreter lock, cached on disk where some cache folder is writable."""
    function = inspect.unwrap(function)  # a run-time type checker may have wrapped it
    try:
        return numba.njit(function, nogil=True, cache=True, **options)  # type: ignore[no-any-return]
    except RuntimeError:  # no folder to cache in: compile in each process
        return numba.njit(function, nogil=True, **options)  # type: ignore[no-any-return]


def over_problems(kernel: Callable[[int, int], None], problems: int, entries: int, threads: int | None) -> None:
    """Call `kernel(start, stop)` on chunks that cover `range(problems)`, in `threads` threads.

    Threads of our own rather than numba's parallel regions: those abort the process when two threads enter
    at once, or after a fork. They take as many threads as torch would (`torch.set_num_threads`).
    """
    threads = min(threads or torch.get_num_threads(), problems)
    if threads <= 1 or entries < _SERIAL_BELOW:
        kernel(0, problems)
        return
    size = -(-problems // (threads * _CHUNKS_PER_THREAD))
    starts = itertools.count(0, size)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while (start := next(starts)) < problems:
                kernel(start, min(start + size, problems))
        except BaseException as failure:
            failures.append(failure)

    helpers = [threading.Thread(target=work, daemon=True) for _ in range(threads - 1)]
    for helper in helpers:
        helper.start()
    work()
    for helper in helpers:
        helper.join()
    if failures:
        raise failures[0]
