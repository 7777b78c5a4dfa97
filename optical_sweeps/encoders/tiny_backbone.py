"""A small BERT with random weights and a vocabulary trained on the corpus, for tests and smoke runs."""

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING

from optical_sweeps.checks import Count
from optical_sweeps.encoders.backbones import Backbone, Dropout, settings_digest, transformer_weights
from optical_sweeps.errors import UserError
from optical_sweeps.interruption import call_in_thread
from optical_sweeps.seeds import derive_seed
from optical_sweeps.settings import key_of, settings

if TYPE_CHECKING:
    import transformers

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VOCABULARY_PAIRS = 2_000
"""More pairs of a language change a vocabulary of some thousand entries little, and would take minutes."""


@settings("backbone")
class TinyBackbone:
    """A small BERT with random weights and a vocabulary trained on the corpus.

    Args:
        hidden_size: a multiple of `heads`.
        vocabulary_size: maximum number of entries; exceeded only if the characters alone are more.
        positions: maximum length of a text in tokens.
        seed: base seed of the initial weights.
    """

    layers: Count = 2
    hidden_size: Count = 64
    heads: Count = 2
    vocabulary_size: Count = 4000
    positions: Count = 256
    dropout: Dropout = 0.0
    seed: int = 0
    reads_texts = True
    vocabulary_pairs = VOCABULARY_PAIRS

    def __post_init__(self) -> None:
        if self.hidden_size % self.heads:
            raise UserError(
                f"{key_of('hidden_size')}: {self.hidden_size} is no multiple of heads {self.heads}; change it"
            )

    def layer_weights(self) -> int:
        return transformer_weights(self.layers, self.hidden_size)

    def check(self) -> None:
        """Always available."""

    def fingerprint(self) -> str:
        return settings_digest("tiny", dataclasses.asdict(self))

    def build(self, texts: Iterable[str] | None = None) -> Backbone:
        import torch
        import transformers

        if texts is None:
            raise ValueError("backbone=tiny trains its tokenizer: it needs texts")
        tokenizer = train_tokenizer(texts, self.vocabulary_size)
        config = transformers.BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.hidden_size,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=4 * self.hidden_size,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
            max_position_embeddings=self.positions,
            pad_token_id=tokenizer.pad_token_id,
        )
        config._attn_implementation = "sdpa"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed("tiny backbone", self.seed))
            model = transformers.BertModel(config, add_pooling_layer=False)
        return Backbone(model.eval(), tokenizer, "tiny")


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> "transformers.PreTrainedTokenizerFast":
    """A tokenizer of byte-pair merges within words, with BERT's special tokens.

    The vocabulary does not depend on the order of the texts. (The WordPiece and Unigram trainers of
    `tokenizers`
    are not deterministic: they choose or number the entries differently in every call.)

    >>> train_tokenizer(["red fox", "red box"], 20).tokenize("red ox")
    ['▁red', '▁', 'ox']
    """
    import transformers
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.BertNormalizer(strip_accents=False, lowercase=True)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size, special_tokens=list(SPECIAL_TOKENS), show_progress=False
    )
    call_in_thread(lambda: tokenizer.train_from_iterator(texts, trainer))
    ends = [(piece, tokenizer.token_to_id(piece)) for piece in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ends
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
