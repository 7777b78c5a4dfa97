"""Hydra started from Python, for commands that compose many points rather than run one."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hydra import version
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, read_write
from omegaconf.errors import OmegaConfBaseException

from optical_sweeps.errors import UserError
from optical_sweeps.sweeps.conf_folder import conf_folder
from optical_sweeps.sweeps.hydra_messages import hydra_message, no_config_dir
from optical_sweeps.sweeps.override_text import quoted_overrides
from optical_sweeps.sweeps.run_id_resolver import register_resolvers
from optical_sweeps.sweeps.task import perform


@dataclass(frozen=True)
class HydraApp:
    """Hydra, started as for a multirun.

    Args:
        master: the config of the multirun; its values are not those of any point.
    """

    loader: ConfigLoaderImpl
    master: DictConfig

    @property
    def overrides(self) -> list[str]:
        """The overrides that the application was started with, without Hydra's own."""
        return list(self.master.hydra.overrides.task)

    def launch_here(self, job: Sequence[str], sweep: Path, number: int) -> None:
        """Perform a job of a sweep in this process, as Hydra's basic launcher does.

        Raises:
            Interrupted: the process received a signal.
        """
        master = self.master.copy()
        with read_write(master):  # the launcher creates this folder, which only the job's own config names
            master.hydra.sweep.dir = str(sweep)
        launcher = BasicLauncher()
        context = HydraContext(config_loader=self.loader, callbacks=Callbacks(master))
        task: Callable[[DictConfig], float] = perform
        launcher.setup(hydra_context=context, task_function=task, config=master)
        launcher.launch([list(job)], initial_job_idx=number)


@contextmanager
def hydra_app(
    config: str = "train", config_dir: str | None = None, overrides: Sequence[str] = ()
) -> Iterator[HydraApp]:
    """Start Hydra with a config of this package, or of `config_dir`, and end it.

    Raises:
        UserError: no such folder, no such config, or the overrides do not compose.
    """
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    register_resolvers()
    search_path = _search_path(config_dir)
    # Hydra allows one application at a time: an outer one is set aside
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    version.setbase("1.3")
    try:
        hydra = Hydra.create_main_hydra2("train", search_path)
        try:
            master = hydra.compose_config(
                config_name=config,
                overrides=["hydra.mode=MULTIRUN", *quoted_overrides(overrides)],
                run_mode=RunMode.MULTIRUN,
                with_log_configuration=False,
            )
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(hydra_message(error)) from error
        loader = hydra.config_loader
        assert isinstance(loader, ConfigLoaderImpl)
        yield HydraApp(loader, master)
    finally:
        GlobalHydra.instance().hydra = running


def _search_path(config_dir: str | None) -> ConfigSearchPath:
    """Where configs are looked up, in the order of Hydra's own --config-dir."""
    path = create_config_search_path(str(conf_folder()))
    if config_dir is not None:
        folder = Path(config_dir).resolve()
        if not folder.is_dir():
            raise UserError(no_config_dir(folder))
        path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
    return path
