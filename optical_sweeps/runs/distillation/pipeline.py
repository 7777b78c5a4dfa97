"""One run, from checked spec to record: prepare, distil, search, measure, write."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from optical_sweeps.console import echo, progress
from optical_sweeps.interruption import EXIT_CODE, Interrupted, Interruption, interruptible
from optical_sweeps.runs import provenance
from optical_sweeps.runs.machine_faults import machine_faults_in_words
from optical_sweeps.runs.metrics_log import MetricsLog
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.tracking.tracker import NullTracker, Tracker
from optical_sweeps.tracking.usage import Usage
from optical_sweeps.tracking.wandb_run import tracker_for
from optical_sweeps.training.checkpoints import State, UnusableCheckpoint
from optical_sweeps.training.ranks import Ranks


def perform_unless_done(spec: RunSpec, folder: RunFolder) -> bool:
    """Claim the folder and do the run; False if its record stands already.

    Of several processes that train together the first claims, and tells the others.

    Raises:
        RunIsTaken: another process works on it.
        Interrupted: this process was asked to stop; the next call goes on from there.
    """
    ranks = spec.machine.ranks()
    with ExitStack() as claim:

        def claimed() -> bool:
            if folder.state() == "done":
                return False
            with machine_faults_in_words(folder.path):
                claim.enter_context(folder.claim())
            return folder.state() != "done"  # it was finished while we waited

        if not ranks.broadcast_from_rank0(claimed):
            return False
        perform(spec, folder)
        return True


def perform(spec: RunSpec, folder: RunFolder) -> None:
    """Prepare, distil, search, measure; the record is written last. The folder is claimed by the caller.

    Raises:
        Interrupted: this process was asked to stop; the next call goes on from there.
        UserError: bad input, or the machine lacks disk or memory.
    """
    clock = _Clock()
    spec.check()
    spec.machine.prepare()
    with machine_faults_in_words(folder.path), interruptible() as interruption:
        try:
            _perform(spec, folder, spec.machine.ranks(), interruption, clock)
        except Interrupted as interrupted:
            kept = "at once" if interrupted.at_once else "the same command goes on from here"
            echo(f"{spec.label}: stopped by {interrupted.signal.name}; {kept}")
            raise


def _perform(
    spec: RunSpec, folder: RunFolder, ranks: Ranks, interruption: Interruption, clock: "_Clock"
) -> None:
    from optical_sweeps.runs.distillation.student_search import StudentSearch
    from optical_sweeps.runs.distillation.student_training import StudentTraining
    from optical_sweeps.runs.shared.prepare import prepare

    shared = ranks.run_on_rank0(lambda: prepare(spec, interruption)) or prepare(spec, interruption)
    clock.lap("prepare")
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
    clock.lap("tracker_start")
    log = _Log(folder, tracker, _usage(spec, ranks))
    search = StudentSearch(spec, shared.teacher, shared.index_of, folder.path / "indexes", interruption)
    training = StudentTraining(spec, folder, shared, search, log, interruption, ranks)

    def finish() -> None:
        record = _search_and_write(spec, folder, shared, search, students, log, tracker, interruption, clock)
        clock.lap("tracker_finish")
        record |= trained
        record["shared"] = {"built": dict(shared.builds.seconds)}
        record["timings"] = {**clock.laps, "total": clock.total()}
        folder.write_record(record)
        search.clear()
        if not spec.machine.keep_checkpoints:
            training.remove_checkpoints()

    try:
        if spec.objective.trains:
            students, trained, before = training.run()
            log.usage.add(before)
        else:
            students, before = training.untrained(), 0.0
            trained = {"training": {"steps": 0}, "resumed_from": []}
        clock.lap("train", before=before)
        ranks.run_on_rank0(finish)
    except BaseException as error:
        tracker.finish(exit_code=EXIT_CODE if isinstance(error, Interrupted) else 1)
        raise


def _usage(spec: RunSpec, ranks: Ranks) -> Usage:
    gpus = ranks.world if spec.machine.device() == "cuda" else 0
    pairs = float(spec.training.batch_size) if spec.objective.trains else 0.0
    return Usage(gpus=gpus, pairs_per_step=pairs)


def _search_and_write(
    spec: RunSpec,
    folder: RunFolder,
    shared: Any,
    search: Any,
    students: Any,
    log: "_Log",
    tracker: Tracker,
    interruption: Interruption,
    clock: "_Clock",
) -> dict[str, Any]:
    """Search and measure the test split, write all but the record; returns what of the record is known here."""
    from optical_sweeps.runs.distillation.search_and_evaluate import (
        search_and_measure,
        search_perturbed,
        write_per_query,
        write_rankings,
    )
    from optical_sweeps.runs.distillation.student_search import save_students

    with progress(f"{spec.label}: test") as advance:
        tick = interruption.checked(advance)
        (test,) = search.over(
            students, lambda own, queries, index_of: [search_and_measure(own, queries, index_of, "test", tick)]
        )
    clock.lap("test")
    perturbed = []
    if spec.evaluation.perturbations:
        with progress(f"{spec.label}: perturbed") as advance:
            tick = interruption.checked(advance)
            perturbed = search.over(
                students, lambda own, queries, index_of: search_perturbed(own, queries, index_of, tick)
            )
        clock.lap("perturbed")
    measured = (log.dev, test, *perturbed)
    for one in measured:
        write_rankings(one, folder.path / "runs", tag=spec.id)
    per_query = folder.path / "per_query.parquet"
    write_per_query(per_query, *measured)
    save_students(students, shared.teacher, folder.path / "checkpoints")
    clock.lap("write")
    used = log.usage.totals()
    rankings = sorted((folder.path / "runs").glob("*.trec.gz"))
    summary = {name: value for one in measured for name, value in one.metrics().items()} | used
    tracker.finish(summary=summary, files=[per_query], artifact=[per_query, *rankings])
    return {
        "id": spec.id,
        "label": spec.label,
        "config": spec.config,
        "facts": spec.facts(),
        "measures": {one.split: one.nested() for one in measured},
        "changed": {one.split: dict(one.changed) for one in perturbed},
        "collections": _collections(spec),
        "bitext": _bitext(spec),
        "usage": {key.removeprefix("usage/"): value for key, value in used.items()},
        "code": provenance.code_version(),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(str(next(students[0].encoder.parameters()).device)),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _collections(spec: RunSpec) -> dict[str, Any]:
    """Whose queries met whose documents, and what was left out."""
    found = {language: spec.corpus.collection(language, "test") for language in spec.languages.all}
    return {
        language: {
            "query_language": collection.query_language,
            "document_language": collection.document_language,
            "left_out": dict(collection.left_out),
        }
        for language, collection in found.items()
    }


def _bitext(spec: RunSpec) -> dict[str, Any]:
    """What reading and filtering the bitext kept and dropped, where the corpus counts it."""
    if not hasattr(spec.corpus, "bitext_reports"):
        return {}
    return {language: report.as_dict() for language, report in spec.corpus.bitext_reports().items()}


class _Log:
    """Sends metrics to the run folder and to the tracker, and holds the newest measurement of dev.

    Its state is the place in `metrics.jsonl`. A tracker is told anew what it was told shortly before its
    process ended, as it may not have kept it; readers merge rows by step.
    """

    def __init__(self, folder: RunFolder, tracker: Tracker, usage: Usage) -> None:
        self.metrics, self.tracker, self.usage = MetricsLog(folder.metrics_path), tracker, usage
        self.dev: Any = None

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        self.metrics.append(step, metrics)
        self.tracker.log(step, {**metrics, **self.usage.at(step)})  # times differ from run to run

    def state(self) -> State:
        return self.metrics.state()

    def restore(self, state: State | None) -> None:
        if state is not None and not self.metrics.reaches(state):
            raise UnusableCheckpoint(f"{self.metrics.path.name} ends before it")
        for step, metrics in self.metrics.restore(state):
            self.tracker.log(step, metrics)


class _Clock:
    """Seconds by part of the work."""

    def __init__(self) -> None:
        self.start = self.last = time.perf_counter()
        self.laps: dict[str, float] = {}
        self.before = 0.0

    def lap(self, part: str, before: float = 0.0) -> None:
        """End a part; `before` are seconds that processes before this one spent on it."""
        now = time.perf_counter()
        self.laps[part], self.last = round(now - self.last + before, 3), now
        self.before += before

    def total(self) -> float:
        return round(time.perf_counter() - self.start + self.before, 3)
