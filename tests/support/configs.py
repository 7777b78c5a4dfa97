"""Configs of this project, composed as the command line composes them."""

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import DictConfig

from optical_sweeps.cli import conf_folder
from optical_sweeps.sweeps.run_id_resolver import register_resolvers


def compose(root: str, *overrides: str, with_hydra: bool = False) -> DictConfig:
    """The config `conf/<root>.yaml` with these overrides; `with_hydra` adds Hydra's own part."""
    register_resolvers()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return hydra_compose(root, overrides=list(overrides), return_hydra_config=with_hydra)
