"""The facts of a retrieval run's identity: everything that can change its numbers, and nothing else."""

from collections.abc import Mapping

IDENTITY_SCHEMA = 4
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
    "objective.name",
    # the content of these files counts, not their paths
    "student.checkpoint",
    "teacher.path",
    "teacher.triples.path",
    "teacher.triples.queries",
    "teacher.triples.collection",
    "teacher.triples.cache",
    "teacher.triples.documents",
    "teacher.triples.complete",
    "evaluation.lexicon",
    *(
        f"evaluation.{search}.{key}"
        for search in ("search", "dev_search")
        for key in (
            "human_queries",
            "run_files",
            "price_queries",
            "max_loss",
            "alignment.solver.threads",
            "alignment.solver.solver.threads",
        )
    ),
    "training.code_switching.lexicon",
)
"""Settings in the counted sections that change speed, memory or logging only."""

COUNTED_SECTIONS = ("languages", "encoder", "teacher", "student", "objective", "index", "evaluation")
TRAINING_SECTIONS = ("mixture", "training", "seed")
"""A run that trains nothing does not depend on these, so all such points of a grid are one run."""


def numeric_facts(
    config: Mapping[str, object], *, fingerprints: Mapping[str, str], trains: bool
) -> dict[str, object]:
    """The part of a resolved config that can change a run's numbers.

    Data, backbone and checkpoints count by the fingerprints of their content, not by their paths.
    """
    sections = (*COUNTED_SECTIONS, *TRAINING_SECTIONS) if trains else COUNTED_SECTIONS
    facts = {"schema": IDENTITY_SCHEMA, **{name: fact(name, config[name]) for name in sections}}
    if both := facts.keys() & fingerprints.keys():
        raise ValueError(f"{both}: a fingerprint would replace a setting")
    return {**facts, **fingerprints}


def fact(name: str, value: object) -> object:
    """The part of a section's value that can change numbers."""
    if name == "languages" and isinstance(value, Mapping):
        return {group: sorted(members) for group, members in value.items()}
    return _without_neutral(value, name)


def _without_neutral(value: object, path: str) -> object:
    if not isinstance(value, Mapping):
        return value
    # the parts of a combination are objectives
    children = {key: "objective" if path == "objective.objectives" else f"{path}.{key}" for key in value}
    return {
        key: _without_neutral(value[key], child) for key, child in children.items() if child not in NEUTRAL_KEYS
    }
