"""A run's identity: a hash of everything that can change its numbers, and of nothing else."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

IDENTITY_SCHEMA = 1
"""Raised when a change of code changes the numbers of an unchanged config."""

NEUTRAL_KEYS = (
    "training.log_every",
    "evaluation.memory_budget_mb",
    "objective.solver.threads",
    "objective.solver.solver.threads",
)
"""Settings of groups that count which change speed, memory or logging alone."""


def run_id(facts: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of the facts' hash, the same whatever the order of their keys.

    >>> run_id({"seed": 1, "ratio": 1}) == run_id({"ratio": 1.0, "seed": 1})
    True
    """
    text = json.dumps(_canonical({"schema": IDENTITY_SCHEMA, **facts}), sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def numeric_facts(
    config: Mapping[str, Any], *, fingerprints: Mapping[str, str], trains: bool
) -> dict[str, Any]:
    """The part of a resolved config that can change a run's numbers.

    Data and backbone count by the fingerprints of their content, not by their paths. A run that trains nothing
    does not depend on mixture, training or seed, so all its grid points are one run.
    """
    counted = ["languages", "encoder", "teacher", "objective", "evaluation"]
    if trains:
        counted += ["mixture", "training", "seed"]
    facts = {name: _without_neutral(config[name], name) for name in counted}
    facts["languages"] = {group: sorted(members) for group, members in config["languages"].items()}
    return {**facts, **fingerprints}


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
    children = {key: f"{path}.{key}" for key in value}
    return {
        key: _without_neutral(value[key], child) for key, child in children.items() if child not in NEUTRAL_KEYS
    }
