"""One distillation run, from its checked spec to its record."""

import time
from collections.abc import Mapping

from optical_sweeps.console import echo, no_progress, progress
from optical_sweeps.encoders.lora import merge_lora
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.interruption import Interruption
from optical_sweeps.runs.distillation.dev_evaluation import DevEvaluation
from optical_sweeps.runs.distillation.run_metrics import RunMetrics
from optical_sweeps.runs.distillation.run_record import (
    UNTRAINED,
    run_facts,
    search_metrics,
    training_facts,
    write_results,
)
from optical_sweeps.runs.distillation.student_search import StudentSearch
from optical_sweeps.runs.distillation.student_setup import (
    distillation,
    draw_report,
    drawn_bitext,
    untrained_student,
)
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.runs.shared.prepare import SharedResources, prepare
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.training.callbacks import DevValidation
from optical_sweeps.training.context import NullLogger, TrainingContext
from optical_sweeps.training.fit import fit
from optical_sweeps.training.training_checkpoints import TrainingCheckpoints


def perform(spec: RunSpec, folder: RunFolder, interruption: Interruption) -> None:
    """Prepare, train, search, evaluate and write one run. The caller has claimed its folder.

    Raises:
        Interrupted: the process was asked to stop; the next call resumes the run.
        UserError: bad input, or the machine lacks disk space or memory.
    """
    clock = Clock()
    spec.machine.prepare()
    ranks = spec.machine.ranks()

    shared = ranks.run_on_rank0(prepare, spec, interruption) or prepare(spec, interruption)
    clock.lap("prepare")
    metrics = RunMetrics.start(spec, folder, ranks)
    clock.lap("tracker_start")

    with metrics.closing_on_error():
        with interruption.raising():
            student = untrained_student(spec, shared)
        search = StudentSearch(spec, shared, folder.path / "indexes", interruption)
        dev = DevEvaluation(spec, shared, search, metrics)
        checkpoints = TrainingCheckpoints(folder.path / "checkpoints", spec.id, echo)
        facts, seconds_before = UNTRAINED, 0.0
        if spec.objective.trains:
            drawn = drawn_bitext(spec, shared)
            report = draw_report(spec, drawn, student)
            metrics.tracker.log(0, report.metrics())
            with progress(spec.label) as advance:
                logger = metrics if ranks.is_first else NullLogger()
                context = TrainingContext(
                    spec.machine,
                    folder.path,
                    interruption,
                    ranks,
                    logger,
                    advance if ranks.is_first else no_progress,
                    checkpoints,
                )
                arguments = (spec, shared, student, drawn, context)
                # rank 0 stores what the others then find
                module, data = ranks.run_on_rank0(distillation, *arguments) or distillation(*arguments)
                clock.lap("draw")
                metrics.usage.pairs_per_step = len(data.pairs) * spec.training.epochs / data.steps
                validation = DevValidation(dev, spec.training, data.steps, context)
                training = fit(module, data, validation, context, spec.seed)
            merge_lora(student)
            ranks.run_on_rank0(dev.measure_trained, student, training)
            facts, seconds_before = training_facts(training, report), training.seconds_before
            metrics.usage.add(seconds_before)
        else:
            merge_lora(student)
            ranks.run_on_rank0(dev.measure_untrained, student)
        clock.lap("train", before=seconds_before)

        ranks.run_on_rank0(
            _evaluate_and_write, spec, folder, shared, student, search, dev, metrics, clock, facts
        )
        if ranks.is_first and not spec.machine.keep_checkpoints:
            checkpoints.remove()


def _evaluate_and_write(
    spec: RunSpec,
    folder: RunFolder,
    shared: SharedResources,
    student: TokenEncoder,
    search: StudentSearch,
    dev: DevEvaluation,
    metrics: RunMetrics,
    clock: "Clock",
    facts: Mapping[str, object],
) -> None:
    """Search and measure the test split, and write everything, the record last."""
    with progress(f"{spec.label}: test") as advance:
        test = search.evaluate(student, "test", advance)
    clock.lap("test")
    perturbed = []
    for perturbation in spec.evaluation.perturbations:
        with progress(f"{spec.label}: {perturbation}") as advance:
            perturbed.append(search.evaluate(student, "test", advance, perturbation))
    if perturbed:
        clock.lap("perturbed")
    prices = search.prices(student)
    if prices:
        clock.lap("price_of_pruning")
    assert dev.result is not None
    results = (dev.result, test, *perturbed)
    per_query, rankings = write_results(spec, results, student, shared.teacher, folder.path)
    clock.lap("write")
    usage = metrics.usage.totals()
    drift = dict(dev.drift)
    # in a combination, the name of the part precedes that of the diagnostic
    if (entropy := metrics.last_value("plan_relative_entropy")) is not None:
        drift["drift/plan_relative_entropy"] = entropy
    summary = {name: value for result in results for name, value in result.metrics().items()} | usage | drift
    summary |= search_metrics(prices)
    metrics.tracker.finish(summary=summary, files=[per_query], artifact=[per_query, *rankings])
    record = run_facts(spec, results, prices, usage, drift, str(student.projection.weight.device))
    clock.lap("tracker_finish")
    built = {"built": dict(shared.builds.seconds)}
    timings = {**clock.laps, "total": clock.total()}
    folder.write_record({**record, **facts, "shared": built, "timings": timings})
    search.clear()


class Clock:
    """Seconds of each part of a run."""

    def __init__(self) -> None:
        self.start = self.last = time.perf_counter()
        self.laps: dict[str, float] = {}
        self.before = 0.0

    def lap(self, part: str, before: float = 0.0) -> None:
        """End a part; `before` are the seconds that earlier processes spent on it."""
        now = time.perf_counter()
        self.laps[part], self.last = round(now - self.last + before, 3), now
        self.before += before

    def total(self) -> float:
        return round(time.perf_counter() - self.start + self.before, 3)
