"""One resolved config turned into checked objects: what a run is about to do, before it does anything."""

import json
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, wraps
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from optical_sweeps.checks import strings
from optical_sweeps.errors import UserError, first_line
from optical_sweeps.runs.spec.identity import numeric_facts, run_id
from optical_sweeps.settings import build

T = TypeVar("T")

LANGUAGES = f"{__name__}.Languages"
PARTS = (
    "encoder", "teacher", "student", "objective", "mixture", "training", "evaluation", "machine", "logger",
    "backbone", "data", "languages", "index",
)  # fmt: skip
"""Keys of a run's config that describe an object."""
LATER_PARTS: Mapping[str, Any] = {
    "student": {"_target_": "optical_sweeps.encoders.student.StudentSettings"},
    "index": {"_target_": "optical_sweeps.retrieval.settings.IndexSettings"},
}
"""Parts that records of early runs lack, as they were."""


@dataclass(frozen=True)
class Languages:
    """The two groups whose shares of the training data a sweep varies.

    Raises:
        UserError: no language at all, or one in both groups.
    """

    high: tuple[str, ...]
    low: tuple[str, ...]
    __no_type_check__ = True

    def __post_init__(self) -> None:
        for group in ("high", "low"):
            object.__setattr__(self, group, strings(f"languages.{group}", getattr(self, group)))
        if not self.all:
            raise UserError(
                "languages: both groups are empty; name languages in languages.high and languages.low"
            )
        if both := set(self.high) & set(self.low):
            raise UserError(f"languages: {', '.join(sorted(both))} in both languages.high and languages.low")

    @property
    def all(self) -> tuple[str, ...]:
        return self.high + self.low

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """By name, without empty ones; `all` is every language."""
        groups = {"high": self.high, "low": self.low, "all": self.all}
        return {name: languages for name, languages in groups.items() if languages}


@dataclass(frozen=True)
class RunSpec:
    """The parts of a run, built from its config; construction reads no corpus and loads no model."""

    config: dict[str, Any]
    corpus: Any
    languages: Languages
    backbone: Any
    encoder: Any
    teacher: Any
    student: Any
    objective: Any
    mixture: Any
    training: Any
    evaluation: Any
    index: Any
    machine: Any
    logger: Any
    seed: int

    @classmethod
    def from_config(cls, config: DictConfig) -> "RunSpec":
        """Build every part of a composed config.

        Raises:
            UserError: a value is missing, of the wrong type, out of range, or unknown; the key is named.
        """
        return cls.from_plain(resolved(config))

    @classmethod
    def from_plain(cls, config: dict[str, Any]) -> "RunSpec":
        """Build every part of a resolved config; raises as `from_config` does."""
        config = {**LATER_PARTS, **config}
        return cls.of_parts(config, {name: build_part(name, config[name]) for name in PARTS})

    @classmethod
    def of_parts(cls, config: dict[str, Any], parts: Mapping[str, Any]) -> "RunSpec":
        """A spec of parts that are built."""
        others = {name: part for name, part in parts.items() if name != "data"}
        return cls(config=config, corpus=parts["data"], seed=config["seed"], **others)

    def check(self) -> None:
        """Refuse now what would fail later: unknown languages, missing data or models, too large a budget.

        Reads the corpus; trains and encodes nothing.
        """
        for check in CHECKS:
            check(self)

    def bitext_sizes(self) -> dict[str, int]:
        return dict(_sizes(json.dumps(self.config["data"]), self.languages.all))

    def facts(self) -> dict[str, Any]:
        """Everything that can change this run's numbers."""
        return numeric_facts(self.config, fingerprints=self.fingerprints(), trains=self.objective.trains)

    def fingerprints(self) -> dict[str, str]:
        """The contents that count: corpus, backbone, and the checkpoint that the student starts from."""
        found = {"corpus": self.corpus_print, "backbone": self.backbone_print}
        if (checkpoint := self.student.fingerprint()) is not None:
            found["student_checkpoint"] = checkpoint
        if (teacher := self.teacher.fingerprint()) is not None:
            found["teacher_content"] = teacher
        if (lexicon := self.evaluation.fingerprint(self.languages.all)) is not None:
            found["lexicon"] = lexicon
        switching = self.training.code_switching if self.objective.trains else None
        if switching is not None and (lexicon := switching.fingerprint(self.languages.all)) is not None:
            found["training_lexicon"] = lexicon
        return found

    @property
    def corpus_print(self) -> str:
        return content("data", json.dumps(self.config["data"]))

    @property
    def backbone_print(self) -> str:
        if not uses_backbone(self):
            return "none"
        return content("backbone", json.dumps(self.config["backbone"]))

    @cached_property
    def id(self) -> str:
        return run_id(self.facts())

    @property
    def sweep(self) -> Path:
        """The folder of the sweep that the run is part of."""
        return Path(self.config["paths"]["sweeps"], self.config["sweep"]["name"])

    @property
    def folder(self) -> Path:
        return self.sweep / self.id

    @property
    def artifacts(self) -> Path:
        """The store's folder; absolute, since a process keeps by path what it has read of it."""
        return Path(self.config["paths"]["artifacts"]).absolute()

    @property
    def label(self) -> str:
        """A short name for people, such as `optical ratio=0.25 seed=1`."""
        if not self.objective.trains:
            return f"{self.objective.name} (zero-shot)"
        switched = " code-switched" if self.training.code_switching is not None else ""
        return f"{self.objective.name}{switched} {self.mixture.label} seed={self.seed}"


