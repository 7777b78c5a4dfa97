"""What a backbone is and what its settings provide."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol, runtime_checkable

from annotated_types import Ge, Lt

if TYPE_CHECKING:
    import transformers

RECIPE = 1
"""Raised when the same settings build a different backbone than before."""

Dropout = Annotated[float, Ge(0), Lt(1)]
"""A number in [0, 1)."""


@dataclass(frozen=True)
class Backbone:
    """A Hugging Face encoder without a pooler, and its tokenizer."""

    model: "transformers.PreTrainedModel"
    tokenizer: "transformers.PreTrainedTokenizerFast"
    name: str


@runtime_checkable
class BackboneSettings(Protocol):
    """The backbone that a config names; nothing is read before `check`, `fingerprint` or `build` is called."""

    @property
    def layers(self) -> int | None:
        """Number of layers; None if only the model's files tell."""
        ...

    @property
    def reads_texts(self) -> bool:
        """Whether `build` fits the vocabulary to its texts."""
        ...

    @property
    def vocabulary_pairs(self) -> int | None:
        """Most pairs of a language that its vocabulary is fitted to; None is the default."""
        ...

    def layer_weights(self) -> int | None:
        """Roughly the weights of its layers, which each token passes; None if the files do not tell."""

    def check(self) -> None:
        """Raises UserError if the backbone is not available; called before any other work."""

    def fingerprint(self) -> str:
        """A digest of everything except `texts` that determines the result of `build`, by content."""

    def build(self, texts: Iterable[str] | None = None) -> Backbone:
        """The backbone, its vocabulary fitted to `texts`, all texts that the run will encode."""


def settings_digest(kind: str, values: Mapping[str, object]) -> str:
    """A digest of a backbone's settings, which JSON can represent."""
    content = json.dumps([RECIPE, kind, values], sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def transformer_weights(layers: int, hidden_size: int) -> int:
    """Weights of the layers of a transformer whose feed-forward layers are four times as wide.

    >>> transformer_weights(12, 768)
    84934656
    """
    return 12 * layers * hidden_size**2
