"""A small simulated study, as the logs of a ratio sweep give it."""

import pandas
import pytest

from tests.support.curve_study import GROUPS, made_up_study


@pytest.fixture
def per_query() -> pandas.DataFrame:
    return made_up_study()


@pytest.fixture
def groups() -> dict[str, tuple[str, ...]]:
    return GROUPS
