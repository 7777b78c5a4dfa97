from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from optical_sweeps.transport import SOLVERS
from tests.support.transport_problems import random_problem

FOLDER = Path(__file__).parents[2] / "conf" / "transport"
# The library's epsilon is absolute, as in POT; studies measure it in the spread of each pair's costs.
RELATIVE = {"epsilon": 0.1, "epsilon_relative_to": "std"}
OWN_VALUES = {"sinkhorn": RELATIVE, "unbalanced": RELATIVE}


@pytest.mark.parametrize("name", sorted(SOLVERS))
def test_each_solver_has_a_config_that_states_every_setting(name):
    config = OmegaConf.load(FOLDER / f"{name}.yaml")
    solver = instantiate(config)
    assert solver == SOLVERS[name](**OWN_VALUES.get(name, {}))
    assert solver(random_problem()).matrix.shape == (3, 6, 8)
    settings = set(SOLVERS[name].__dataclass_fields__)
    assert set(config) - {"_target_"} == settings, "a setting the config does not show cannot be swept"
