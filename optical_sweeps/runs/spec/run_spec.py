"""A resolved config turned into checked objects: what a retrieval run is about to do."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from omegaconf import DictConfig

from optical_sweeps.artifacts import canonical_json
from optical_sweeps.checks import whole_number
from optical_sweeps.config_classes import ALLOW_KEY, allow_foreign_classes
from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.corpora.collections import Corpus
from optical_sweeps.corpora.ids import check_ids
from optical_sweeps.corpora.languages import meant_language
from optical_sweeps.corpora.mixture import Mixture
from optical_sweeps.corpora.perturbations.lexicon import check_perturbations
from optical_sweeps.encoders.backbones import BackboneSettings
from optical_sweeps.encoders.encoder_settings import CheckpointEncoderSettings, TokenEncoderSettings
from optical_sweeps.encoders.student_settings import StudentSettings
from optical_sweeps.encoders.teacher_checkpoint import ColbertTeacher
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.evaluation_settings import EvaluationSettings
from optical_sweeps.evaluation.judging import check_judgements
from optical_sweeps.evaluation.measures import check_cache_folder
from optical_sweeps.objectives.interface import Objective
from optical_sweeps.objectives.interface import check as check_objective
from optical_sweeps.retrieval.index_settings import IndexSettings
from optical_sweeps.retrieval.search_settings import RerankSearch
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.runs.run import Config, run_id, sweep_folder, text_at
from optical_sweeps.runs.spec.config_sections import (
    built_part,
    either_of,
    part_fingerprint,
    part_of,
    section_of,
)
from optical_sweeps.runs.spec.corpus_section import corpus_content, corpus_of
from optical_sweeps.runs.spec.first_stage_files import check_first_stage, first_stage_contents
from optical_sweeps.runs.spec.identity import IDENTITY_SCHEMA, fact, numeric_facts
from optical_sweeps.runs.spec.languages import Languages
from optical_sweeps.settings import from_mapping
from optical_sweeps.tracking.wandb_settings import WandbSettings
from optical_sweeps.training.machine import Machine
from optical_sweeps.training.teacher_settings import TeacherSettings
from optical_sweeps.training.training_settings import TrainingSettings


@dataclass(frozen=True)
class RunSpec:
    """The parts of a run; building them reads no corpus and loads no model."""

    config: Config
    corpus: Corpus
    languages: Languages
    backbone: BackboneSettings
    encoder: TokenEncoderSettings | CheckpointEncoderSettings
    teacher: TeacherSettings | ColbertTeacher
    student: StudentSettings
    objective: Objective
    mixture: Mixture
    training: TrainingSettings
    evaluation: EvaluationSettings
    index: IndexSettings
    machine: Machine
    logger: WandbSettings
    seed: int

    @classmethod
    def from_config(cls, config: DictConfig) -> "RunSpec":
        """Build every part of a composed config.

        Raises:
            UserError: a value is missing, of the wrong type, out of range, or unknown; the key is named.
        """
        return cls.from_plain(resolved(config))

    @classmethod
    def from_plain(cls, config: Config) -> "RunSpec":
        """Build every part of a resolved config; raises as `from_config` does."""
        allow_foreign_classes(config.get(ALLOW_KEY, []))
        sweep_folder(config)
        text_at(config, "paths", "artifacts")
        return cls(
            config=config,
            corpus=corpus_of(section_of(config, "data")),
            languages=from_mapping(Languages, section_of(config, "languages")),
            backbone=part_of(config, "backbone", BackboneSettings),  # type: ignore[type-abstract]
            encoder=either_of(config, "encoder", TokenEncoderSettings, CheckpointEncoderSettings),
            teacher=either_of(config, "teacher", TeacherSettings, ColbertTeacher),
            student=part_of(config, "student", StudentSettings),
            objective=part_of(config, "objective", Objective),  # type: ignore[type-abstract]
            mixture=part_of(config, "mixture", Mixture),  # type: ignore[type-abstract]
            training=part_of(config, "training", TrainingSettings),
            evaluation=part_of(config, "evaluation", EvaluationSettings),
            index=part_of(config, "index", IndexSettings),
            machine=part_of(config, "machine", Machine),
            logger=part_of(config, "logger", WandbSettings),
            seed=whole_number("seed", config.get("seed"), least=0),
        )

    def check(self, *, devices: bool = True) -> None:
        """Refuse now what would fail later: unknown languages, missing data or models, too large a budget.

        Reads the corpus; trains and encodes nothing. A check that passed is not repeated in this process for
        equal settings: for a grid of 1,000 points that saves 5 minutes of reading checkpoints and queries.

        Args:
            devices: check this machine's devices too; false if the run is for another machine.
        """
        if devices:
            _check_machine(self)
        for check, sections in CHECKS.items():
            texts = (json.dumps(section_of(self.config, name)) for name in sections)
            key = (str(Path.cwd()), check.__name__, *texts)
            if key not in _passed:
                check(self)
                _passed.add(key)

    def bitext_sizes(self) -> dict[str, int]:
        """The number of sentence pairs of each language."""
        return dict(_bitext_sizes(Path.cwd(), json.dumps(self.config["data"]), self.languages.all))

    def facts(self) -> dict[str, object]:
        """Everything that can change this run's numbers."""
        return numeric_facts(self.config, fingerprints=self.fingerprints(), trains=self.objective.trains)

    def fingerprints(self) -> dict[str, str]:
        """Fingerprints of the content that counts: corpus, backbone, checkpoints and lexicons."""
        fingerprints: dict[str, str | None] = {
            "corpus": self.corpus_fingerprint,
            "backbone": self.backbone_fingerprint,
            "student_checkpoint": _content("student", section_of(self.config, "student")),
            "teacher_content": _content("teacher", section_of(self.config, "teacher")),
            "lexicon": self.evaluation.fingerprint(self.languages.all),
            "first_stage": _first_stages(self),
        }
        if self.objective.trains and self.training.code_switching is not None:
            fingerprints["training_lexicon"] = self.training.code_switching.fingerprint(self.languages.all)
        return {name: fingerprint for name, fingerprint in fingerprints.items() if fingerprint is not None}

    @property
    def corpus_fingerprint(self) -> str:
        """The fingerprint of the corpus's content."""
        return corpus_content(section_of(self.config, "data"))

    @property
    def backbone_fingerprint(self) -> str:
        """The fingerprint of the backbone's content; `none` if nothing is built from it."""
        if not self.uses_backbone:
            return "none"
        fingerprint = _content("backbone", section_of(self.config, "backbone"))
        assert fingerprint is not None
        return fingerprint

    @property
    def uses_backbone(self) -> bool:
        """Whether teacher or student are built from `backbone`: a loaded teacher brings its own."""
        return self.teacher.uses_backbone or self.student.init == "backbone"

    @cached_property
    def id(self) -> str:
        """The run's id, twelve hexadecimal digits."""
        return run_id(self.facts())

    @property
    def sweep(self) -> Path:
        """The folder of the sweep that the run is part of."""
        return sweep_folder(self.config)

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.sweep / self.id

    @property
    def artifacts(self) -> Path:
        """The absolute path of the artifact store; what a process has read of it is cached by path."""
        return Path(text_at(self.config, "paths", "artifacts")).absolute()

    @property
    def shared_note(self) -> Path:
        """The note in the store that says that teacher and index of this run are built."""
        key = {
            "schema": IDENTITY_SCHEMA,
            "corpus": self.corpus_fingerprint,
            "backbone": self.backbone_fingerprint,
            "languages": sorted(self.languages.all),
            **{name: fact(name, self.config[name]) for name in ("encoder", "teacher", "index")},
            "teacher_content": _content("teacher", section_of(self.config, "teacher")),
            "searches": {split: fact("evaluation.search", search) for split, search in _searches(self).items()},
            "first_stage": _first_stages(self),
        }
        name = hashlib.blake2b(canonical_json(key).encode(), digest_size=16).hexdigest()
        return self.artifacts / "prepared" / f"{name}.json"

    @property
    def label(self) -> str:
        """A short name for people, such as `optical ratio=0.25 seed=1`."""
        if not self.objective.trains:
            return f"{self.objective.name} (zero-shot)"
        switched = " code-switched" if self.training.code_switching is not None else ""
        return f"{self.objective.name}{switched} {self.mixture.label} seed={self.seed}"


