"""The pruned index of a document set."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.retrieval.pruned_index import PRUNED_FORMAT, PrunedIndex, build_pruned
from optical_sweeps.retrieval.search_settings import PrunedSearch
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds, SharedArtifact


@dataclass(frozen=True, eq=False)
class PrunedDocuments(SharedArtifact[PrunedIndex]):
    """The centroids and inverted lists of a token index, whose key in the store is `index_key`."""

    index: TokenIndex
    index_key: Mapping[str, object]
    settings: PrunedSearch
    device: str

    kind = "pruned_index"
    recipe = PRUNED_FORMAT
    in_parts = True

    def key(self) -> Mapping[str, object]:
        return {
            "index": dict(self.index_key),
            "centroids": self.settings.centroids,
            "seed": self.settings.seed,
        }

    def build(self, folder: Path, builds: ArtifactBuilds) -> None:
        with builds.progress("pruned index") as advance:
            build_pruned(folder, self.index, self.settings, advance, self.device)

    def load(self, folder: Path) -> PrunedIndex:
        return PrunedIndex.load(folder, self.index, self.device)

    def source(self) -> str:
        return f"{self.index.tokens} token vectors"
