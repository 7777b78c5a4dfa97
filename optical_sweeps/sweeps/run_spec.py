"""One resolved config turned into checked objects: what a run is about to do, before it does anything."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from optical_sweeps.checks import strings
from optical_sweeps.errors import UserError, first_line
from optical_sweeps.sweeps.identity import numeric_facts, run_id

LANGUAGES = f"{__name__}.Languages"


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
    objective: Any
    mixture: Any
    training: Any
    evaluation: Any
    machine: Any
    logger: Any
    seed: int

    @classmethod
    def from_config(cls, config: DictConfig) -> "RunSpec":
        """Build every part of a composed config.

        Raises:
            UserError: a value is missing, of the wrong type, out of range, or unknown; the key is named.
        """
        plain = resolved(config)
        parts = {
            name: _build(name, plain[name])
            for name in (
                "encoder",
                "teacher",
                "objective",
                "mixture",
                "training",
                "evaluation",
                "machine",
                "logger",
                "backbone",
            )
        }
        return cls(
            config=plain,
            corpus=_built_once("data", json.dumps(plain["data"])),
            languages=_build("languages", {"_target_": LANGUAGES, **plain["languages"]}),
            seed=plain["seed"],
            **parts,
        )

    def check(self) -> None:
        """Refuse now what would fail later: unknown languages, missing data or models, too large a budget.

        Reads the corpus; trains and encodes nothing.
        """
        unknown = [language for language in self.languages.all if language not in self.corpus.languages]
        if unknown:
            raise UserError(
                f"languages: {', '.join(unknown)} not in corpus {self.corpus.name}, "
                f"which has {', '.join(self.corpus.languages)}"
            )
        self.machine.check(self.training.precision)
        self.backbone.check()
        self._check_layers()
        self.corpus.relevant_pairs()
        sizes = self.bitext_sizes()
        for language in self.languages.all:
            for split in ("dev", "test"):
                self.corpus.collection(language, split)
        if self.objective.trains:
            self.mixture.draw(sizes, self.languages.high, self.languages.low)

    def _check_layers(self) -> None:
        """A backbone cut to k layers has no more to freeze; one taken whole is known when it is loaded."""
        layers = getattr(self.backbone, "layers", None)
        for name, settings in (("training", self.training), ("teacher.training", self.teacher.training)):
            if layers is not None and settings.freeze_layers > layers:
                raise UserError(
                    f"{name}.freeze_layers: {settings.freeze_layers}, but backbone.layers is {layers}; lower it"
                )

    def bitext_sizes(self) -> dict[str, int]:
        return {language: len(self.corpus.bitext(language)) for language in self.languages.all}

    def facts(self) -> dict[str, Any]:
        """Everything that can change this run's numbers."""
        fingerprints = {"corpus": self.corpus_print, "backbone": self.backbone_print}
        return numeric_facts(self.config, fingerprints=fingerprints, trains=self.objective.trains)

    @property
    def corpus_print(self) -> str:
        return _content("data", json.dumps(self.config["data"]))

    @property
    def backbone_print(self) -> str:
        return _content("backbone", json.dumps(self.config["backbone"]))

    @property
    def id(self) -> str:
        return run_id(self.facts())

    @property
    def folder(self) -> Path:
        return Path(self.config["paths"]["sweeps"], self.config["sweep"]["name"], self.id)

    @property
    def artifacts(self) -> Path:
        return Path(self.config["paths"]["artifacts"])

    @property
    def label(self) -> str:
        """A short name for people, such as `optical ratio=0.25 seed=1`."""
        if not self.objective.trains:
            return f"{self.objective.name} (zero-shot)"
        return f"{self.objective.name} {self.mixture.label} seed={self.seed}"


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


def _build(name: str, settings: Mapping[str, Any]) -> Any:
    """Instantiate one group of the config, with errors that name its key."""
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(settings, _convert_="all")
    except InstantiationException as error:
        for cause in _causes(error):
            if isinstance(cause, UserError):
                raise cause from None
        cause = list(_causes(error))[-1]
        raise UserError(f"{name}: {first_line(cause)}") from error


# All points of a grid in one process read each corpus once, and take each fingerprint once.
@lru_cache(maxsize=8)
def _built_once(name: str, settings: str) -> Any:
    return _build(name, json.loads(settings))


@lru_cache(maxsize=8)
def _content(name: str, settings: str) -> str:
    return str(_built_once(name, settings).fingerprint())


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    return chain