def _content(name: str, section: Mapping[str, object]) -> str | None:
    """The fingerprint of the content that a section names, taken once a process: it may read gigabytes."""
    return part_fingerprint(Path.cwd(), name, json.dumps(section))


@lru_cache(maxsize=32)
def _bitext_sizes(folder: Path, data: str, languages: tuple[str, ...]) -> Mapping[str, int]:
    corpus = built_part(folder, "data", data)
    assert isinstance(corpus, Corpus)
    return {language: len(corpus.bitext(language)) for language in languages}


def _check_languages(spec: RunSpec) -> None:
    known = spec.corpus.languages
    for name, languages in (("high", spec.languages.high), ("low", spec.languages.low)):
        if unknown := [language for language in languages if language not in known]:
            source = "data.languages" if "languages" in section_of(spec.config, "data") else "data"
            raise UserError(
                f"languages.{name}: {', '.join(unknown)} not in {source}, which has {', '.join(known)}"
                f"{meant_language(unknown[0], known)}"
            )


def _check_logger(spec: RunSpec) -> None:
    spec.logger.check(group=str(section_of(spec.config, "sweep")["name"]))


def _check_machine(spec: RunSpec) -> None:
    """Whether this machine has the devices that the run needs, and can compute in their precision."""
    spec.machine.check(spec.training.precision)
    if spec.index.encode_dtype != "float32":  # finding the device starts the driver of a GPU
        spec.index.check_device(spec.machine.device())


def _check_backbone(spec: RunSpec) -> None:
    if spec.uses_backbone:
        spec.backbone.check()


