"""The message of an expected `UserError`."""

from collections.abc import Callable

import pytest

from optical_sweeps.errors import UserError


def failure(call: Callable[[], object]) -> str:
    """The message of the UserError that a call raises, which must be one line."""
    with pytest.raises(UserError) as error:
        call()
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)
