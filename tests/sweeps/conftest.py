"""A started Hydra with this project's configs."""

from collections.abc import Iterator

import pytest

from optical_sweeps.sweeps.hydra_app import HydraApp, hydra_app


@pytest.fixture(scope="module")
def app() -> Iterator[HydraApp]:
    with hydra_app() as started:
        yield started
