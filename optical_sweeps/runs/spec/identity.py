"""A run's identity: a hash of everything that can change its numbers, and of nothing else."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

IDENTITY_SCHEMA = 2
"""Raised when a change of code changes the numbers of an unchanged config."""

NEUTRAL_KEYS = (
    "training.log_every",
    "evaluation.memory_budget_mb",
    "objective.solver.threads",
    "objective.solver.solver.threads",
    "index.shard_documents",
    "training.code_switching.alignment.solver.threads",
    "training.code_switching.alignment.solver.solver.threads",
    "objective.dim",  # repeats encoder.dim
    "student.checkpoint",  # counts by its content
    "teacher.path",  # so does this
    "teacher.triples.path",  # and these
    "teacher.triples.queries",
    "teacher.triples.collection",
    "teacher.triples.cache",
    "teacher.triples.documents",
    "teacher.triples.complete",
    "evaluation.lexicon",  # counts by its content
    "training.code_switching.lexicon",  # and so does this
)
"""Settings of groups that count which change speed, memory or logging alone."""

ADDED_SINCE_SCHEMA: Mapping[str, Any] = {
    "objective.cost": "cosine",
    "objective.rank": None,
    "objective.plan": "detached",
    "objective.scores": "maxsim",
    "objective.symmetric": False,
    "objective.learn_temperature": False,
    "objective.queue": 0,
    "teacher.loss": "in_batch",
    "teacher.triples": None,
    "teacher.negatives": "none",
    "teacher.mining": {
        "_target_": "optical_sweeps.training.teacher_settings.NegativeMining",
        "depth": 100,
        "skip": 0,
        "per_query": 1,
        "seed": 0,
    },
    "student._target_": "optical_sweeps.encoders.student.StudentSettings",
    "student.init": "teacher",
    "student.projection": "teacher",
    "student.drop_layers": [],
    "student.lora": None,
    "student.side": "query",
    "evaluation.perturbations": [],
    "evaluation.perturbation_seed": 0,
    "training.batch_tokens": None,
    "training.mined_documents": 8,
    "training.code_switching": None,
    "index._target_": "optical_sweeps.retrieval.settings.IndexSettings",
    "index.dtype": "float32",
    "index.encode_dtype": "float32",
}
"""Keys that came later, each with the value at which numbers are what they were without it."""


def run_id(facts: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of the facts' hash, the same whatever the order of their keys.

    >>> run_id({"seed": 1, "ratio": 1}) == run_id({"ratio": 1.0, "seed": 1})
    True
    """
    return id_of_texts({name: fact_text(value) for name, value in facts.items()})


def id_of_texts(texts: Mapping[str, str]) -> str:
    """`run_id` of facts whose texts are known: a grid's points share most of them."""
    texts = {"schema": str(IDENTITY_SCHEMA), **texts}
    members = (f"{_quoted(name)}: {texts[name]}" for name in sorted(texts))
    return hashlib.blake2b(f"{{{', '.join(members)}}}".encode(), digest_size=6).hexdigest()


@lru_cache(maxsize=256)
def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def fact_text(value: Any) -> str:
    """One text for values that are the same to a person."""
    return json.dumps(_canonical(value), sort_keys=True, ensure_ascii=False)


def numeric_facts(
    config: Mapping[str, Any], *, fingerprints: Mapping[str, str], trains: bool
) -> dict[str, Any]:
    """The part of a resolved config that can change a run's numbers.

    Data, backbone and a student's checkpoint count by the fingerprints of their content, not by their paths.
    """
    facts = {name: fact(name, config[name]) for name in counted(trains)}
    if both := facts.keys() & fingerprints.keys():
        raise ValueError(f"{both}: a content would take the place of a setting")
    return {**{name: value for name, value in facts.items() if value != {}}, **fingerprints}


def counted(trains: bool) -> tuple[str, ...]:
    """The config's keys that count.

    A run that trains nothing does not depend on mixture, training or seed, so all its grid points are one run.
    """
    always = ("languages", "encoder", "teacher", "student", "objective", "index", "evaluation")
    return (*always, "mixture", "training", "seed") if trains else always


def fact(name: str, value: Any) -> Any:
    """What of a counted key's value counts."""
    if name == "languages":
        return {group: sorted(members) for group, members in value.items()}
    return _without_neutral(value, name)


def _canonical(value: Any) -> Any:
    """1.0 is 1, as a person means it; true is not."""
    if isinstance(value, Mapping):
        return {key: _canonical(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(child) for child in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _without_neutral(value: Any, path: str) -> Any:
    if not isinstance(value, Mapping):
        return value
    # the parts of a combination are objectives
    children = {key: "objective" if path == "objective.objectives" else f"{path}.{key}" for key in value}
    return {
        key: _without_neutral(value[key], child)
        for key, child in children.items()
        if child not in NEUTRAL_KEYS
        and not (child in ADDED_SINCE_SCHEMA and value[key] == ADDED_SINCE_SCHEMA[child])
    }
