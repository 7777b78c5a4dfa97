"""Mongo-style filters of runs, as the public API takes them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

ABSENT = object()
NAMES = {
    "display_name": "displayName",
    "created_at": "createdAt",
    "heartbeat_at": "heartbeatAt",
    "job_type": "jobType",
    "summary_metrics": "summary",
}

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda value, wanted: value == wanted,
    "$ne": lambda value, wanted: value != wanted,
    "$gt": lambda value, wanted: value is not ABSENT and value > wanted,
    "$gte": lambda value, wanted: value is not ABSENT and value >= wanted,
    "$lt": lambda value, wanted: value is not ABSENT and value < wanted,
    "$lte": lambda value, wanted: value is not ABSENT and value <= wanted,
    "$in": lambda value, wanted: _any_of(value, wanted),
    "$nin": lambda value, wanted: not _any_of(value, wanted),
    "$exists": lambda value, wanted: (value is not ABSENT) is wanted,
    "$regex": lambda value, wanted: isinstance(value, str) and bool(re.search(wanted, value)),
}


def matches(facts: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    """Whether a run's facts (`name`, `state`, `config`, `summary`, ...) meet the filter.

    >>> matches({"state": "finished", "config": {"seed": 1}}, {"config.seed": {"$gt": 0}, "state": "finished"})
    True
    """
    return all(_meets(facts, key, wanted) for key, wanted in condition.items())


def _meets(facts: Mapping[str, Any], key: str, wanted: Any) -> bool:
    if key == "$and":
        return all(matches(facts, part) for part in wanted)
    if key == "$or":
        return any(matches(facts, part) for part in wanted)
    if key == "$nor":
        return not any(matches(facts, part) for part in wanted)
    if isinstance(wanted, Mapping) and any(name.startswith("$") for name in wanted):
        return all(_compares(facts, key, name, value) for name, value in wanted.items())
    value = _value(facts, key)
    return value == wanted or (isinstance(value, list) and wanted in value)


def _compares(facts: Mapping[str, Any], key: str, comparison: str, wanted: Any) -> bool:
    if comparison == "$not":
        return not _meets(facts, key, wanted)
    return COMPARISONS[comparison](_value(facts, key), wanted)


def _any_of(value: Any, wanted: list[Any]) -> bool:
    return value in wanted or (isinstance(value, list) and any(item in wanted for item in value))


def _value(facts: Mapping[str, Any], key: str) -> Any:
    """The value at `config.objective.name` or `summary_metrics.a/b`; the service allows a last `.value`."""
    root, _, rest = key.partition(".")
    value: Any = facts.get(NAMES.get(root, root), ABSENT)
    if not rest or not isinstance(value, Mapping):
        return value
    for path in (rest, rest.removesuffix(".value")):
        if (found := _inside(value, path)) is not ABSENT:
            return found
    return ABSENT


def _inside(tree: Any, path: str) -> Any:
    if not isinstance(tree, Mapping):
        return ABSENT
    if path in tree:
        return tree[path]
    first, _, rest = path.partition(".")
    return _inside(tree[first], rest) if rest and first in tree else ABSENT
