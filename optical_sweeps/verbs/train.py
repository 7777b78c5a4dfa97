"""`train`: one run, from its config to its record."""

import time
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from optical_sweeps.console import progress, say
from optical_sweeps.errors import UserError, first_line, leave_on_user_error
from optical_sweeps.sweeps import provenance
from optical_sweeps.sweeps.ledger import RunFolder, RunIsTaken
from optical_sweeps.sweeps.plan import GRID_FILE, Grid
from optical_sweeps.sweeps.resolvers import register_resolvers
from optical_sweeps.sweeps.run_spec import RunSpec
from optical_sweeps.tracking.tracker import Tracker
from optical_sweeps.tracking.wandb_run import tracker_for

register_resolvers()  # a launcher's worker process comes in by importing this module


@leave_on_user_error
def run(config: DictConfig) -> float:
    """Hydra's task: do the run unless it is done; return its test score of all languages, NaN if it failed.

    In a sweep a failed run does not stop the others: it leaves `FAILED.json` and a line.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    spec = RunSpec.from_config(config)
    folder = RunFolder(spec.folder)
    sweeping = HydraConfig.get().mode == RunMode.MULTIRUN
    name = _name(spec, folder) if sweeping else spec.label
    if sweeping and folder.state() == "done" and _is_repeat(spec, folder, int(HydraConfig.get().job.num)):
        return _score(folder.record(), spec)  # another grid point of the same run, which has its line
    try:
        return _run_once(spec, folder, name)
    except RunIsTaken:
        say(f"{name}: another process works on it")
    except Exception as error:
        if not sweeping:
            raise
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        say(f"{name}: FAILED: {kind}{first_line(error)}")
    return float("nan")


def _run_once(spec: RunSpec, folder: RunFolder, name: str) -> float:
    before = "" if folder.state() != "done" else ", done before"
    if not before:
        with folder.claim():
            if folder.state() != "done":
                perform(spec, folder)
    record = folder.record()
    main = record["measures"]["test"][str(spec.evaluation.main_measure)]
    groups = "  ".join(f"{group} {main[f'group:{group}']:.3f}" for group in spec.languages.groups)
    say(f"{name}: {spec.evaluation.main_measure} {groups}, {record['timings']['total']:.1f} s{before}")
    return _score(record, spec)


def _score(record: Mapping[str, Any], spec: RunSpec) -> float:
    return float(record["measures"]["test"][str(spec.evaluation.main_measure)]["group:all"])


def _is_repeat(spec: RunSpec, folder: RunFolder, number: int) -> bool:
    """Whether an earlier point of the sweep's grid is the same run."""
    if not (folder.path.parent / GRID_FILE).exists():
        return False
    runs = [point.run for point in Grid.load(folder.path.parent).points]
    return spec.id in runs and runs.index(spec.id) < number < len(runs) and runs[number] == spec.id


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


def _name(spec: RunSpec, folder: RunFolder) -> str:
    """`[ 3/21] optical ratio=0.5 ...`: the run's place and label in the sweep's grid."""
    if not (folder.path.parent / GRID_FILE).exists():
        return spec.label
    labels = Grid.load(folder.path.parent).labels()
    if spec.id not in labels:
        return spec.label
    place = list(labels).index(spec.id) + 1
    return f"[{place:>{len(str(len(labels)))}}/{len(labels)}] {labels[spec.id]}"