def resolved(config: DictConfig) -> dict[str, Any]:
    """A composed config as plain containers, without Hydra's own part.

    Raises:
        UserError: a mandatory value is missing or an interpolation cannot be resolved.
    """
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    try:
        plain = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key}: no value; give one, for example {error.full_key}=...") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {first_line(error)}") from error
    assert isinstance(plain, dict)
    return plain  # type: ignore[return-value]


def build_part(name: str, settings: Mapping[str, Any]) -> Any:
    """One part of a run; a corpus is read once a process, every other part is the run's own.

    Raises:
        UserError: a bad value; its key is named.
    """
    if name == "data":
        return _built_once(name, json.dumps(settings))
    return build(name, {"_target_": LANGUAGES, **settings} if name == "languages" else settings)


def _once_here(function: Callable[..., T]) -> Callable[..., T]:
    """Keep the last eight answers, each for the working directory that it was asked in: settings name files."""

    @lru_cache(maxsize=8)
    def kept(folder: Path, *arguments: Hashable) -> T:
        return function(*arguments)

    @wraps(function)
    def asked(*arguments: Hashable) -> T:
        return kept(Path.cwd(), *arguments)

    return asked


# All points of a grid in one process read each corpus once, and take each fingerprint once.
@_once_here
def _built_once(name: str, settings: str) -> Any:
    return build(name, json.loads(settings))


@_once_here
def content(name: str, settings: str) -> str:
    """The fingerprint of what `data` or `backbone` hold, of settings as JSON."""
    return str(_built_once(name, settings).fingerprint())


@_once_here
def _sizes(settings: str, languages: tuple[str, ...]) -> Mapping[str, int]:
    corpus = _built_once("data", settings)
    return {language: len(corpus.bitext(language)) for language in languages}


@_once_here
def _looked_at(settings: str) -> RunSpec:
    return RunSpec.from_plain(json.loads(settings))


def look_at(config: DictConfig) -> RunSpec:
    """The spec of a composed config, to be checked and named but not run: equal configs share one.

    Raises:
        UserError: as `RunSpec.from_config`.
    """
    return _looked_at(json.dumps(resolved(config)))


def _check_languages(spec: RunSpec) -> None:
    unknown = [language for language in spec.languages.all if language not in spec.corpus.languages]
    if unknown:
        raise UserError(
            f"languages: {', '.join(unknown)} not in corpus {spec.corpus.name}, "
            f"which has {', '.join(spec.corpus.languages)}"
        )


def check_machine(spec: RunSpec) -> None:
    """Whether this machine has the devices that the run asks for, and can compute as it should."""
    spec.machine.check(spec.training.precision)
    if spec.index.encode_dtype != "float32":  # asking for the device starts the driver of a GPU
        spec.index.check_device(spec.machine.device())


