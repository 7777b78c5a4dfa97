"""A composed Hydra config as plain containers."""

from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from optical_sweeps.errors import UserError, first_line


def without_hydra(config: DictConfig) -> DictConfig:
    """The config without its `hydra` section, copied only if it has one: copying is most of the work."""
    if "hydra" not in config:
        return config
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def resolved(config: DictConfig) -> dict[str, Any]:
    """Resolve every interpolation and drop the `hydra` section.

    Raises:
        UserError: a mandatory value is missing or an interpolation cannot be resolved.
    """
    own = without_hydra(config)
    try:
        plain = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key}: no value; give one, for example {error.full_key}=...") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {first_line(error)}") from error
    return cast(dict[str, Any], plain)
