"""Dev scores of an untrained student, shared by all runs of a sweep that start from it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.encoders.saved_encoders import fingerprint
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.limits import read_json
from optical_sweeps.runs.distillation.student_search import StudentSearch
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds, SharedArtifact
from optical_sweeps.runs.spec.run_spec import RunSpec


@dataclass(frozen=True, eq=False)
class StartScores(SharedArtifact[dict[str, float]]):
    """Metrics by name.

    Args:
        student: before its first step.
        search: searches dev with the student if the scores are not stored yet.
    """

    spec: RunSpec
    teacher: TokenEncoder
    student: TokenEncoder
    search: StudentSearch

    kind = "start"
    announced_from = math.inf

    def key(self) -> Mapping[str, object]:
        return {
            "student": fingerprint(self.student),
            "teacher": fingerprint(self.teacher),
            "corpus": self.spec.corpus_fingerprint,
            "languages": self.spec.languages.groups,
            "index": self.spec.index.vector_precision,
            "settings": {name: self.spec.config[name] for name in ("student", "evaluation")},
        }

    def build(self, folder: Path, builds: ArtifactBuilds) -> None:
        metrics = self.search.evaluate(self.student, "dev").metrics()
        (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")

    def load(self, folder: Path) -> dict[str, float]:
        metrics: dict[str, float] = read_json(folder / "metrics.json")
        return metrics

    def source(self) -> str:
        return "dev queries"
