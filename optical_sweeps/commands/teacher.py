"""`teacher`: build what the runs of a sweep share."""

from omegaconf import DictConfig

from optical_sweeps.console import echo
from optical_sweeps.errors import leave_on_user_error
from optical_sweeps.runs.spec.run_spec import RunSpec


@leave_on_user_error
def run(config: DictConfig) -> None:
    """Build the teacher and the document index that do not exist yet."""
    from optical_sweeps.runs.shared.prepare import prepare

    spec = RunSpec.from_config(config)
    spec.machine.prepare()
    shared = prepare(spec)
    for part in ("teacher", "index"):
        if part not in shared.builds.seconds:
            echo(f"{part}: already in the store")
    echo(f"shared parts: {spec.artifacts}")
