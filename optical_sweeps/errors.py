"""The one error a user is meant to read."""

from collections.abc import Callable
from functools import wraps
from typing import Any


class UserError(Exception):
    """Bad input: one line that says what is wrong, where (file, line, key), and what to do.

    The command line prints it without a traceback; everything else that is raised is a defect of ours.
    """


def leave_on_user_error(task: Callable[..., Any]) -> Callable[..., Any]:
    """Let `task` end the program with one line where input is bad.

    By SystemExit, since Hydra adds lines of its own to exceptions and turns those of callbacks into warnings.
    """

    @wraps(task)
    def guarded(*arguments: Any, **options: Any) -> Any:
        try:
            return task(*arguments, **options)
        except UserError as error:
            raise SystemExit(f"error: {error}") from error

    return guarded
