"""Machine translations of queries."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.corpora.collections import Queries
from optical_sweeps.limits import read_json
from optical_sweeps.retrieval.translator import Translator
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds, SharedArtifact


@dataclass(frozen=True, eq=False)
class TranslatedQueries(SharedArtifact[tuple[str, ...]]):
    """Machine translations of queries, stored by model and text: all systems search with the same ones."""

    translator: Translator
    queries: Queries
    device: str

    kind = "translated"

    def key(self) -> Mapping[str, object]:
        return {
            "translator": self.translator.fingerprint(self.queries.language),
            "texts": fingerprint_of_texts(self.queries.texts),
        }

    def build(self, folder: Path, builds: ArtifactBuilds) -> None:
        language = self.queries.language
        with builds.progress(f"translating {language}") as advance:
            english = self.translator.translate(self.queries.texts, language, self.device, advance)
        content = json.dumps({"language": language, "english": english}, ensure_ascii=False, indent=0)
        (folder / "translations.json").write_text(content + "\n", encoding="utf-8")

    def load(self, folder: Path) -> tuple[str, ...]:
        return tuple(read_json(folder / "translations.json")["english"])

    def source(self) -> str:
        return f"{len(self.queries.texts)} queries of {self.queries.language}"
