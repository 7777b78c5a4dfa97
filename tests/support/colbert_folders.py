"""Miniature ColBERT checkpoints with random weights, in the layouts of PyLate and Stanford's code."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

WORDS = [
    "red",
    "green",
    "blue",
    "apple",
    "fox",
    "dog",
    "river",
    "the",
    "a",
    "of",
    "over",
    "runs",
    "ap",
    "##ple",
    "##s",
    ",",
    ".",
    ";",
    "!",
    "?",
    "-",
    "~",
]
BERT_PIECES = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
BERT_ROLES = {
    "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}  # fmt: skip
XLMR_ROLES = {
    "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>",
    "cls_token": "<s>", "mask_token": "<mask>",
}  # fmt: skip
TEXTS = (
    "red apple",
    "  the red fox runs over the river, the dog!",
    "Green; blue? apples - dog~ zebra",
    ".",
    "",
)
HIDDEN, DIM = 16, 8


def bert_tokenizer(*added: str) -> Tokenizer:
    """WordPiece, as in BERT; `added` follow the vocabulary, like PyLate's markers."""
    numbers = {piece: number for number, piece in enumerate(BERT_PIECES)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(token, numbers[token]) for token in ("[CLS]", "[SEP]")]
    )
    tokenizer.add_special_tokens(list(BERT_ROLES.values()))
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in added])
    return tokenizer


def xlmr_tokenizer(*added: str) -> Tokenizer:
    """A unigram model like XLM-R's, without unused tokens."""
    words = ["▁" + word for word in ("red", "apple", "fox", "dog", "river", "the", "runs", ",", ".", "!")]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *words, *",.!?;-~", *"abcdefghijklmnopqrstuvwxyz", "<mask>"]
    tokenizer = Tokenizer(models.Unigram([(piece, -1.0 - len(piece) / 10) for piece in pieces], unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens(list(dict.fromkeys(XLMR_ROLES.values())))
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in added])
    return tokenizer


def bert(rows: int) -> transformers.PreTrainedModel:
    config = transformers.BertConfig(
        vocab_size=rows, hidden_size=HIDDEN, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=192, initializer_range=0.5,
    )  # fmt: skip
    return _random(transformers.BertModel, config)


def xlmr(rows: int) -> transformers.PreTrainedModel:
    config = transformers.XLMRobertaConfig(
        vocab_size=rows, hidden_size=HIDDEN, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=194, pad_token_id=1, initializer_range=0.5, type_vocab_size=1,
    )  # fmt: skip
    return _random(transformers.XLMRobertaModel, config)


def _random(kind: Any, config: Any) -> transformers.PreTrainedModel:
    torch.manual_seed(1)
    config._attn_implementation = "eager"
    return kind(config).eval()


def linear(outgoing: int, incoming: int, seed: int, bias: bool = False) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    found = {"linear.weight": torch.randn(outgoing, incoming, generator=generator)}
    return found | ({"linear.bias": torch.randn(outgoing, generator=generator)} if bias else {})


def write_pylate(
    folder: Path,
    *,
    dense: tuple[dict[str, torch.Tensor], ...],
    pickled: bool = False,
    transformer: str = "",
    lower: bool = False,
    activation: str = "torch.nn.modules.linear.Identity",
    modules: tuple[tuple[str, str], ...] = (),
    tokenizer: Tokenizer | None = None,
    **config: Any,
) -> None:
    """The layout of `ColBERT.save_pretrained`; older sentence-transformers used `0_Transformer` and pickles."""
    tokenizer = tokenizer or bert_tokenizer("[Q] ", "[D] ")
    model = bert(tokenizer.get_vocab_size())
    kinds = [("sentence_transformers.models.Transformer", transformer)]
    kinds += [("pylate.models.Dense.Dense", f"{number}_Dense") for number in range(1, len(dense) + 1)]
    kinds += modules
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": kind}
        for number, (kind, path) in enumerate(kinds)
    ]
    # PyLate 1.1.2 pads with the mask token, and saves the tokenizer so
    _write_transformer(folder / transformer, model, tokenizer, BERT_ROLES | {"pad_token": "[MASK]"}, pickled)
    put(folder / "modules.json", listed)
    put(folder / "config_sentence_transformers.json", {"prompts": {}, "default_prompt_name": None, **config})
    put(folder / transformer / "sentence_bert_config.json", {"max_seq_length": 179, "do_lower_case": lower})
    for number, weights in enumerate(dense, start=1):
        outgoing, incoming = weights["linear.weight"].shape
        described = {
            "in_features": incoming, "out_features": outgoing, "bias": "linear.bias" in weights,
            "activation_function": activation,
        }  # fmt: skip
        put(folder / f"{number}_Dense" / "config.json", described)
        _write_weights(folder / f"{number}_Dense", weights, pickled)
    (folder / "README.md").write_text("a model card")


