"""`sweep`: verbs on a sweep as a whole."""

import importlib
from dataclasses import dataclass

from optical_sweeps.console import echo
from optical_sweeps.errors import UserError


@dataclass(frozen=True)
class SweepCommand:
    """A verb of `sweep`; its module's `run` takes the arguments that follow."""

    summary: str
    usage: str

    def module(self, name: str) -> str:
        return f"optical_sweeps.commands.sweep_{name}"


SWEEP_COMMANDS = {
    "plan": SweepCommand(
        "what would run, what is done, what it would cost; runs and submits nothing",
        "OVERRIDES [--config-dir DIR] [--json]",
    ),
    "submit": SweepCommand(
        "give the grid's missing runs to Slurm, and return",
        "OVERRIDES hydra/launcher=slurm_gpu [--config-dir DIR] [--json]",
    ),
    "status": SweepCommand("the state of every run", "SWEEP [--all] [--map] [--watch] [--json]"),
    "retry": SweepCommand(
        "run again what failed, here or where it was submitted to",
        "SWEEP [--cause CAUSE] [--run ID ...] [--here] [--json]",
    ),
    "cancel": SweepCommand("take runs out of Slurm's queue", "SWEEP [--run ID ...] [--json]"),
    "logs": SweepCommand("what a run said, and why it failed", "SWEEP/RUN [--follow] [--json]"),
    "sync": SweepCommand("upload finished runs that W&B logged offline", "SWEEP [--json]"),
    "work": SweepCommand("what a Slurm task does; Slurm calls it", "SUBMISSION --task K"),
}


def run(arguments: list[str]) -> None:
    """Hand over to the verb that is named first."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        echo(_help())
        return
    name, rest = arguments[0], arguments[1:]
    if name not in SWEEP_COMMANDS:
        raise UserError(f"sweep {name}: no such verb; the verbs are {', '.join(SWEEP_COMMANDS)}")
    verb = SWEEP_COMMANDS[name]
    if any(argument in ("-h", "--help") for argument in rest):
        echo(f"usage: optical-sweeps sweep {name} {verb.usage}\n\n{verb.summary}")
        return
    importlib.import_module(verb.module(name)).run(rest)


def _help() -> str:
    width = max(map(len, SWEEP_COMMANDS))
    lines = ["usage: optical-sweeps sweep VERB ...", ""]
    lines += [f"  {name:<{width}}  {verb.summary}" for name, verb in SWEEP_COMMANDS.items()]
    lines += ["", *(f"  optical-sweeps sweep {name} {verb.usage}" for name, verb in SWEEP_COMMANDS.items())]
    lines += ["", "SWEEP is a sweep's folder, such as multirun/demo; OVERRIDES are those of `train -m`."]
    return "\n".join(lines)
