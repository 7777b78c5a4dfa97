"""Hydra with this project's configs, for verbs that compose many points rather than run one."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optical_sweeps.errors import UserError, hydra_message

if TYPE_CHECKING:
    from omegaconf import DictConfig


def conf_folder() -> Path:
    """The folder of the Hydra configs: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


@dataclass(frozen=True)
class HydraApp:
    """Hydra, started as for a multirun.

    Args:
        loader: Hydra's config loader.
        master: the multirun's own config; its values are those of no point.
    """

    loader: Any
    master: "DictConfig"

    def launch_here(self, task: Any, job: Sequence[str], sweep: Path, number: int) -> Any:
        """Run a job of a sweep in this process, as Hydra's basic launcher does; what it returns, or raised."""
        from hydra._internal.callbacks import Callbacks
        from hydra._internal.core_plugins.basic_launcher import BasicLauncher
        from hydra.core.utils import JobStatus
        from hydra.types import HydraContext
        from omegaconf import read_write

        master = self.master.copy()
        with read_write(master):  # the launcher makes this folder: that of the job, not of the config alone
            master.hydra.sweep.dir = str(sweep)
        context = HydraContext(config_loader=self.loader, callbacks=Callbacks(master))
        launcher = BasicLauncher()
        launcher.setup(hydra_context=context, task_function=task, config=master)
        (done,) = launcher.launch([job], initial_job_idx=number)
        # `return_value` prints before it raises
        return done.return_value if done.status == JobStatus.COMPLETED else done._return_value


@contextmanager
def hydra_app(
    config: str = "train", config_dir: str | None = None, overrides: Sequence[str] = ()
) -> Iterator[HydraApp]:
    """Start Hydra with a config of ours, or of `config_dir`, and end it.

    Raises:
        UserError: no such folder, no such config, or overrides that do not compose.
    """
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    from hydra import version
    from hydra._internal.hydra import Hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf.errors import OmegaConfBaseException

    from optical_sweeps.runs.spec.resolvers import register_resolvers

    register_resolvers()
    search_path = _search_path(config_dir)
    running = GlobalHydra.instance().hydra  # of an application that calls this one: there is one at a time
    GlobalHydra.instance().clear()
    version.setbase("1.3")
    try:
        hydra = Hydra.create_main_hydra2("train", search_path)
        try:
            master = hydra.compose_config(
                config_name=config,
                overrides=["hydra.mode=MULTIRUN", *overrides],
                run_mode=RunMode.MULTIRUN,
                with_log_configuration=False,
            )
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(hydra_message(error)) from error
        yield HydraApp(hydra.config_loader, master)
    finally:
        GlobalHydra.instance().hydra = running


def _search_path(config_dir: str | None) -> Any:
    """Where configs are looked for; as Hydra's own --config-dir has it."""
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_search_path import SearchPathQuery

    path = create_config_search_path(str(conf_folder()))
    if config_dir is not None:
        folder = Path(config_dir).resolve()
        if not folder.is_dir():
            raise UserError(f"--config-dir {config_dir}: no such folder; the sweep's own configs were there")
        path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
    return path
