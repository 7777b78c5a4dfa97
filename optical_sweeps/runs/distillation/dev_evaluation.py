"""Measures of a student on dev, during and after its training."""

from collections.abc import Mapping

from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.runs.distillation.run_metrics import RunMetrics
from optical_sweeps.runs.distillation.search_and_evaluate import EvaluationResult
from optical_sweeps.runs.distillation.start_scores import StartScores
from optical_sweeps.runs.distillation.student_search import StudentSearch
from optical_sweeps.runs.shared.prepare import SharedResources
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.training.fit import TrainingResult


class DevEvaluation:
    """Searches dev with a student, logs the measures, and keeps the newest result; used on rank 0 alone.

    It is the `DevEvaluator` of a training.
    """

    result: EvaluationResult | None = None

    def __init__(
        self, spec: RunSpec, shared: SharedResources, search: StudentSearch, metrics: RunMetrics
    ) -> None:
        self.spec, self.shared, self.search, self.metrics = spec, shared, search, metrics

    def evaluate(self, student: TokenEncoder, step: int) -> float:
        """The dev score of a student in training; runs that start from one student share that of step 0."""
        if step > 0:
            return self.measure(student, step)
        start = StartScores(self.spec, self.shared.teacher, student, self.search)
        scores: dict[str, float] = self.shared.builds.get(start)
        return self._log(scores, step)

    def measure(self, student: TokenEncoder, step: int) -> float:
        """Search dev and log the measures at this step; returns the main measure over all languages."""
        self.result = self.search.evaluate(student, "dev")
        return self._log(self.result.metrics(), step)

    def measure_untrained(self, student: TokenEncoder) -> None:
        """Measure the student of a run that trains nothing, in a log that it has to itself."""
        self.metrics.load_state_dict({})
        self.measure(student, 0)

    def measure_trained(self, student: TokenEncoder, training: TrainingResult) -> None:
        """Measure a trained student, unless the validation of its last step has."""
        if self.spec.training.keep == "best" and training.best_step != training.steps:
            self.measure(student, training.best_step)
        elif self.result is None:  # an earlier process trained and measured it
            self.result = self.search.evaluate(student, "dev")

    def _log(self, metrics: Mapping[str, float], step: int) -> float:
        self.metrics.log_metrics(metrics, step)
        return metrics[f"dev/{self.spec.evaluation.main_measure}/group:all"]
