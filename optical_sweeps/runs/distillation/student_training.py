"""The training of a run's students: one for all languages, or several, one after another."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from optical_sweeps.console import echo, progress
from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.drawn_pairs import DrawnPairs
from optical_sweeps.encoders.lora import merge_lora
from optical_sweeps.encoders.student import build_student
from optical_sweeps.encoders.student_groups import restricted
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError
from optical_sweeps.interruption import Interruption
from optical_sweeps.runs.distillation.search_and_evaluate import EvaluationResult, search_and_measure
from optical_sweeps.runs.distillation.start_scores import StartScores
from optical_sweeps.runs.distillation.student_search import (
    Student,
    StudentSearch,
    joined,
    languages_of_students,
    of_languages,
)
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.runs.shared.bitext_tokens import StoredTokens
from optical_sweeps.runs.shared.prepare import SharedResources, all_texts
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds
from optical_sweeps.runs.shared.translation_tables import training_bitext
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.training.checkpoints import Checkpoints, State, UnusableCheckpoint
from optical_sweeps.training.distil import Distilled, distil
from optical_sweeps.training.distillation_data import DistillationData
from optical_sweeps.training.ranks import Ranks


@runtime_checkable
class Log(Protocol):
    """Where metrics go; see `perform`."""

    dev: Any
    tracker: Any
    usage: Any

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None: ...

    def state(self) -> State: ...

    def restore(self, state: State | None) -> None: ...


@dataclass
class StudentTraining:
    """Trains the students of a run, each on its languages' share of one draw.

    Students train one after another, and steps are counted on: the log is that of one long training. A student
    without a drawn pair stays as it began.
    """

    spec: RunSpec
    folder: RunFolder
    shared: SharedResources
    search: StudentSearch
    log: Log
    interruption: Interruption
    ranks: Ranks
    dev: dict[str, EvaluationResult] = field(default_factory=dict)
    """The newest measurement of each student."""

    def __post_init__(self) -> None:
        self.languages = languages_of_students(self.spec)
        self._bitexts: dict[str, Bitext] = {}

    def checkpoints(self, name: str) -> Checkpoints:
        """Those of one student's training."""
        folder = self.folder.path / "checkpoints"
        return Checkpoints(folder if len(self.languages) == 1 else folder / name, self.spec.id, echo)

    def remove_checkpoints(self) -> None:
        for name in self.languages:
            self.checkpoints(name).remove()

    def untrained(self) -> tuple[Student, ...]:
        """The students as they begin, measured: those of a run that trains nothing."""
        self.log.restore(None)
        students = tuple(self._untrained(name) for name in self.languages)
        log = _LogFrom(self.log, 0, "next")
        for student in students:
            merge_lora(student.encoder)
            self.ranks.broadcast_from_rank0(lambda student=student: self._measure(student, 0, log))  # type: ignore[misc]
        self.ranks.run_on_rank0(lambda: setattr(self.log, "dev", self._whole_dev()))
        return students

    def run(self) -> tuple[tuple[Student, ...], dict[str, Any], float]:
        """The trained students, what the record says of their training, and seconds of earlier processes."""
        mixture = self.spec.mixture.draw(
            self.spec.bitext_sizes(), self.spec.languages.high, self.spec.languages.low
        )
        tokens = StoredTokens(self.shared.builds)
        places = self.ranks.broadcast_from_rank0(self._places)
        students: list[Student] = []
        done: dict[str, Distilled] = {}
        for name in self.languages:
            student = self._untrained(name)
            if not students:
                self._tell_draw(mixture, student.encoder, tokens)
            own = restricted(mixture, student.languages) if len(self.languages) > 1 else mixture
            place, start = places[name]
            before = sum(of.steps for of in done.values())
            log = _LogFrom(self.log, before, place, start) if self.ranks.is_first else _NoLog()
            done[name] = self._distil(student, own, tokens, log, is_done=place == "done")
            students.append(student)
        self.ranks.run_on_rank0(lambda: self._end(sum(of.steps for of in done.values())))
        return tuple(students), self._facts(done), sum(of.seconds_before for of in done.values())

    def _distil(
        self,
        student: Student,
        mixture: DrawnPairs,
        tokens: StoredTokens,
        log: "_LogFrom | _NoLog",
        *,
        is_done: bool,
    ) -> Distilled:
        if not len(mixture):
            merge_lora(student.encoder)
            self.ranks.run_on_rank0(lambda: self._search_dev(student))
            return Distilled(0, 0, 0)
        label = self.spec.label if len(self.languages) == 1 else f"{self.spec.label} {student.name}"
        with progress(label) as advance:
            done = distil(
                student.encoder,
                self.spec.objective,
                DistillationData(
                    mixture,
                    {language: self._bitext(language) for language in student.languages},
                    self.shared.english,
                    {side: self.shared.vectors_of(side) for side in self.spec.student.sides},
                    self.shared.mined,
                    tokens,
                ),
                self.spec.training,
                self.spec.machine,
                seed=self.spec.seed,
                log=log,
                measure=lambda encoder, step: self._validate(student, step, log),
                progress=advance,
                folder=self.folder.path,
                checkpoints=self.checkpoints(student.name),
                parts={"log": log},
                interruption=self.interruption,
                ranks=self.ranks,
                begins=self._tell_batches,
            )
        merge_lora(student.encoder)
        if self.spec.training.keep == "best" and done.best_step != done.steps and not is_done:
            self.ranks.broadcast_from_rank0(lambda: self._measure(student, done.best_step, log))
        else:  # unless a process before this one trained and measured it, it is at hand
            self.ranks.run_on_rank0(lambda: self.dev.get(student.name) or self._search_dev(student))
        return done

    def _validate(self, student: Student, step: int, log: "_LogFrom | _NoLog") -> float:
        """As `_measure`; at the start by the scores that all runs share which begin with this student."""
        if step > 0:
            return self._measure(student, step, log)
        spec = of_languages(self.spec, student.languages)
        scores = StartScores(
            spec, self.shared.teacher, student.encoder, lambda: self._search_dev(student).metrics()
        )
        metrics = ArtifactBuilds.at(spec.artifacts, self.interruption).get(scores)
        self.dev.pop(student.name, None)
        return self._tell(metrics, step, log)

    def _measure(self, student: Student, step: int, log: "_LogFrom | _NoLog") -> float:
        """The dev score of a student's own languages; it is logged."""
        return self._tell(self._search_dev(student).metrics(), step, log)

    def _tell(self, metrics: Mapping[str, float], step: int, log: "_LogFrom | _NoLog") -> float:
        """Log a student's dev scores; its score over its languages."""
        several = len(self.languages) > 1  # then groups wait for the other students
        log(step, {name: score for name, score in metrics.items() if not several or "/group:" not in name})
        return metrics[f"dev/{self.spec.evaluation.main_measure}/group:all"]

    def _search_dev(self, student: Student) -> EvaluationResult:
        tick = self.interruption.checked(lambda done, total: None)
        (found,) = self.search.over(
            [student],
            lambda spec, queries, index_of: [search_and_measure(spec, queries, index_of, "dev", tick)],
        )
        self.dev[student.name] = found
        return found

    def _whole_dev(self) -> EvaluationResult:
        parts = list(self.dev.values())
        return parts[0] if len(parts) == 1 else joined(parts, self.spec.languages.groups)

    def _untrained(self, name: str) -> Student:
        """A student before its training; one made from the backbone may have to read the study's texts."""
        reads = self.spec.student.init == "backbone" and self.spec.backbone.reads_texts
        encoder = build_student(
            self.spec.student,
            self.shared.teacher,
            self.spec.backbone,
            all_texts(self.spec) if reads else None,
            seed=self.spec.seed,
        )
        return Student(name, self.languages[name], encoder)

    def _places(self) -> dict[str, tuple[str, State | None]]:
        """How each student's training stands to the log, and where the log stood at its beginning."""
        names = list(self.languages)
        if len(names) == 1:
            return {names[0]: ("resumed", None)}
        states = {name: self.checkpoints(name).newest() for name in names}
        begun = [name for name, state in states.items() if state is not None]
        if not begun:
            self.log.restore(None)
            return dict.fromkeys(names, ("next", None))
        earlier = states[begun[-2]] if len(begun) > 1 else None
        start = earlier["parts"]["log"] if earlier else None
        number = names.index(begun[-1])
        done, after = dict.fromkeys(names[:number], ("done", None)), names[number + 1 :]
        return {**done, names[number]: ("resumed", start), **dict.fromkeys(after, ("next", None))}

    def _end(self, steps: int) -> None:
        """Bring the students' measurements together."""
        self.log.dev = self._whole_dev()
        if len(self.languages) > 1:
            self.log(steps, self.log.dev.metrics())

    def _bitext(self, language: str) -> Bitext:
        """What the students are trained on, made once."""
        if language not in self._bitexts:
            self._bitexts[language] = training_bitext(self.spec, self.shared, language)
        return self._bitexts[language]

    def _tell_draw(self, mixture: DrawnPairs, encoder: TokenEncoder, tokens: StoredTokens) -> None:
        side = self.spec.student.sides[0]
        counts = {
            language: tokens(encoder, self._bitext(language).translations, side).lengths
            if count
            else np.zeros(0, np.int64)
            for language, count in mixture.counts.items()
        }
        self._drawn = mixture.report(counts)
        self.log.tracker.log(0, self._drawn.metrics())

    def _tell_batches(self, pairs: int, steps: int) -> None:
        if self.spec.training.batch_tokens is not None:
            self.log.usage.pairs_per_step = pairs / steps

    def _facts(self, done: Mapping[str, Distilled]) -> dict[str, Any]:
        training: dict[str, Any] = {
            "steps": sum(of.steps for of in done.values()),
            "best_step": sum(of.best_step for of in done.values()),
            "tokens": sum(of.tokens for of in done.values()),
            "drawn": self._drawn.as_dict(),
        }
        if len(done) > 1:
            training["students"] = {
                name: {"steps": of.steps, "best_step": of.best_step, "tokens": of.tokens, "pairs": of.pairs}
                for name, of in done.items()
            }
        return {
            "training": training,
            "resumed_from": [step for of in done.values() for step in of.attempts[1:]],
        }


@dataclass
class _LogFrom:
    """The run's log, as one student's training writes to it and cuts it back.

    Args:
        before: steps of the students before it.
        place: `done`, where it was trained by an earlier process and others have written since; `resumed`,
            where it was left under way; `next`, where the log stands at its beginning.
        start: of `resumed`, where the log stood at its beginning; None is the log's own beginning.
    """

    log: Log
    before: int
    place: str
    start: State | None = None

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        self.log(self.before + step, metrics)

    def state(self) -> State:
        return self.log.state()

    def restore(self, state: State | None) -> None:
        if self.place != "resumed":
            return
        if state is not None or self.start is None:
            self.log.restore(state)
            return
        try:
            self.log.restore(self.start)
        except UnusableCheckpoint as error:
            raise UserError(
                f"{error} which a trained student of the run wrote; remove the run's folder and train it again"
            ) from error


class _NoLog:
    """The log of all ranks but the first."""

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None: ...

    def state(self) -> State:
        return {}

    def restore(self, state: State | None) -> None: ...
