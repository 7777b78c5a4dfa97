"""What pruning costs the teacher's own queries, measured once for all runs of a sweep."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from optical_sweeps.console import echo
from optical_sweeps.encoders.saved_encoders import fingerprint
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.limits import read_json
from optical_sweeps.retrieval.search_settings import PrunedSearch
from optical_sweeps.runs.shared.collection_search import CollectionSearch, PruningPrice
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds, SharedArtifact
from optical_sweeps.runs.spec.run_spec import RunSpec


@dataclass(frozen=True, eq=False)
class TeacherPrice(SharedArtifact[PruningPrice]):
    """The price of a pruned search by the teacher's vectors of dev queries, before any student is trained."""

    spec: RunSpec
    teacher: TokenEncoder
    search: CollectionSearch
    settings: PrunedSearch

    kind = "pruning_price"

    def key(self) -> Mapping[str, object]:
        settings = asdict(self.settings)
        settings.pop("max_loss")
        return {
            "teacher": fingerprint(self.teacher),
            "index": self.spec.index.vector_precision,
            "corpus": self.spec.corpus_fingerprint,
            "languages": sorted(self.spec.languages.all),
            "measure": str(self.spec.evaluation.main_measure),
            "depth": self.spec.evaluation.depth,
            "settings": settings,
        }

    def build(self, folder: Path, builds: ArtifactBuilds) -> None:
        with builds.progress("price of pruning") as advance:
            languages = self.spec.languages.all
            price = self.search.price(self.settings, self.spec.corpus, languages, self.teacher, advance)
        (folder / "price.json").write_text(json.dumps(asdict(price), indent=1) + "\n", encoding="utf-8")
        echo(f"{self.settings.label}: {price} by the teacher")

    def load(self, folder: Path) -> PruningPrice:
        content = read_json(folder / "price.json")
        for name in ("kept_interval", "loss_interval"):
            content[name] = tuple(content[name])
        return PruningPrice(**content)

    def source(self) -> str:
        return f"{self.settings.price_queries} dev queries of each language"
