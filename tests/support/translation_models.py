"""Small translation models with random weights and the hub's tokenizer files."""

import json
from pathlib import Path

TEXTS = ["punainen talo", "sininen auto", "talo ja auto on punainen", "red house", "blue car", "the car is red"]
SMALL = {
    "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_position_embeddings": 64,
}  # fmt: skip


def make_marian(folder: Path) -> None:
    import torch
    import transformers

    folder.mkdir(parents=True)
    pieces = _sentencepiece(folder / "source.spm")
    (folder / "target.spm").write_bytes((folder / "source.spm").read_bytes())
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(["</s>", "<unk>", *pieces]))}
    vocabulary["<pad>"] = len(vocabulary)
    _write(folder / "vocab.json", vocabulary)
    _write(
        folder / "tokenizer_config.json",
        {"source_lang": "fi", "target_lang": "en", "tokenizer_class": "MarianTokenizer"},
    )
    torch.manual_seed(1)
    config = transformers.MarianConfig(
        vocab_size=len(vocabulary), pad_token_id=vocabulary["<pad>"], eos_token_id=0,
        decoder_start_token_id=vocabulary["<pad>"], forced_eos_token_id=0, **SMALL,
    )  # fmt: skip
    transformers.MarianMTModel(config).save_pretrained(folder)


def make_m2m100(folder: Path) -> None:
    import torch
    import transformers

    folder.mkdir(parents=True)
    pieces = _sentencepiece(folder / "sentencepiece.bpe.model")
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *[piece for piece in pieces if piece not in ("<unk>", "</s>")]]
    _write(folder / "vocab.json", {token: number for number, token in enumerate(tokens)})
    _write(folder / "tokenizer_config.json", {"tokenizer_class": "M2M100Tokenizer"})
    tokenizer = transformers.M2M100Tokenizer.from_pretrained(folder)
    last = max(tokenizer.get_lang_id(code) for code in tokenizer.lang_code_to_token)
    torch.manual_seed(2)
    config = transformers.M2M100Config(vocab_size=last + 9, **SMALL)
    transformers.M2M100ForConditionalGeneration(config).save_pretrained(folder)


def make_nllb(folder: Path) -> None:
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    folder.mkdir(parents=True)
    raw = Tokenizer(models.BPE(unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=60, special_tokens=special, show_progress=False)
    raw.train_from_iterator(TEXTS, trainer)
    merges = [tuple(pair) for pair in json.loads(raw.to_str())["model"]["merges"]]
    tokenizer = transformers.NllbTokenizerFast(
        vocab=raw.get_vocab(), merges=merges, src_lang="fin_Latn", tgt_lang="eng_Latn"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(3)
    config = transformers.M2M100Config(vocab_size=len(tokenizer), **SMALL)
    transformers.M2M100ForConditionalGeneration(config).save_pretrained(folder)


def _sentencepiece(model: Path) -> list[str]:
    """Train a model, write it to the file, and return its pieces."""
    import sentencepiece

    prefix = model.with_name("trained")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 4), model_prefix=str(prefix), vocab_size=45, hard_vocab_limit=False,
        unk_id=0, bos_id=-1, eos_id=1, pad_id=-1, minloglevel=2,
    )  # fmt: skip
    prefix.with_suffix(".vocab").unlink()
    prefix.with_suffix(".model").rename(model)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    return [processor.id_to_piece(number) for number in range(processor.get_piece_size())]


def _write(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
