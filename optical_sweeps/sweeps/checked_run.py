"""Hydra callback that checks a single run before Hydra creates its folder."""

from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from optical_sweeps.console import echo
from optical_sweeps.errors import UserError, leave_on_error
from optical_sweeps.runs.run import describe_run
from optical_sweeps.sweeps.expand import expand


class CheckedRun(Callback):
    """Checks the run of a command without -m; the sweeper checks the points of a grid."""

    @leave_on_error
    def on_run_start(self, config: DictConfig, **_: object) -> None:
        run = describe_run(config)
        run.check()
        folder = str(config.hydra.run.dir)
        is_set = any(text.startswith("hydra.run.dir=") for text in config.hydra.overrides.hydra)
        # Commands that only read runs work in the current folder.
        if (is_set or folder != ".") and Path(folder).absolute() != run.folder.absolute():
            raise UserError(
                f"hydra.run.dir: {folder}, but the run belongs into {run.folder}; "
                "leave it out, and set paths.sweeps and sweep.name"
            )
        if run.is_first_process and (points := _points(config)) > 1:
            recipe = config.hydra.runtime.choices.get("experiment")
            source = "hydra.sweeper.params" if recipe is None else f"experiment={recipe}"
            echo(
                f"{source} describes a grid of {points:,} points; this command runs one of them; add -m for all"
            )


def _points(config: DictConfig) -> int:
    """The number of points that the command would have with -m; 0 if the config has no swept values."""
    params = config.hydra.sweeper.get("params")
    loader = GlobalHydra.instance().config_loader()
    if not params or not isinstance(loader, ConfigLoaderImpl):
        return 0
    try:
        return len(expand(params, config.hydra.overrides.task, loader))
    except UserError:  # with -m the sweeper says what is wrong
        return 0
