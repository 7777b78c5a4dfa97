"""A started Hydra with this project's configs."""

from collections.abc import Iterator

import hypothesis
import pytest

from optical_sweeps.sweeps.hydra_app import HydraApp, hydra_app

hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="module")
def app() -> Iterator[HydraApp]:
    with hydra_app() as started:
        yield started
