"""The one error a user is meant to read."""

import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any


class UserError(Exception):
    """Bad input: one line that says what is wrong, where (file, line, key), and what to do.

    The command line prints it without a traceback; everything else that is raised is a defect of ours.
    """


def first_line(error: BaseException) -> str:
    """An exception in one line, for people; its kind where it says nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def leave_on_error(task: Callable[..., Any]) -> Callable[..., Any]:
    """For Hydra's callbacks, whose exceptions Hydra turns into warnings: any error ends the program."""

    @wraps(task)
    def guarded(*arguments: Any, **options: Any) -> Any:
        try:
            return leave_on_user_error(task)(*arguments, **options)
        except Exception as error:
            raise SystemExit("".join(traceback.format_exception(error))) from error

    return guarded


def leave_on_user_error(task: Callable[..., Any]) -> Callable[..., Any]:
    """Let `task` end the program with one line where input is bad.

    By SystemExit, since Hydra adds lines of its own to exceptions.
    """

    @wraps(task)
    def guarded(*arguments: Any, **options: Any) -> Any:
        try:
            return task(*arguments, **options)
        except UserError as error:
            raise SystemExit(f"error: {error}") from error

    return guarded
