"""Tokenized texts, shared by all runs whose tokenizers and lengths agree.

<entry>/ids.bin       int32, the token ids of all texts end to end
<entry>/mask.bin      one byte per token: whether it takes part
<entry>/offsets.npy   int64: text i has entries offsets[i] to offsets[i + 1]
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from optical_sweeps.artifacts import canonical_json
from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.encoders.tokenized_texts import TokenizedTexts
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds, SharedArtifact

STRETCH = 1 << 15
"""Texts tokenized at a time, which bounds the memory of a build."""

IRRELEVANT_SETTINGS = ("dim", "seed")
"""Settings of an encoder that no token depends on."""


@dataclass(frozen=True, eq=False)
class BitextTokens(SharedArtifact[TokenizedTexts]):
    """Texts as tokens of one encoder's tokenizer, mapped into memory."""

    encoder: TokenEncoder
    texts: Sequence[str]
    side: Side

    kind = "tokens"
    announced_from = 1.0  # a study has many languages, most of them small

    def key(self) -> Mapping[str, object]:
        settings = dataclasses.asdict(self.encoder.settings)
        return {
            "tokenizer": _tokenizer_fingerprint(self.encoder),
            "settings": {key: value for key, value in settings.items() if key not in IRRELEVANT_SETTINGS},
            "side": self.side,
            "texts": _texts_fingerprint(tuple(self.texts)),
        }

    def build(self, folder: Path, builds: ArtifactBuilds) -> None:
        lengths = [np.zeros(0, np.int64)]
        with (folder / "ids.bin").open("wb") as ids, (folder / "mask.bin").open("wb") as mask:
            for start in range(0, len(self.texts), STRETCH):
                builds.interruption.check()
                tokens = self.encoder.tokenize_texts(self.texts[start : start + STRETCH], self.side)
                tokens.ids.tofile(ids)
                tokens.mask.tofile(mask)
                lengths.append(tokens.lengths)
        np.save(folder / "offsets.npy", np.cumsum(np.concatenate([[0], *lengths]), dtype=np.int64))

    def load(self, folder: Path) -> TokenizedTexts:
        ids = np.memmap(folder / "ids.bin", np.int32, "r")
        mask = np.memmap(folder / "mask.bin", np.bool_, "r")
        # Plain arrays, because every slice of a memmap is a memmap, which costs ten times as much.
        return TokenizedTexts(np.asarray(ids), np.asarray(mask), np.load(folder / "offsets.npy"))

    def source(self) -> str:
        return f"{len(self.texts)} texts"


@dataclass(frozen=True)
class StoredTokens:
    """Tokenizes texts through the artifact store; a `training.bitext_data.Tokenise`."""

    builds: ArtifactBuilds

    def __call__(self, encoder: TokenEncoder, texts: Sequence[str], side: Side) -> TokenizedTexts:
        return self.builds.get(BitextTokens(encoder, texts, side))


def _tokenizer_fingerprint(encoder: TokenEncoder) -> str:
    special = {role: token for role, token in encoder.tokenizer.special_tokens_map.items() if token}
    content = canonical_json({"special": special, "tokenizer": encoder.text_tokenizer.rust_tokenizer.to_str()})
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=64)  # all runs of a sweep read the same texts, and keep them in memory
def _texts_fingerprint(texts: tuple[str, ...]) -> str:
    return fingerprint_of_texts(texts)