def uses_backbone(spec: RunSpec) -> bool:
    """Whether anything of the run is built from `backbone`: a teacher that is loaded brings its own."""
    return bool(spec.teacher.uses_backbone) or spec.student.init == "backbone"


def _check_backbone(spec: RunSpec) -> None:
    if uses_backbone(spec):
        spec.backbone.check()


def _check_teacher(spec: RunSpec) -> None:
    """Whether a teacher that is loaded and the study's own settings agree."""
    spec.teacher.check(spec.encoder, spec.objective)


def _check_layers(spec: RunSpec) -> None:
    """A backbone cut to k layers has no more to freeze; one taken whole is known when it is loaded."""
    layers = _layers(spec)
    for name, settings in (("training", spec.training), ("teacher.training", spec.teacher.training)):
        if None not in (layers, settings) and settings.freeze_layers > layers:
            raise UserError(
                f"{name}.freeze_layers: {settings.freeze_layers}, but backbone.layers is {layers}; lower it"
            )


def _layers(spec: RunSpec) -> Any:
    """Of the encoder that the student begins as, where that is known before it is loaded."""
    loaded = not spec.teacher.uses_backbone and spec.student.init != "backbone"
    return spec.teacher.layers() if loaded else getattr(spec.backbone, "layers", None)


def _check_student(spec: RunSpec) -> None:
    """What student and objective ask for beyond what their own settings can tell."""
    from optical_sweeps.objectives import check

    spec.student.check(layers=_layers(spec))
    check(spec.objective, spec.encoder.dim, spec.student.sides)


def _check_batches(spec: RunSpec) -> None:
    longest = max(spec.teacher.length(spec.encoder, side) for side in spec.student.sides)
    if spec.training.batch_tokens is not None and spec.training.batch_tokens < longest:
        raise UserError(
            f"training.batch_tokens: {spec.training.batch_tokens}, but one sentence may have {longest} tokens; "
            "raise it, or lower encoder.query_length or encoder.document_length"
        )


def _check_collections(spec: RunSpec) -> None:
    from optical_sweeps.corpora.ids import check_ids

    if spec.teacher.reads_pairs:
        spec.corpus.relevant_pairs()
    spec.bitext_sizes()
    check_ids(
        spec.corpus.collection(language, split) for language in spec.languages.all for split in ("dev", "test")
    )


def _check_judgements(spec: RunSpec) -> None:
    from optical_sweeps.evaluation.judging import check_judgements

    for language in spec.languages.all:
        for split in ("dev", "test"):
            check_judgements(spec.corpus.collection(language, split), spec.evaluation.measures)


def _check_perturbations(spec: RunSpec) -> None:
    from optical_sweeps.corpora.perturbations.lexicon import check_perturbations

    settings = spec.evaluation
    check_perturbations(settings.perturbations, spec.corpus, spec.languages.all, settings.lexicon)


def _check_code_switching(spec: RunSpec) -> None:
    if spec.objective.trains and spec.training.code_switching is not None:
        spec.training.code_switching.check(spec.languages.all)


def _check_budget(spec: RunSpec) -> None:
    if spec.objective.trains:
        spec.mixture.check(spec.bitext_sizes(), spec.languages.high, spec.languages.low)


CHECKS: Mapping[Callable[[RunSpec], None], tuple[str, ...]] = {
    _check_languages: ("data", "languages"),
    check_machine: ("machine", "training", "index"),
    _check_backbone: ("backbone", "teacher", "student"),
    _check_teacher: ("teacher", "encoder", "objective"),
    _check_layers: ("backbone", "training", "teacher", "student"),
    _check_student: ("student", "backbone", "objective", "encoder", "teacher"),
    _check_batches: ("training", "encoder", "student", "teacher"),
    _check_collections: ("data", "languages", "teacher"),
    _check_judgements: ("data", "languages", "evaluation"),
    _check_perturbations: ("data", "languages", "evaluation"),
    _check_code_switching: ("objective", "training", "languages"),
    _check_budget: ("objective", "mixture", "data", "languages"),
}
"""Every check, in order, and the keys of the config that it looks at: nothing else can change its answer."""
