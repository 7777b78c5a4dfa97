"""One run, from checked spec to record: prepare, distil, search, measure, write."""

import time
from collections.abc import Mapping
from typing import Any

from optical_sweeps.console import progress, say
from optical_sweeps.sweeps import provenance
from optical_sweeps.sweeps.ledger import RunFolder
from optical_sweeps.sweeps.run_spec import RunSpec
from optical_sweeps.tracking.tracker import Tracker
from optical_sweeps.tracking.wandb_run import tracker_for


def perform(spec: RunSpec, folder: RunFolder) -> None:
    """Prepare, distil, search, measure; the record is written last."""
    from optical_sweeps.verbs.shared import prepare

    clock = _Clock()
    spec.check()
    spec.machine.prepare()
    shared = prepare(spec)
    clock.lap("prepare")
    tracker = tracker_for(spec.logger, warn=say)
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
    clock.lap("tracker_start")
    try:
        record = _work(spec, folder, shared, tracker, clock)
    except BaseException:
        tracker.finish(exit_code=1)
        raise
    clock.lap("tracker_finish")
    record["timings"] = {**clock.laps, "total": clock.total()}
    folder.write_record(record)


def _work(spec: RunSpec, folder: RunFolder, shared: Any, tracker: Tracker, clock: "_Clock") -> dict[str, Any]:
    """Everything between the tracker's start and its end; returns the record but for the timings."""
    from optical_sweeps.encoders.checkpoints import save_difference
    from optical_sweeps.verbs.search_and_measure import search_and_measure, write_per_query, write_rankings

    log = _Log(folder, tracker)
    student, training = _student(spec, folder, shared, log)
    clock.lap("train")
    with progress(f"{spec.label}: test") as advance:
        test = search_and_measure(spec, student, shared.index, "test", advance)
    clock.lap("test")
    write_rankings(test, folder.path / "runs", tag=spec.id)
    write_rankings(log.dev, folder.path / "runs", tag=spec.id)
    per_query = folder.path / "per_query.parquet"
    write_per_query(per_query, log.dev, test)
    checkpoints = folder.path / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    save_difference(student, shared.teacher, checkpoints / "student.safetensors")
    clock.lap("write")
    tracker.finish(summary={**log.dev.metrics(), **test.metrics()}, files=[per_query])
    return {
        "id": spec.id,
        "label": spec.label,
        "config": spec.config,
        "facts": spec.facts(),
        "measures": {"dev": log.dev.nested(), "test": test.nested()},
        "training": training,
        "shared": {"built": dict(shared.built)},
        "code": provenance.code_version(),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(str(next(student.parameters()).device)),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _student(spec: RunSpec, folder: RunFolder, shared: Any, log: "_Log") -> tuple[Any, dict[str, Any]]:
    """The student, distilled where the objective trains, and what the record says of its training."""
    from optical_sweeps.training.distil import distil
    from optical_sweeps.verbs.search_and_measure import search_and_measure

    def measure(student: Any, step: int) -> float:
        log.dev = search_and_measure(spec, student, shared.index, "dev")
        log(step, log.dev.metrics())
        return float(log.dev.means["group:all"][spec.evaluation.main_measure])

    student = shared.teacher.copy()
    if not spec.objective.trains:
        measure(student, 0)
        return student, {"steps": 0}
    mixture = spec.mixture.draw(spec.bitext_sizes(), spec.languages.high, spec.languages.low)
    with progress(spec.label) as advance:
        done = distil(
            student,
            spec.objective,
            mixture,
            {language: spec.corpus.bitext(language) for language in spec.languages.all},
            shared.english,
            shared.vectors,
            spec.training,
            spec.machine,
            seed=spec.seed,
            log=log,
            measure=measure,
            progress=advance,
            folder=folder.path,
        )
    student.to(spec.machine.device())  # Lightning leaves it on the CPU
    if spec.training.keep == "best" and done.best_step != done.steps:
        measure(student, done.best_step)
    drawn = {"pairs": mixture.counts, "repeats": mixture.repeats, "ratio": mixture.ratio}
    return student, {"steps": done.steps, "best_step": done.best_step, "tokens": done.tokens, "drawn": drawn}


class _Log:
    """Sends metrics to the run folder and to the tracker, and holds the newest measurement of dev."""

    def __init__(self, folder: RunFolder, tracker: Tracker) -> None:
        self.folder, self.tracker = folder, tracker
        self.dev: Any = None

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        self.folder.append_metrics(step, metrics)
        self.tracker.log(step, metrics)


class _Clock:
    """Seconds by part of the work."""

    def __init__(self) -> None:
        self.start = self.last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, part: str) -> None:
        now = time.perf_counter()
        self.laps[part], self.last = round(now - self.last, 3), now

    def total(self) -> float:
        return round(time.perf_counter() - self.start, 3)
