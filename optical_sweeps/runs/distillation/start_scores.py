"""The dev scores that training starts from: the same for all runs of a sweep that start from one student."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.encoders.checkpoints import fingerprint
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.runs.spec.run_spec import RunSpec

RECIPE = 1
"""Raised when a change of code changes the scores."""


def start_scores(
    spec: RunSpec, teacher: TokenEncoder, student: TokenEncoder, measure: Callable[[], Mapping[str, float]]
) -> dict[str, float]:
    """Metrics by name, from the store, or measured and kept there.

    Args:
        student: before its first step.
        measure: the metrics of that student on dev.
    """
    key = {
        "recipe": RECIPE,
        "student": fingerprint(student),
        "teacher": fingerprint(teacher),
        "corpus": spec.corpus_print,
        "languages": {group: list(members) for group, members in spec.languages.groups.items()},
        "index": spec.index.numbers,
        "settings": {name: spec.config[name] for name in ("student", "evaluation")},
    }

    def build(folder: Path) -> None:
        (folder / "metrics.json").write_text(json.dumps(dict(measure())), encoding="utf-8")

    folder = ArtifactStore(spec.artifacts).get_or_build("start", key, build)
    metrics: dict[str, float] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return metrics
