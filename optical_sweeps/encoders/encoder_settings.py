"""Settings of a token encoder: lengths, prefixes, and the tokens that take part in MaxSim and transport."""

from typing import Literal

from optical_sweeps.checks import Count, Strings
from optical_sweeps.settings import settings

Side = Literal["query", "document"]
SIDES: tuple[Side, ...] = ("query", "document")
Precision = Literal["float32", "bfloat16", "float16"]


@settings("encoder")
class TokenEncoderSettings:
    """How texts become token vectors.

    Args:
        dim: dimensions of a token vector.
        query_prefix, document_prefix: text that precedes every text of that side and is tokenized with it.
        query_length, document_length: maximum length in tokens, including prefix and special tokens.
        use_special_tokens: whether special tokens such as [CLS] and [SEP] take part in MaxSim and transport.
            Every text has them, so they do not distinguish texts; ColBERT keeps them.
        use_prefix_tokens: whether the tokens of the prefix take part.
        skip_punctuation: exclude document tokens that consist only of punctuation, in any script (ColBERT).
        query_augmentation: pad queries to `query_length` with [MASK] tokens, which take part (ColBERT, arXiv
            2004.12832, section 3.2).
        augmentation_attends: whether other tokens attend to those [MASK] tokens.
        seed: base seed of the projection's initial weights and of added tokens.
        query_marker, document_marker: one token of the vocabulary, such as `[unused0]`, that is inserted
            between the leading special tokens and the text. It takes part if the prefix does.
        skip_tokens: further tokens of the vocabulary to exclude from documents (ColBERT's skip list). If the
            padding token is one of them, it is also replaced with [MASK] in the text of augmented queries.
        projection_bias: whether the projection has a bias.
    """

    dim: Count = 128
    query_prefix: str = "query: "
    document_prefix: str = "passage: "
    query_length: Count = 32
    document_length: Count = 180
    use_special_tokens: bool = False
    use_prefix_tokens: bool = False
    skip_punctuation: bool = True
    query_augmentation: bool = False
    augmentation_attends: bool = False
    seed: int = 0
    query_marker: str | None = None
    document_marker: str | None = None
    skip_tokens: Strings = ()
    projection_bias: bool = False

    def prefix(self, side: Side) -> str:
        return self.query_prefix if side == "query" else self.document_prefix

    def length(self, side: Side) -> int:
        return self.query_length if side == "query" else self.document_length

    def marker(self, side: Side) -> str | None:
        return self.query_marker if side == "query" else self.document_marker


@settings("encoder")
class CheckpointEncoderSettings:
    """Settings that come from the teacher's checkpoint; a value that is not None must equal the checkpoint's.

    Args:
        dim: dimensions of a token vector.
        query_length, document_length: maximum length in tokens, including marker and special tokens.
        query_marker, document_marker: the token that identifies the side.
        augmentation_attends: whether other tokens attend to a query's [MASK] tokens.
    """

    dim: Count | None = None
    query_length: Count | None = None
    document_length: Count | None = None
    query_marker: str | None = None
    document_marker: str | None = None
    augmentation_attends: bool | None = None


EncoderSettings = TokenEncoderSettings | CheckpointEncoderSettings
