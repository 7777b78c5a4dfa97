"""The metrics of a run, sent to its folder and to the tracker."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from optical_sweeps.console import echo
from optical_sweeps.interruption import EXIT_CODE, Interrupted
from optical_sweeps.runs import provenance
from optical_sweeps.runs.metrics_log import MetricsLog
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.tracking.tracker import NullTracker, Tracker
from optical_sweeps.tracking.usage import Usage
from optical_sweeps.tracking.wandb_run import tracker_for
from optical_sweeps.training.ranks import Ranks
from optical_sweeps.training.training_checkpoints import State, UnusableCheckpoint


class RunMetrics:
    """A training logger that writes to `metrics.jsonl` and to the tracker.

    Its state is the position in `metrics.jsonl`. A resumed run sends the rows of the last minute to the tracker
    again, since the tracker may have lost them with the process; readers merge rows by step.
    """

    def __init__(self, folder: RunFolder, tracker: Tracker, usage: Usage) -> None:
        self.metrics, self.tracker, self.usage = MetricsLog(folder.metrics_path), tracker, usage

    @classmethod
    def start(cls, spec: RunSpec, folder: RunFolder, ranks: Ranks) -> "RunMetrics":
        """Open the run's log; only rank 0 has a tracker."""
        tracker = tracker_for(spec.logger, warn=echo) if ranks.is_first else NullTracker()
        tracker.start(
            run_id=spec.id,
            group=str(spec.config["sweep"]["name"]),
            job_type="train",
            name=spec.label,
            config=spec.config,
            folder=folder.path,
            tags=[spec.objective.name, spec.corpus.name],
            code_version=provenance.code_version(),
        )
        return cls(folder, tracker, Usage(gpus=ranks.world if spec.machine.device() == "cuda" else 0))

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self.metrics.append(step, metrics)
        self.tracker.log(step, {**metrics, **self.usage.at(step)})  # usage differs between runs of one config

    def last_value(self, ending: str) -> float | None:
        """The newest value in the run's log of a metric whose name ends so; None if it was never logged."""
        return self.metrics.last_value(ending)

    def state_dict(self) -> State:
        return self.metrics.state()

    def load_state_dict(self, state: State) -> None:
        if state and not self.metrics.reaches(state):
            raise UnusableCheckpoint(f"{self.metrics.path.name} ends before it")
        for step, metrics in self.metrics.restore(state or None):
            self.tracker.log(step, metrics)

    @contextmanager
    def closing_on_error(self) -> Iterator[None]:
        """Close the tracker's run with the right exit code if the block fails or is interrupted."""
        try:
            yield
        except BaseException as error:
            self.tracker.finish(exit_code=EXIT_CODE if isinstance(error, Interrupted) else 1)
            raise
