"""The interpolation `${run_id:}` of Hydra configs."""

from omegaconf import DictConfig, OmegaConf

from optical_sweeps.runs.run import describe_run


def register_resolvers() -> None:
    """Register `${run_id:}`, the id of the run that the config describes and the name of its folder.

    Call it before Hydra composes. A process that a launcher starts registers it by importing the task's module.
    """
    OmegaConf.register_new_resolver("run_id", _run_id, replace=True)


def _run_id(*, _root_: DictConfig) -> str:
    return describe_run(_root_).id