def _check_teacher(spec: RunSpec) -> None:
    """Whether a loaded teacher and the study's own settings agree."""
    spec.teacher.check(spec.encoder, spec.objective)


def _check_layers(spec: RunSpec) -> None:
    """No more layers can be frozen than a shortened backbone has; a whole one is checked when it is loaded."""
    layers = _layers(spec)
    for name, training in (("training", spec.training), ("teacher.training", spec.teacher.training)):
        if layers is not None and training is not None and training.freeze_layers > layers:
            raise UserError(
                f"{name}.freeze_layers: {training.freeze_layers}, but backbone.layers is {layers}; lower it"
            )


def _layers(spec: RunSpec) -> int | None:
    """The layers of the encoder that the student starts as; None if they are known only once it is loaded."""
    if not spec.teacher.uses_backbone and spec.student.init != "backbone":
        return spec.teacher.layers()
    layers = getattr(spec.backbone, "layers", None)
    return layers if isinstance(layers, int) else None


def _check_student(spec: RunSpec) -> None:
    """What student and objective need beyond what their own settings can tell."""
    spec.student.check(layers=_layers(spec))
    check_objective(spec.objective, spec.encoder.dim, spec.student.sides)


def _check_batches(spec: RunSpec) -> None:
    encoder, teacher = spec.encoder, spec.teacher
    if isinstance(teacher, ColbertTeacher):
        lengths = [teacher.length(encoder, side) for side in spec.student.sides]
    else:
        assert isinstance(encoder, TokenEncoderSettings)  # a teacher trained here accepts no other
        lengths = [teacher.length(encoder, side) for side in spec.student.sides]
    longest = max(lengths)
    if spec.training.batch_tokens is not None and spec.training.batch_tokens < longest:
        raise UserError(
            f"training.batch_tokens: {spec.training.batch_tokens}, but one sentence may have {longest} tokens; "
            "raise it, or lower encoder.query_length or encoder.document_length"
        )


def _check_collections(spec: RunSpec) -> None:
    if spec.teacher.reads_pairs:
        spec.corpus.relevant_pairs()
    spec.bitext_sizes()
    check_ids(
        spec.corpus.collection(language, split) for language in spec.languages.all for split in ("dev", "test")
    )


def _check_measures(spec: RunSpec) -> None:
    check_cache_folder()


def _check_judgements(spec: RunSpec) -> None:
    for language in spec.languages.all:
        for split in ("dev", "test"):
            check_judgements(spec.corpus.collection(language, split), spec.evaluation.measures)


def _check_perturbations(spec: RunSpec) -> None:
    evaluation = spec.evaluation
    check_perturbations(evaluation.perturbations, spec.corpus, spec.languages.all, evaluation.lexicon)


def _check_search(spec: RunSpec) -> None:
    for split, search in spec.evaluation.searches.items():
        if isinstance(search, RerankSearch):
            key = spec.evaluation.search_key(split)
            check_first_stage(search, key, spec.corpus, spec.languages.all, split)


def _first_stages(spec: RunSpec) -> str | None:
    """A hash of the files that first stages read, and of the translation models; None if there are none."""
    contents = [
        content
        for split, search in spec.evaluation.searches.items()
        if isinstance(search, RerankSearch)
        for content in first_stage_contents(search, spec.languages.all, split)
    ]
    return fingerprint_of_texts(contents) if contents else None


def _searches(spec: RunSpec) -> dict[str, object]:
    """The settings of each split's search."""
    evaluation = section_of(spec.config, "evaluation")
    search = evaluation.get("search")
    return {"dev": evaluation.get("dev_search") or search, "test": search}


def _check_code_switching(spec: RunSpec) -> None:
    if spec.objective.trains and spec.training.code_switching is not None:
        spec.training.code_switching.check(spec.languages.all)


def _check_budget(spec: RunSpec) -> None:
    if spec.objective.trains:
        spec.mixture.check(spec.bitext_sizes(), spec.languages.high, spec.languages.low)


CHECKS: Mapping[Callable[[RunSpec], None], tuple[str, ...]] = {
    _check_logger: ("logger", "sweep"),
    _check_languages: ("data", "languages"),
    _check_backbone: ("backbone", "teacher", "student"),
    _check_teacher: ("teacher", "encoder", "objective"),
    _check_layers: ("backbone", "training", "teacher", "student"),
    _check_student: ("student", "backbone", "objective", "encoder", "teacher"),
    _check_batches: ("training", "encoder", "student", "teacher"),
    _check_collections: ("data", "languages", "teacher"),
    _check_measures: (),
    _check_judgements: ("data", "languages", "evaluation"),
    _check_perturbations: ("data", "languages", "evaluation"),
    _check_search: ("data", "languages", "evaluation"),
    _check_code_switching: ("objective", "training", "languages"),
    _check_budget: ("objective", "mixture", "data", "languages"),
}
"""Every check, in order, and the sections of the config that its answer depends on."""

_passed: set[tuple[str, ...]] = set()
