"""A token encoder from its settings and a backbone."""

from collections.abc import Iterable, Sequence
from itertools import chain

import torch

from optical_sweeps.encoders.backbones import Backbone, BackboneSettings
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.seeds import derive_seed


def build_token_encoder(
    settings: TokenEncoderSettings, backbone: BackboneSettings, texts: Iterable[str] | None = None
) -> TokenEncoder:
    """The encoder over a backbone whose vocabulary is fitted to `texts` and to the prefixes."""
    if texts is not None:
        texts = chain((settings.query_prefix, settings.document_prefix), texts)
    built = backbone.build(texts)
    markers = (settings.query_marker, settings.document_marker)
    add_tokens(built, [token for token in markers if token], settings.seed)
    return TokenEncoder(built, settings)


def add_tokens(backbone: Backbone, tokens: Sequence[str], seed: int) -> None:
    """Add the tokens that the vocabulary lacks, in place.

    Their embeddings are drawn from `seed`, with the mean and the standard deviation of all other embeddings.
    """
    vocabulary = backbone.tokenizer.backend_tokenizer
    if missing := [token for token in dict.fromkeys(tokens) if vocabulary.token_to_id(token) is None]:
        backbone.tokenizer.add_tokens(missing)
        old = backbone.model.get_input_embeddings().weight
        with torch.random.fork_rng(devices=[]):  # transformers draws rows, which are replaced below
            rows = max(len(backbone.tokenizer), len(old))
            backbone.model.resize_token_embeddings(rows, mean_resizing=False)
        new = backbone.model.get_input_embeddings().weight
        generator = torch.Generator().manual_seed(derive_seed("added tokens", seed))
        with torch.no_grad():
            for token in missing:
                drawn = torch.randn(new.shape[1], generator=generator) * old.std(0) + old.mean(0)
                new[vocabulary.token_to_id(token)] = drawn
