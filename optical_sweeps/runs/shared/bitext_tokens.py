"""Token ids of sentences, stored by sentence for all runs whose tokenizers and lengths agree."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from optical_sweeps.artifacts import canonical_json
from optical_sweeps.console import Advance
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.encoders.tokenized_texts import TokenizedTexts
from optical_sweeps.runs.shared.sentence_store import Arrays, SentenceArtifact, stored_sentences
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds
from optical_sweeps.training.distillation_pairs import DrawnTexts

IRRELEVANT_SETTINGS = ("dim", "seed")
"""Settings of an encoder that no token depends on."""


@dataclass(frozen=True, eq=False)
class BitextTokens(SentenceArtifact):
    """Texts as tokens of one encoder's tokenizer."""

    encoder: TokenEncoder
    side: Side

    kind = "tokens"
    recipe = 2
    announced_from = 1.0  # most runs need only a few new sentences

    def key(self) -> Mapping[str, object]:
        settings = dataclasses.asdict(self.encoder.settings)
        return {
            "tokenizer": _tokenizer_fingerprint(self.encoder),
            "settings": {key: value for key, value in settings.items() if key not in IRRELEVANT_SETTINGS},
            "side": self.side,
        }

    def compute(self, texts: Sequence[str], advance: Advance) -> tuple[Int64[np.ndarray, " bounds"], Arrays]:
        advance(0, len(texts))
        tokens = self.encoder.tokenize_texts(texts, self.side)
        return tokens.offsets, {"ids": tokens.ids, "mask": tokens.mask}


@dataclass(frozen=True)
class StoredTokens:
    """Tokenizes texts through the artifact store; a `training.bitext_data.Tokenise`."""

    builds: ArtifactBuilds

    def __call__(self, encoder: TokenEncoder, texts: Sequence[str], side: Side) -> DrawnTexts:
        stored = stored_sentences(self.builds, BitextTokens(encoder, side), texts)
        shards = (
            TokenizedTexts(shard.array("ids"), shard.array("mask"), shard.offsets) for shard in stored.shards
        )
        return DrawnTexts(tuple(shards), stored.source, stored.rows)


def _tokenizer_fingerprint(encoder: TokenEncoder) -> str:
    special = {role: token for role, token in encoder.tokenizer.special_tokens_map.items() if token}
    content = canonical_json({"special": special, "tokenizer": encoder.text_tokenizer.rust_tokenizer.to_str()})
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
