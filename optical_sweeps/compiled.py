"""Numeric kernels compiled with numba."""

import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
T = TypeVar("T")


def compiled(
    *, fastmath: bool = False, error_model: str = "python"
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Compile a function without the interpreter lock, cached on disk if a cache folder is writable.

    Args:
        fastmath, error_model: options of `numba.njit`.

    >>> @compiled()
    ... def double(x):
    ...     return 2 * x
    >>> double(3)
    6
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        plain = inspect.unwrap(function)  # tests wrap functions in a run-time type checker
        try:
            kernel: Callable[P, T] = numba.njit(
                plain, nogil=True, fastmath=fastmath, error_model=error_model, cache=True
            )
        except RuntimeError:  # no writable cache folder: every process compiles
            kernel = numba.njit(plain, nogil=True, fastmath=fastmath, error_model=error_model)
        return kernel

    return decorate
