"""Texts cut into tokens, in the artifact store: once for all runs that read them with equal tokenizers.

<entry>/ids.bin       int32, the token ids of all texts end to end
<entry>/mask.bin      a byte each: whether the token takes part
<entry>/offsets.npy   int64: text i has entries offsets[i] to offsets[i + 1]
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from optical_sweeps.artifacts import ArtifactStore, canonical_json
from optical_sweeps.console import echo
from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.encoders.token_encoder import Side, TokenEncoder, TokenizedTexts

RECIPE = 1
"""Raised when a change of code changes what an unchanged key builds."""

STRETCH = 1 << 15
"""Texts that are cut at a time, which bounds a build's memory."""

WORTH_A_LINE = 1.0
"""Seconds; a study has many languages, most of them small."""

NO_MATTER = ("dim", "seed")
"""An encoder's settings that no token depends on."""


@dataclass(frozen=True)
class StoredTokens:
    """Cuts texts into tokens once and maps them from then on; `training.distillation_data.Tokenise`.

    Args:
        tick: called between stretches; may raise, and the next run builds the entry.
        built: told the seconds under `tokens`, where any had to be built.
    """

    store: ArtifactStore
    tick: Callable[[], None] = lambda: None
    built: dict[str, float] = field(default_factory=dict)

    def __call__(self, encoder: TokenEncoder, texts: Sequence[str], side: Side) -> TokenizedTexts:
        """The texts' tokens, mapped into memory."""

        def build(folder: Path) -> None:
            start = time.perf_counter()
            write_tokens(folder, encoder, texts, side, self.tick)
            seconds = time.perf_counter() - start
            self.built["tokens"] = self.built.get("tokens", 0.0) + seconds
            if seconds >= WORTH_A_LINE:
                echo(f"tokens: {len(texts)} texts cut in {seconds:.1f} s")

        return load_tokens(self.store.get_or_build("tokens", key_of(encoder, texts, side), build))


def key_of(encoder: TokenEncoder, texts: Sequence[str], side: Side) -> Mapping[str, Any]:
    """What the tokens of texts depend on."""
    settings = encoder.settings.described()
    return {
        "recipe": RECIPE,
        "tokenizer": _tokenizer_print(encoder),
        "settings": {name: value for name, value in settings.items() if name not in NO_MATTER},
        "side": side,
        "texts": _texts_print(tuple(texts)),
    }


def write_tokens(
    folder: Path,
    encoder: TokenEncoder,
    texts: Sequence[str],
    side: Side,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Cut texts, a stretch at a time, into the files of an entry."""
    lengths = [np.zeros(0, np.int64)]
    with (folder / "ids.bin").open("wb") as ids, (folder / "mask.bin").open("wb") as mask:
        for start in range(0, len(texts), STRETCH):
            tick()
            cut = encoder.tokenize_texts(texts[start : start + STRETCH], side)
            cut.ids.tofile(ids)
            cut.mask.tofile(mask)
            lengths.append(cut.lengths)
    np.save(folder / "offsets.npy", np.cumsum(np.concatenate([[0], *lengths]), dtype=np.int64))


def load_tokens(folder: Path) -> TokenizedTexts:
    """The tokens of an entry of the store."""
    ids = np.memmap(folder / "ids.bin", np.int32, "r")
    mask = np.memmap(folder / "mask.bin", np.bool_, "r")
    # as plain arrays: every slice of a memmap is one too, and costs ten times as much
    return TokenizedTexts(np.asarray(ids), np.asarray(mask), np.load(folder / "offsets.npy"))


def _tokenizer_print(encoder: TokenEncoder) -> str:
    special = {role: token for role, token in encoder.tokenizer.special_tokens_map.items() if token}
    content = canonical_json({"special": special, "tokenizer": encoder.rust_tokenizer.to_str()})
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=64)  # all runs of a sweep read the same texts; it keeps them
def _texts_print(texts: tuple[str, ...]) -> str:
    return fingerprint_of_texts(texts)
