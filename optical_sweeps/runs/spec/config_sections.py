"""The sections of a resolved config, and the parts built from them, each once a process."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from optical_sweeps.corpora.collections import Corpus
from optical_sweeps.encoders.backbones import BackboneSettings
from optical_sweeps.encoders.student_settings import StudentSettings
from optical_sweeps.encoders.teacher_checkpoint import ColbertTeacher
from optical_sweeps.errors import UserError
from optical_sweeps.runs.run import Config
from optical_sweeps.settings import build, build_as
from optical_sweeps.training.teacher_settings import TeacherSettings

T = TypeVar("T")
U = TypeVar("U")


def section_of(config: Config, name: str) -> dict[str, Any]:
    """A section of the config.

    Raises:
        UserError: the config has no such section, or it is a plain value.
    """
    if name not in config:
        raise UserError(f"{name}: no such section; a run needs every section, so remove ~{name}")
    section = config[name]
    if not isinstance(section, dict):
        raise UserError(f"{name}: {section!r} is not a section; choose one, such as {name}=default")
    return section


def part_of(config: Config, name: str, kind: type[T]) -> T:
    """The part that a section describes; raises a `UserError` if it is of another kind."""
    return build_as(name, section_of(config, name), kind)


def either_of(config: Config, name: str, first: type[T], second: type[U]) -> T | U:
    """The part that a section describes; raises a `UserError` unless it is of one of two kinds."""
    section = section_of(config, name)
    part = build(name, section)
    return part if isinstance(part, second) else build_as(name, section, first)


# Settings name files by relative paths, so the caches know the working directory.
@lru_cache(maxsize=32)
def built_part(folder: Path, name: str, section: str) -> object:
    """The part that a section, as JSON, describes."""
    return build(name, json.loads(section))


@lru_cache(maxsize=32)
def part_fingerprint(folder: Path, name: str, section: str) -> str | None:
    """The fingerprint of the content that a part, as JSON, names."""
    part = built_part(folder, name, section)
    assert isinstance(part, Corpus | BackboneSettings | StudentSettings | TeacherSettings | ColbertTeacher)
    return part.fingerprint()