def write_stanford(
    folder: Path,
    *,
    pickled: bool = False,
    tokenizer: Tokenizer | None = None,
    model: transformers.PreTrainedModel | None = None,
    roles: dict[str, str] = BERT_ROLES,
    **metadata: Any,
) -> None:
    """The layout of `BaseColBERT.save`: HF_ColBERT's weights, and `artifact.metadata`."""
    tokenizer = tokenizer or bert_tokenizer()
    model = model or bert(tokenizer.get_vocab_size())
    own = {f"{model.base_model_prefix}.{name}": tensor for name, tensor in model.state_dict().items()}
    config = model.config.to_dict() | {"architectures": ["HF_ColBERT"], "model_type": model.config.model_type}
    put(folder / "config.json", config)
    _write_weights(folder, own | linear(DIM, HIDDEN, 5), pickled)
    _write_tokenizer(folder, tokenizer, roles)
    defaults = {"dim": DIM, "query_maxlen": 12, "doc_maxlen": 20, "mask_punctuation": True, "nbits": 2}
    put(folder / "artifact.metadata", defaults | metadata)


def _write_transformer(
    folder: Path,
    model: transformers.PreTrainedModel,
    tokenizer: Tokenizer,
    roles: dict[str, str],
    pickled: bool,
) -> None:
    put(folder / "config.json", model.config.to_dict() | {"architectures": [type(model).__name__]})
    _write_weights(folder, model.state_dict(), pickled)
    _write_tokenizer(folder, tokenizer, roles)


def _write_weights(folder: Path, weights: dict[str, torch.Tensor], pickled: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    own = {name: tensor.clone().contiguous() for name, tensor in weights.items()}
    if pickled:
        torch.save(own, folder / "pytorch_model.bin")
    else:
        save_file(own, folder / "model.safetensors", {"format": "pt"})


def _write_tokenizer(folder: Path, tokenizer: Tokenizer, roles: dict[str, str]) -> None:
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    put(folder / "special_tokens_map.json", roles)
    put(folder / "tokenizer_config.json", {**roles, "tokenizer_class": "PreTrainedTokenizerFast"})


def put(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


@torch.no_grad()
def vectors(
    model: transformers.PreTrainedModel,
    dense: tuple[dict[str, torch.Tensor], ...],
    tokenizer: Tokenizer,
    text: str,
    *,
    marker: str,
    length: int,
    query: bool,
    mask: str,
    skipped: tuple[int, ...] = (),
    attends: bool = False,
) -> torch.Tensor:
    """A slow, plain version of what PyLate and Stanford's code compute for one text."""
    tokenizer = Tokenizer.from_str(tokenizer.to_str())
    tokenizer.enable_truncation(length - 1)
    ids = tokenizer.encode(text).ids
    ids = [ids[0], tokenizer.token_to_id(marker), *ids[1:]]
    attention = [1] * len(ids)
    if query:
        attention += [int(attends)] * (length - len(ids))
        ids += [tokenizer.token_to_id(mask)] * (length - len(ids))
    states = model(torch.tensor([ids]), torch.tensor([attention])).last_hidden_state[0]
    for weights in dense:
        states = states @ weights["linear.weight"].T + weights.get("linear.bias", 0)
    kept = [query or number not in skipped for number in ids]
    return torch.nn.functional.normalize(states[torch.tensor(kept)], dim=1)
