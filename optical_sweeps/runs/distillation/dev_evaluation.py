"""Measures of a student on dev, during and after its training."""

from collections.abc import Mapping
from types import MappingProxyType

from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.runs.distillation.drift import DriftProbe
from optical_sweeps.runs.distillation.run_metrics import RunMetrics
from optical_sweeps.runs.distillation.search_and_evaluate import EvaluationResult
from optical_sweeps.runs.distillation.student_search import StudentSearch
from optical_sweeps.runs.shared.prepare import SharedResources
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.training.fit import TrainingResult


class DevEvaluation:
    """Searches dev with a student, logs the measures, and keeps the newest result; used on rank 0 alone.

    It is the `DevEvaluator` of a training.
    """

    result: EvaluationResult | None = None
    drift: Mapping[str, float] = MappingProxyType({})

    def __init__(
        self, spec: RunSpec, shared: SharedResources, search: StudentSearch, metrics: RunMetrics
    ) -> None:
        self.spec, self.search, self.metrics = spec, search, metrics
        self.probe = DriftProbe.of_run(spec, shared)

    def evaluate(self, student: TokenEncoder, step: int) -> float:
        """Measure the student, log the measures at this step, and return the main one over all languages."""
        result = self._measure(student)
        scores = result.metrics()
        self.metrics.log_metrics({**scores, **self.drift}, step)
        return scores[f"dev/{self.spec.evaluation.main_measure}/group:all"]

    def measure_untrained(self, student: TokenEncoder) -> None:
        """Measure the student of a run that trains nothing, and start the log with it."""
        self.metrics.load_state_dict({})
        self.evaluate(student, 0)

    def measure_trained(self, student: TokenEncoder, training: TrainingResult) -> None:
        """Measure a trained student, unless its last validation has; an earlier best step is logged again."""
        if self.spec.training.keep == "best" and training.best_step != training.steps:
            self.evaluate(student, training.best_step)
        elif self.result is None:  # an earlier process trained and measured it
            self._measure(student)

    def _measure(self, student: TokenEncoder) -> EvaluationResult:
        """Search dev with the student, and measure its drift."""
        self.result, self.drift = self.search.evaluate(student, "dev"), self.probe.measure(student)
        return self.result
