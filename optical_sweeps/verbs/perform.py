"""One run, from checked spec to record: prepare, distil, search, measure, write."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from optical_sweeps.console import progress, say
from optical_sweeps.sweeps import provenance
from optical_sweeps.sweeps.ledger import RunFolder
from optical_sweeps.sweeps.machine_faults import machine_faults_in_words
from optical_sweeps.sweeps.metrics_log import MetricsLog
from optical_sweeps.sweeps.run_spec import RunSpec
from optical_sweeps.tracking.tracker import NullTracker, Tracker
from optical_sweeps.tracking.usage import Usage
from optical_sweeps.tracking.wandb_run import tracker_for
from optical_sweeps.training.checkpoints import Checkpoints, State, UnusableCheckpoint
from optical_sweeps.training.interruption import EXIT_CODE, Interrupted, Interruption, interruptible
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

        if not ranks.of_first(claimed):
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
            say(f"{spec.label}: stopped by {interrupted.signal.name}; {kept}")
            raise


def _perform(
    spec: RunSpec, folder: RunFolder, ranks: Ranks, interruption: Interruption, clock: "_Clock"
) -> None:
    from optical_sweeps.verbs.shared import prepare

    shared = ranks.on_first(lambda: prepare(spec, interruption)) or prepare(spec, interruption)
    clock.lap("prepare")
    tracker = tracker_for(spec.logger, warn=say) if ranks.is_first else NullTracker()
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
    checkpoints = Checkpoints(folder.path / "checkpoints", spec.id, say)

    def finish() -> None:
        record = _search_and_write(spec, folder, shared, student, log, tracker, interruption, clock)
        clock.lap("tracker_finish")
        record |= training
        record["shared"] = {"built": dict(shared.built)}
        record["timings"] = {**clock.laps, "total": clock.total()}
        folder.write_record(record)
        if not spec.machine.keep_checkpoints:
            checkpoints.remove()

    try:
        student, training = _student(spec, folder, shared, log, checkpoints, interruption, ranks, clock)
        ranks.on_first(finish)
    except BaseException as error:
        tracker.finish(exit_code=EXIT_CODE if isinstance(error, Interrupted) else 1)
        raise


def _student(
    spec: RunSpec,
    folder: RunFolder,
    shared: Any,
    log: "_Log",
    checkpoints: Checkpoints,
    interruption: Interruption,
    ranks: Ranks,
    clock: "_Clock",
) -> tuple[Any, dict[str, Any]]:
    """The student, distilled where the objective trains, and what the record says of its training."""
    from optical_sweeps.encoders.lora import merge_lora
    from optical_sweeps.training.distil import distil
    from optical_sweeps.verbs.search_and_measure import search_and_measure

    tick = interruption.checked(lambda done, total: None)

    def search_dev(student: Any) -> Any:
        log.dev = search_and_measure(spec, student, shared.index_of, "dev", tick)
        return log.dev

    def measure(student: Any, step: int) -> float:
        search_dev(student)
        log(step, log.dev.metrics())
        return float(log.dev.means["group:all"][spec.evaluation.main_measure])

    student = _untrained(spec, shared)
    if not spec.objective.trains:
        log.restore(None)
        ranks.of_first(lambda: measure(student, 0))
        clock.lap("train")
        return student, {"training": {"steps": 0}, "resumed_from": []}
    mixture = spec.mixture.draw(spec.bitext_sizes(), spec.languages.high, spec.languages.low)
    drawn = mixture.report()
    log.tracker.log(0, drawn.metrics())
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
            checkpoints=checkpoints,
            parts={"log": log} if ranks.is_first else {"log": _NoLog()},
            interruption=interruption,
            ranks=ranks,
        )
    student = merge_lora(student)
    if spec.training.keep == "best" and done.best_step != done.steps:
        ranks.of_first(lambda: measure(student, done.best_step))
    else:  # unless a process before this one trained and measured it, it is at hand
        ranks.on_first(lambda: log.dev or search_dev(student))
    clock.lap("train", before=done.seconds_before)
    training = {"steps": done.steps, "best_step": done.best_step, "tokens": done.tokens}
    training["drawn"] = drawn.as_dict()
    log.usage.add(done.seconds_before)
    return student, {"training": training, "resumed_from": list(done.attempts[1:])}


def _untrained(spec: RunSpec, shared: Any) -> Any:
    """The student before its training; one made from the backbone may have to read the study's texts."""
    from optical_sweeps.encoders.student import build_student
    from optical_sweeps.verbs.shared import all_texts

    reads = spec.student.init == "backbone" and spec.backbone.reads_texts
    texts = all_texts(spec) if reads else None
    return build_student(spec.student, shared.teacher, spec.backbone, texts, seed=spec.seed)


def _usage(spec: RunSpec, ranks: Ranks) -> Usage:
    gpus = ranks.world if spec.machine.device() == "cuda" else 0
    return Usage(gpus=gpus, pairs_per_step=spec.training.batch_size if spec.objective.trains else 0)


def _search_and_write(
    spec: RunSpec,
    folder: RunFolder,
    shared: Any,
    student: Any,
    log: "_Log",
    tracker: Tracker,
    interruption: Interruption,
    clock: "_Clock",
) -> dict[str, Any]:
    """Search and measure the test split, write all but the record; returns what of the record is known here."""
    from optical_sweeps.encoders.checkpoints import save_student
    from optical_sweeps.verbs.search_and_measure import search_and_measure, write_per_query, write_rankings

    with progress(f"{spec.label}: test") as advance:
        test = search_and_measure(spec, student, shared.index_of, "test", interruption.checked(advance))
    clock.lap("test")
    write_rankings(test, folder.path / "runs", tag=spec.id)
    write_rankings(log.dev, folder.path / "runs", tag=spec.id)
    per_query = folder.path / "per_query.parquet"
    write_per_query(per_query, log.dev, test)
    save_student(student, shared.teacher, folder.path / "checkpoints")
    clock.lap("write")
    used = log.usage.totals()
    rankings = sorted((folder.path / "runs").glob("*.trec.gz"))
    summary = {**log.dev.metrics(), **test.metrics(), **used}
    tracker.finish(summary=summary, files=[per_query], artifact=[per_query, *rankings])
    return {
        "id": spec.id,
        "label": spec.label,
        "config": spec.config,
        "facts": spec.facts(),
        "measures": {"dev": log.dev.nested(), "test": test.nested()},
        "collections": _collections(spec),
        "bitext": _bitext(spec),
        "usage": {key.removeprefix("usage/"): value for key, value in used.items()},
        "code": provenance.code_version(),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(str(next(student.parameters()).device)),
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


class _NoLog:
    """The log of all ranks but the first."""

    def state(self) -> State:
        return {}

    def restore(self, state: State | None) -> None: ...


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
