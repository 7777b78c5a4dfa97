"""Access to W&B's public API with bounded retries, and its errors as one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.login import is_logged_in, one_line, server_problem

if TYPE_CHECKING:
    import wandb


def public_api(timeout: float) -> "wandb.Api":
    """The client's API.

    Args:
        timeout: seconds for one request, including its retries.

    Raises:
        UserError: not logged in, or the working directory chooses the server.
    """
    if not is_logged_in():
        raise UserError("W&B: not logged in; run `wandb login`, or use source=offline or source=records")
    if problem := server_problem():
        raise UserError(f"W&B: {problem}")
    import wandb

    settings = wandb.setup(settings=wandb.Settings(silent=True)).settings
    with _bounded_retries(settings, timeout):
        return wandb.Api(timeout=timeout)  # copies the settings


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
        raise UserError(f"W&B: {one_line(error)}; check the key and the network") from error
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
            f"W&B project {path}: {one_line(error)}; check its name, the key and the network"
        ) from error
