"""Methods of frozen objects that read their data at the first call."""

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

S = TypeVar("S")
P = ParamSpec("P")
T = TypeVar("T")


def read_once(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Keep the result of each call, by its positional arguments, for the life of the instance.

    >>> class Source:
    ...     @read_once
    ...     def texts(self, language: str) -> list[str]:
    ...         return [language]
    >>> source = Source()
    >>> source.texts("de") is source.texts("de"), source.texts("de") is source.texts("fr")
    (True, False)
    """

    @wraps(method)
    def read(self: S, /, *arguments: P.args, **options: P.kwargs) -> T:
        # the instance's __dict__ can be written to even where its dataclass is frozen
        results: dict[Hashable, T] = vars(self).setdefault(f"_read_once_{method.__name__}", {})
        if arguments not in results:
            results[arguments] = method(self, *arguments, **options)
        return results[arguments]

    return read
