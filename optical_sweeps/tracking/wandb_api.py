"""Access to W&B's public API with bounded retries, and its errors as one line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.tracking.login import is_logged_in, one_line, server_problem, server_url, without_keys
from optical_sweeps.tracking.server_answer import announced_wait, no_answer_reason

if TYPE_CHECKING:
    import wandb

FIRST_ANSWER = 30.0
"""Seconds within which the service must answer the first request, including its retries."""

PATIENCE = 5.0
"""Seconds of waiting for the first answer before a line informs the user."""


class NotLoggedIn(UserError):
    """There is no key for W&B's service."""


class NoAnswer(UserError):
    """W&B's service cannot be reached."""


class NoSuchProject(UserError):
    """W&B's service has no such project, or the user may not see it."""


def public_api(timeout: float, warn: Callable[[str], None] = echo) -> "wandb.Api":
    """The client's API, after the service has accepted the key.

    Args:
        timeout: seconds for one request, including its retries; for the first one at most `FIRST_ANSWER`.
        warn: called with one line if the service does not answer within some seconds.

    Raises:
        NotLoggedIn: there is no key.
        NoAnswer: the service does not answer.
        UserError: the working directory chooses the server.
    """
    if not is_logged_in():
        raise NotLoggedIn("W&B: not logged in; run `wandb login`")
    if problem := server_problem():
        raise UserError(f"W&B: {problem}")
    import wandb

    settings = wandb.setup(settings=wandb.Settings(silent=True)).settings
    first, url = min(timeout, FIRST_ANSWER), server_url()
    try:
        with announced_wait(url, first, warn, PATIENCE), _bounded_retries(settings, first):
            api = wandb.Api(timeout=first)  # copies the settings, and checks the key
    except Exception as error:
        reason = no_answer_reason(url)
        if reason is None:
            raise
        raise NoAnswer(
            f"W&B does not answer at {url} ({reason}); check the network and WANDB_BASE_URL"
        ) from error
    if timeout <= first:
        return api
    with _bounded_retries(settings, timeout):
        return wandb.Api(timeout=timeout)


@contextmanager
def _bounded_retries(settings: "wandb.Settings", timeout: float) -> Iterator[None]:
    """Bound the client's retries for objects created inside; runs of this process keep their own settings.

    Otherwise the client's background process repeats a request for a quarter of an hour, even if nothing waits
    for the answer any more, and can delay the end of the program by as much.
    """
    bounds = {
        "x_graphql_retry_max": 4,
        "x_graphql_retry_wait_min_seconds": timeout / 20,
        "x_graphql_retry_wait_max_seconds": timeout / 5,
        "x_graphql_timeout_seconds": timeout / 3,
    }
    before = {name: getattr(settings, name) for name in bounds if hasattr(settings, name)}
    for name in before:
        setattr(settings, name, bounds[name])
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(settings, name, value)


def require_service(timeout: float = 10.0) -> None:
    """Check that the service answers and accepts the key.

    Raises:
        UserError: not logged in, a refused key, or a service that does not answer.
    """
    try:
        entity = public_api(timeout).default_entity
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"W&B: {_client_error(error)}; check the key and the network") from error
    if entity is None:
        raise UserError("W&B: the service does not know the key; run `wandb login`")


@contextmanager
def errors_for_users(path: str) -> Iterator[None]:
    """Turn the client's errors, which are of many types, into one line without keys."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"W&B project {path}: {_client_error(error)}; check its name, the key and the network"
        ) from error


def _client_error(error: Exception) -> str:
    """The message of the client's own errors, which are sentences; other errors with their type."""
    import wandb

    return (isinstance(error, wandb.Error) and without_keys(str(error))) or one_line(error)
