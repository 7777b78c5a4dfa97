"""Interpolations of ours in Hydra's configs."""

from omegaconf import DictConfig, OmegaConf


def register_resolvers() -> None:
    """Make `${run_id:}` the identity of the run that the config describes: its folder's name.

    Called before Hydra composes; and again, by import, in the processes that a launcher starts.
    """
    OmegaConf.register_new_resolver("run_id", _run_id, replace=True)


def _run_id(*, _root_: DictConfig) -> str:
    from optical_sweeps.runs.spec.run_spec import look_at

    return look_at(_root_).id


register_resolvers()
