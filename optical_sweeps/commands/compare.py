"""`compare`: tabulate systems by languages, trained students and baselines, on any collection."""

from omegaconf import DictConfig

from optical_sweeps.errors import leave_on_user_error
from optical_sweeps.sweeps.run_id_resolver import register_resolvers

register_resolvers()


@leave_on_user_error
def run(config: DictConfig) -> None:
    """Check every system, run what is missing, and write the table."""
    from hydra.core.hydra_config import HydraConfig

    from optical_sweeps.comparison.systems_comparison import compare
    from optical_sweeps.runs.resolved_config import resolved
    from optical_sweeps.sweeps.grid_planning import config_dir_of

    hydra = HydraConfig.get()
    compare(resolved(config), tuple(hydra.overrides.task), config_dir_of(hydra))
