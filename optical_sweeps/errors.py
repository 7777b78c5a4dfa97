"""Errors of bad input, which the command line prints as one line."""

import traceback
from collections.abc import Callable
from functools import wraps
from typing import ClassVar, ParamSpec, TypeVar

from optical_sweeps.terminal_text import message_text

P = ParamSpec("P")
T = TypeVar("T")

RENAMED_KEYS = {"objective.solver.gradient": "objective.plan"}
"""Config keys that no longer exist, and the keys that replace them."""


class UserError(Exception):
    """Bad input: one line that says what is wrong, where (file, line, key), and what to do.

    The command line prints it without a traceback. Every other exception is a defect of this program.
    """

    exit_code: ClassVar[int] = 1


class UsageError(UserError):
    """A command line that cannot be parsed: an unknown command or option, or a missing argument."""

    exit_code: ClassVar[int] = 2


def hydra_message(error: Exception) -> str:
    """An error of Hydra or OmegaConf in one line; for a key of `RENAMED_KEYS` it names the new key."""
    text = " ".join(str(error).split())
    kind, _, rest = text.partition(": ")
    if kind == "LexerNoViableAltException":
        word = rest.partition(" ^")[0]
        return f"{word}: not key=value; keys, also those of a dict, are ASCII, and other values need quotes"
    for old, new in RENAMED_KEYS.items():
        if f"'{old}'" in text:
            return f"{old}: no such key; set {new}"
    return text


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type if it has no message."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def leave_on_error(task: Callable[P, T]) -> Callable[P, T]:
    """End the program when a Hydra callback raises; Hydra would turn the exception into a warning."""

    @wraps(task)
    def guarded(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return leave_on_user_error(task)(*arguments, **options)
        except Exception as error:
            raise SystemExit(message_text("".join(traceback.format_exception(error)))) from error

    return guarded


def leave_on_user_error(task: Callable[P, T]) -> Callable[P, T]:
    """End the program with one line when `task` raises a `UserError`.

    Hydra adds lines to every exception except SystemExit.
    """

    @wraps(task)
    def guarded(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return task(*arguments, **options)
        except UserError as error:
            raise SystemExit(message_text(f"error: {error}")) from error

    return guarded
