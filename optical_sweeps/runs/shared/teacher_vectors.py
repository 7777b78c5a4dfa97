"""The teacher's token vectors of English sentences, stored by sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int64

from optical_sweeps.console import Advance
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.sharded_embeddings import ShardedEmbeddings, StoredEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.retrieval.shards import quantise
from optical_sweeps.runs.shared.sentence_store import Arrays, SentenceArtifact, stored_sentences
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds

StoredPrecision = Literal["float32", "float16", "int8"]


@dataclass(frozen=True, eq=False)
class TeacherVectors(SentenceArtifact):
    """Token vectors of English texts, encoded as queries or as documents."""

    teacher: TokenEncoder
    teacher_fingerprint: str
    side: Side
    precision: StoredPrecision = "float32"

    kind = "english"
    recipe = 3

    @property
    def part(self) -> str:
        return "english" if self.side == "query" else "english_documents"

    def key(self) -> Mapping[str, object]:
        return {"teacher": self.teacher_fingerprint, "side": self.side, "precision": self.precision}

    def compute(self, texts: Sequence[str], advance: Advance) -> tuple[Int64[np.ndarray, " bounds"], Arrays]:
        embeddings = self.teacher.encode_alone(texts, self.side, advance)
        if self.precision == "int8":
            codes, scales = quantise(embeddings.vectors)
            return embeddings.offsets, {"vectors": codes, "scales": scales}
        return embeddings.offsets, {"vectors": embeddings.vectors.astype(self.precision)}

    def stored(self, builds: ArtifactBuilds, texts: Sequence[str]) -> ShardedEmbeddings:
        """The vectors of the texts, from the store or added to it."""
        places = stored_sentences(builds, self, texts)
        scaled = self.precision == "int8"
        shards = (
            StoredEmbeddings(shard.array("vectors"), shard.offsets, shard.array("scales") if scaled else None)
            for shard in places.shards
        )
        return ShardedEmbeddings(tuple(shards), places.source, places.rows)
