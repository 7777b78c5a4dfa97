"""The folder of an experiment's sweep, for verbs that read a sweep."""

from collections.abc import Sequence

from optical_sweeps.sweeps.hydra_app import hydra_app

EXPERIMENT = "experiment="


def with_sweep_of_experiment(arguments: Sequence[str]) -> list[str]:
    """The arguments with `experiment=NAME` as `sweep=FOLDER`, where `train -m experiment=NAME` lands.

    >>> with_sweep_of_experiment(["experiment=demo", "split=dev"])
    ['sweep=multirun/demo', 'split=dev']

    Raises:
        UserError: no such experiment.
    """
    config_dir = _value_of("--config-dir", arguments)
    return [
        f"sweep={_folder(argument.removeprefix(EXPERIMENT), config_dir)}"
        if argument.startswith(EXPERIMENT)
        else argument
        for argument in arguments
    ]


def _folder(experiment: str, config_dir: str | None) -> str:
    with hydra_app("train", config_dir, [f"{EXPERIMENT}{experiment}"]) as app:
        return str(app.master.hydra.sweep.dir)


def _value_of(flag: str, arguments: Sequence[str]) -> str | None:
    for place, argument in enumerate(arguments):
        if argument == flag and place + 1 < len(arguments):
            return arguments[place + 1]
        if argument.startswith(f"{flag}="):
            return argument.removeprefix(f"{flag}=")
    return None
