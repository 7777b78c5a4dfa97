"""Errors of bad input, which the command line prints as one line."""

import traceback
from collections.abc import Callable, Iterable, Sequence
from difflib import SequenceMatcher, get_close_matches
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


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown key or name: the most similar known ones, or nothing.

    Keys of the same section come first; then the last part of a key decides.

    >>> keys = ["training.learning_rate", "teacher.training.learning_rate", "logger.project"]
    >>> did_you_mean("training.lr", keys), did_you_mean("projekt", keys)
    ('; did you mean training.learning_rate?', '; did you mean logger.project?')
    >>> did_you_mean("optcial", ["optical", "mse"]), did_you_mean("xyz", ["optical", "mse"])
    ('; did you mean optical?', '')
    """
    word, known = word.replace("/", "."), list(dict.fromkeys(known))
    section, _, name = word.rpartition(".")
    beside = [key for key in known if key.rpartition(".")[0] == section]
    similar = _similar(name, beside) or _similar(name, known)
    similar.sort(key=lambda key: SequenceMatcher(None, word, key).ratio(), reverse=True)
    return f"; did you mean {' or '.join(similar[:2])}?" if similar else ""


def _similar(name: str, keys: Sequence[str]) -> list[str]:
    """The keys whose last part is `name`, or is abbreviated by it (`lr`: `learning_rate`), or is similar."""
    names = {key: key.rpartition(".")[2] for key in keys}
    initials = {key: "".join(part[:1] for part in last.split("_")) for key, last in names.items()}
    close = get_close_matches(name, set(names.values()), n=1, cutoff=0.7)
    return (
        [key for key, last in names.items() if last == name]
        or [key for key, letters in initials.items() if len(letters) > 1 and letters == name]
        or [key for key, last in names.items() if last in close]
    )


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
