"""The run of a retrieval sweep, as the sweep engine sees it: `run_type` of conf/train.yaml names this class."""

from collections.abc import Collection, Hashable, Mapping
from contextlib import ExitStack
from pathlib import Path

from optical_sweeps.console import echo
from optical_sweeps.interruption import Interrupted, Interruption, how_to_continue, interruptible
from optical_sweeps.runs.machine_faults import machine_faults_in_words
from optical_sweeps.runs.run import Config, PlanNotes, Run, Workload
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.runs.shared.bitext_demand import BitextDemand, bitext_notes
from optical_sweeps.runs.spec.run_spec import RunSpec


class RetrievalRun(Run):
    """Distils a teacher into a student on bitext, then searches and evaluates."""

    label_keys = ("objective", "mixture", "seed", "mixture.ratio", "mixture.total", "mixture.multiple")

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.spec = RunSpec.from_plain(config)

    def facts(self) -> Mapping[str, object]:
        return self.spec.facts()

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def label(self) -> str:
        return self.spec.label

    @property
    def is_first_process(self) -> bool:
        return self.spec.machine.ranks().is_first

    def check(self, *, devices: bool = True) -> None:
        self.spec.check(devices=devices)

    def demand(self) -> Hashable | None:
        return BitextDemand.of(self.spec) if self.spec.objective.trains else None

    @classmethod
    def plan_notes(cls, demands: Collection[Hashable]) -> PlanNotes:
        return bitext_notes([demand for demand in demands if isinstance(demand, BitextDemand)])

    def shared_note(self) -> Path:
        return self.spec.shared_note

    def prepare(self, interruption: Interruption) -> None:
        """Build the teacher and the document index."""
        from optical_sweeps.runs.shared.prepare import prepare

        self.spec.machine.prepare()
        prepare(self.spec, interruption)

    def perform(self, folder: RunFolder) -> bool:
        """Like `Run.perform`; if several processes train together, rank 0 claims the folder for all of them."""
        from optical_sweeps.runs.distillation.pipeline import perform

        ranks = self.spec.machine.ranks()
        with ExitStack() as stack:
            if not ranks.broadcast_from_rank0(_claim, folder, stack):
                return False
            self.check()
            stack.enter_context(machine_faults_in_words(folder.path))
            interruption = stack.enter_context(interruptible())
            try:
                perform(self.spec, folder, interruption)
            except Interrupted as interrupted:
                advice = "immediately" if interrupted.at_once else how_to_continue()
                echo(f"{self.label}: stopped by {interrupted.signal.name}; {advice}")
                raise
        return True

    @classmethod
    def workload(cls, config: Config) -> Workload:
        """Runs of one kind have objectives, backbones and corpora of the same classes; pairs are the amount."""
        kind = tuple(str(_value(config, name, "_target_")) for name in ("objective", "backbone", "data"))
        features = tuple(str(config.get(name)) for name in ("backbone", "data", "languages"))
        devices = _value(config, "machine", "devices")
        return Workload(kind, features, _pairs(config), devices if isinstance(devices, int) else 1)


def _claim(folder: RunFolder, stack: ExitStack) -> bool:
    """Claim the folder until the stack is closed; False if the run is done."""
    if folder.state() == "done":
        return False
    with machine_faults_in_words(folder.path):
        stack.enter_context(folder.claim())
    return folder.state() != "done"  # another process may have finished it before the claim


def _pairs(config: Config) -> float | None:
    """The sentence pairs that a run trains on, over all epochs; None if the config does not say."""
    total, epochs = _number(config, "mixture", "total"), _number(config, "training", "epochs")
    if total is None:
        high, multiple = _number(config, "mixture", "high_total"), _number(config, "mixture", "multiple")
        total = None if high is None or multiple is None else high * (1 + multiple)
    return None if total is None else total * (1 if epochs is None else epochs)


def _number(config: Config, section: str, key: str) -> float | None:
    value = _value(config, section, key)
    return float(value) if isinstance(value, int | float) else None


def _value(config: Config, section: str, key: str) -> object:
    values = config.get(section)
    return values.get(key) if isinstance(values, Mapping) else None
