"""ColBERT checkpoints of other programs give the same vectors as those programs."""

import dataclasses
import json
import string
from pathlib import Path

import pytest
import torch
import transformers

from optical_sweeps.encoders.colbert_formats.export_encoder import check_export, export
from optical_sweeps.encoders.colbert_formats.load_colbert import load_checkpoint
from optical_sweeps.encoders.colbert_formats.open_colbert import open_checkpoint
from optical_sweeps.encoders.encoder_settings import CheckpointEncoderSettings, TokenEncoderSettings
from optical_sweeps.encoders.model_folders import folder_digest
from optical_sweeps.encoders.saved_encoders import fingerprint, load_encoder, save_encoder
from optical_sweeps.encoders.teacher_checkpoint import ColbertTeacher, check_agreement
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError
from tests.support.colbert_folders import (
    DIM,
    HIDDEN,
    TEXTS,
    XLMR_ROLES,
    bert,
    bert_tokenizer,
    linear,
    put,
    vectors,
    write_pylate,
    write_stanford,
    xlmr,
    xlmr_tokenizer,
)

TWO_MAPS = (linear(12, HIDDEN, 2, bias=True), linear(DIM, 12, 3, bias=True))


def assert_same(encoder, reference) -> None:
    """`reference(text, query)` gives a text's vectors."""
    for query, side in ((True, "query"), (False, "document")):
        found = encoder.encode(TEXTS, side)
        for number, text in enumerate(TEXTS):
            expected = reference(text, query)
            assert found[number].shape == expected.shape
            torch.testing.assert_close(torch.from_numpy(found[number].copy()), expected, atol=1e-5, rtol=0)


def ids_of(tokenizer, words) -> tuple[int, ...]:
    """Token ids as in PyLate: an unknown word is the unknown token."""
    return tuple(tokenizer.token_to_id(word) or tokenizer.token_to_id("[UNK]") for word in words)


@pytest.mark.parametrize(
    ("dense", "layout", "config"),
    [
        ((linear(DIM, HIDDEN, 2),), {}, {}),
        (TWO_MAPS, {}, {"query_length": 9, "document_length": 11, "skiplist_words": [",", "red"]}),
        (
            (linear(DIM, HIDDEN, 2, bias=True),),
            {"pickled": True, "transformer": "0_Transformer", "lower": True},
            {"attend_to_expansion_tokens": True, "query_length": 16},
        ),
    ],
    ids=["defaults", "several maps, lengths and skip-list", "older layout, pickled, attending"],
)
def test_pylate_folder(tmp_path, dense, layout, config):
    written = {"query_prefix": "[Q] ", "document_prefix": "[D] ", **config}
    write_pylate(tmp_path, dense=dense, **layout, **written)
    encoder = load_checkpoint(open_checkpoint(tmp_path))
    tokenizer = bert_tokenizer("[Q] ", "[D] ")
    model = bert(tokenizer.get_vocab_size())
    skipped = ids_of(tokenizer, config.get("skiplist_words", string.punctuation))

    def reference(text: str, query: bool) -> torch.Tensor:
        return vectors(
            model, dense, tokenizer, text.strip(), query=query, mask="[MASK]", skipped=skipped,
            marker="[Q] " if query else "[D] ",
            length=config.get("query_length", 32) if query else config.get("document_length", 180),
            attends=config.get("attend_to_expansion_tokens", False),
        )  # fmt: skip

    assert_same(encoder, reference)
    assert encoder.settings.dim == DIM
    assert not any(p.requires_grad for p in encoder.parameters())


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("metadata", [{}, {"mask_punctuation": False, "attend_to_mask_tokens": True}])
def test_stanford_folder(tmp_path, pickled, metadata):
    write_stanford(tmp_path, pickled=pickled, **metadata)
    encoder = load_checkpoint(open_checkpoint(tmp_path))
    tokenizer = bert_tokenizer()
    model = bert(tokenizer.get_vocab_size())
    marks = [tokenizer.encode(mark, add_special_tokens=False).ids[0] for mark in string.punctuation]

    def reference(text: str, query: bool) -> torch.Tensor:
        return vectors(
            model, (linear(DIM, HIDDEN, 5),), tokenizer, text, query=query, mask="[MASK]",
            marker="[unused0]" if query else "[unused1]", length=12 if query else 20,
            skipped=tuple(marks) if metadata.get("mask_punctuation", True) else (),
            attends=metadata.get("attend_to_mask_tokens", False),
        )  # fmt: skip

    assert_same(encoder, reference)


@torch.no_grad()
def stanford_score(model, query: str, document: str, attends: bool) -> float:
    """MaxSim as `colbert_ai` 0.2.22 computes it (query_tokenization, doc_tokenization, colbert.mask)."""
    tokenizer = bert_tokenizer()
    padding, masked = (tokenizer.token_to_id(token) for token in ("[PAD]", "[MASK]"))
    marks = [tokenizer.encode(mark, add_special_tokens=False).ids[0] for mark in string.punctuation]

    def encode(text: str, marker: str, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        tokenizer.enable_truncation(length - 1)
        ids = tokenizer.encode(text).ids
        attention = [1] * (len(ids) + 1) + [0] * (length - 1 - len(ids))
        ids += [padding] * (length - 1 - len(ids))
        return torch.tensor([ids[0], tokenizer.token_to_id(marker), *ids[1:]]), torch.tensor(attention)

    def vectors_of(ids: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        states = model(ids[None], attention[None]).last_hidden_state[0]
        return torch.nn.functional.normalize(states @ linear(DIM, HIDDEN, 5)["linear.weight"].T, dim=1)

    ids, attention = encode(query, "[unused0]", 12)
    ids[ids == padding] = masked
    if attends:
        attention[ids == masked] = 1
    queries = vectors_of(ids, attention)
    ids, attention = encode(document, "[unused1]", 20)
    kept = torch.tensor([number not in marks and number != padding for number in ids.tolist()])
    return float((queries @ vectors_of(ids, attention)[kept].T).max(dim=1).values.sum())


@pytest.mark.parametrize("attends", [False, True])
@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("red [PAD] fox", "the red fox"),
        ("red fox", "the [PAD] red fox [PAD]"),
        ("[PAD]", "[PAD]"),
        ("[PAD] [MASK] red", "green [MASK] [PAD], apples"),
    ],
)
def test_a_spelled_out_padding_token_counts_as_in_stanfords_code(tmp_path, query, document, attends):
    write_stanford(tmp_path, attend_to_mask_tokens=attends)
    encoder = load_checkpoint(open_checkpoint(tmp_path))
    expected = stanford_score(bert(bert_tokenizer().get_vocab_size()), query, document, attends)

    def score(encoder: TokenEncoder) -> float:
        queries, documents = (encoder.encode([text], side).vectors for text, side in
                              ((query, "query"), (document, "document")))  # fmt: skip
        return float((queries @ documents.T).max(axis=1).sum())

    assert score(encoder) == pytest.approx(expected, abs=1e-5)
    export(encoder, tmp_path / "exported", "huggingface")
    assert score(load_checkpoint(open_checkpoint(tmp_path / "exported"))) == pytest.approx(expected, abs=1e-5)
    assert (tmp_path / "exported" / "artifact.metadata").is_file()


@pytest.mark.parametrize("markers", ["saved", "to be added", "unknown"])
def test_colbert_x_with_another_vocabulary(tmp_path, markers):
    """XLM-R has no unused tokens: ColBERT-X appends markers; Stanford's code uses the unknown token."""
    whole, short = xlmr_tokenizer("[unused0]", "[unused1]"), xlmr_tokenizer()
    saved = whole if markers == "saved" else short
    model = xlmr((short if markers == "unknown" else whole).get_vocab_size())
    write_stanford(tmp_path, tokenizer=saved, model=model, roles=XLMR_ROLES, mask_punctuation=True)
    encoder = load_checkpoint(open_checkpoint(tmp_path))
    tokenizer = short if markers == "unknown" else whole
    marks = tuple(tokenizer.encode(mark, add_special_tokens=False).ids[0] for mark in string.punctuation)
    named = ("<unk>", "<unk>") if markers == "unknown" else ("[unused0]", "[unused1]")

    def reference(text: str, query: bool) -> torch.Tensor:
        return vectors(
            model, (linear(DIM, HIDDEN, 5),), tokenizer, text, query=query, mask="<mask>", skipped=marks,
            marker=named[0] if query else named[1], length=12 if query else 20,
        )  # fmt: skip

    assert_same(encoder, reference)


def test_a_loaded_teacher_is_saved_bit_for_bit(tmp_path):
    write_pylate(tmp_path / "theirs", dense=TWO_MAPS)
    encoder = load_checkpoint(open_checkpoint(tmp_path / "theirs"))
    save_encoder(encoder, tmp_path / "ours")
    assert fingerprint(load_encoder(tmp_path / "ours")) == fingerprint(encoder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modules": (("sentence_transformers.models.Pooling", "2_Pooling"),)}, "is a Pooling"),
        ({"dense": ()}, "0 Dense instead of one"),
        ({"activation": "torch.nn.modules.activation.Tanh"}, "Tanh in a projection"),
        ({"tokenizer": bert_tokenizer()}, "no token '[Q] '"),
        ({"dense": (linear(12, HIDDEN, 2), linear(DIM, 11, 3))}, "takes 11 features of 12"),
    ],
    ids=["one vector a text", "no projection", "bent", "no markers", "widths"],
)
def test_models_that_are_not_colbert_are_refused(tmp_path, change, message):
    write_pylate(tmp_path, **({"dense": (linear(DIM, HIDDEN, 2),)} | change))
    with pytest.raises(UserError, match=r"teacher\.path") as error:
        load_checkpoint(open_checkpoint(tmp_path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        open_checkpoint(tmp_path / "nowhere")
    put(tmp_path / "config.json", {"architectures": ["BertModel"]})
    with pytest.raises(UserError, match=r"neither modules.json .* nor artifact.metadata"):
        open_checkpoint(tmp_path)
    write_stanford(tmp_path / "flipr", interaction="flipr")
    with pytest.raises(UserError, match="'flipr' is not supported"):
        open_checkpoint(tmp_path / "flipr")


def test_pickled_code_is_not_run(tmp_path):
    write_stanford(tmp_path, pickled=True)
    fell = tmp_path / "fell"

    class Bad:
        def __reduce__(self):
            return fell.touch, ()

    torch.save({"linear.weight": Bad()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"teacher\.path"):
        load_checkpoint(open_checkpoint(tmp_path))
    assert not fell.exists()


def test_the_digest_depends_on_content_only(tmp_path):
    for name in ("one", "other"):
        write_pylate(tmp_path / name, dense=TWO_MAPS)
    (tmp_path / "other" / "README.md").write_text("another card")
    times = tmp_path / "other" / ".cache" / "huggingface" / "download"
    times.mkdir(parents=True)
    (times / "model.safetensors.metadata").write_text("when it was fetched")
    same = folder_digest(tmp_path / "one")
    assert folder_digest(tmp_path / "other") == same
    loaded = [load_checkpoint(open_checkpoint(tmp_path / name)) for name in ("one", "other")]
    assert fingerprint(loaded[0]) == fingerprint(loaded[1])
    write_pylate(tmp_path / "other", dense=(TWO_MAPS[0], linear(DIM, 12, 4, bias=True)))
    assert folder_digest(tmp_path / "other") != same


def test_settings_that_contradict_the_checkpoint_are_refused(make_encoder):
    stated = {"dim": 8, "query_length": 32}
    check_agreement(CheckpointEncoderSettings(), stated, Path("there"))
    check_agreement(CheckpointEncoderSettings(dim=8), stated, Path("there"))
    with pytest.raises(UserError, match=r"encoder.dim: 16, but the teacher \(teacher.path=there\) has 8"):
        check_agreement(CheckpointEncoderSettings(dim=16), stated, Path("there"))
    with pytest.raises(UserError, match=r"encoder\.query_length: 24"):
        check_agreement(make_encoder(dim=8).settings, stated, Path("there"))
    with pytest.raises(UserError, match=r"encoder\.dim"):
        CheckpointEncoderSettings(dim=0)


@pytest.mark.parametrize("saved", [True, False])
def test_settings_that_contradict_our_own_checkpoint_are_refused(make_encoder, tmp_path, saved):
    for name, change in (("plain", {}), ("skipping", {"skip_tokens": ("red",)})):
        encoder = make_encoder(**change)
        save_encoder(encoder, tmp_path / name) if saved else export(encoder, tmp_path / name, "huggingface")
        check_agreement(encoder.settings, open_checkpoint(tmp_path / name).settings, Path("there"))
    stated = open_checkpoint(tmp_path / "plain").settings
    for study in (CheckpointEncoderSettings(query_marker="[Q] "), make_encoder(query_marker="[Q] ").settings):
        with pytest.raises(UserError, match=r"encoder\.query_marker: '\[Q\] ', but the teacher .* has None"):
            check_agreement(study, stated, Path("there"))


def test_our_own_damaged_checkpoint_is_refused(make_encoder, tmp_path):
    export(make_encoder(), tmp_path / "out", "huggingface")
    put(tmp_path / "out" / "token_encoder.json", {"dim": 8})
    with pytest.raises(UserError, match=r"token_encoder\.json: it has no settings of an encoder"):
        open_checkpoint(tmp_path / "out")


MARKED = {
    "query_prefix": "", "document_prefix": "", "query_marker": "[Q] ", "document_marker": "[D] ",
    "use_special_tokens": True, "use_prefix_tokens": True, "query_augmentation": True,
}  # fmt: skip


@pytest.mark.parametrize("format", ["pylate", "huggingface"])
def test_an_exported_encoder_is_loaded_unchanged(make_encoder, tmp_path, texts, format):
    encoder = make_encoder(**MARKED)
    export(encoder, tmp_path / "out", format)
    back = load_checkpoint(open_checkpoint(tmp_path / "out"))
    for side in ("query", "document"):
        one, other = encoder.encode(texts, side), back.encode(texts, side)
        assert (one.offsets == other.offsets).all()
        assert (one.vectors == other.vectors).all()
    with pytest.raises(UserError, match="exists already"):
        export(encoder, tmp_path / "out", format)


def test_any_encoder_can_be_exported_for_transformers(encoder, tmp_path, texts):
    export(encoder, tmp_path / "out", "huggingface")
    back = load_checkpoint(open_checkpoint(tmp_path / "out"))
    assert back.settings == encoder.settings
    assert (back.encode(texts, "query").vectors == encoder.encode(texts, "query").vectors).all()
    _model, report = transformers.AutoModel.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not [name for name in report["missing_keys"] if "pooler" not in name]
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer("red apple")["input_ids"] == encoder.tokenizer("red apple")["input_ids"]
    assert not (tmp_path / "out" / "artifact.metadata").exists()  # prefixes are not Stanford's


def test_a_stanford_checkpoint_survives_export(tmp_path):
    write_stanford(tmp_path / "in")
    encoder = load_checkpoint(open_checkpoint(tmp_path / "in"))
    export(encoder, tmp_path / "out", "huggingface")
    (tmp_path / "out" / "token_encoder.json").unlink()  # as Stanford's code sees it
    back = load_checkpoint(open_checkpoint(tmp_path / "out"))
    assert back.settings == encoder.settings
    assert (back.encode(TEXTS, "document").vectors == encoder.encode(TEXTS, "document").vectors).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"document_prefix": "passage: "}, "encoder.document_prefix='passage: '"),
        ({"use_special_tokens": False}, "encoder.use_special_tokens=False"),
        ({"query_prefix": "query: "}, "encoder.query_prefix='query: '"),
    ],
)
def test_settings_that_pylate_does_not_support_are_refused(make_encoder, tmp_path, change, message):
    with pytest.raises(UserError, match="format") as error:
        export(make_encoder(**(MARKED | change)), tmp_path / "out", "pylate")
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_markers_are_one_token(make_encoder):
    encoder = make_encoder(**MARKED)
    marker = encoder.text_tokenizer.rust_tokenizer.token_to_id("[Q] ")
    tokens = encoder.tokenize_texts(["red apple"], "query")
    assert tokens.ids[1] == marker
    assert tokens.mask.all()
    hidden = make_encoder(**(MARKED | {"use_prefix_tokens": False})).tokenize_texts(["red apple"], "query")
    assert hidden.mask.tolist() == [number != 1 for number in range(len(hidden.ids))]
    again = make_encoder(**MARKED)  # the added rows are drawn from a seed
    assert fingerprint(again) == fingerprint(encoder)


def test_unknown_tokens_are_refused(encoder):
    from optical_sweeps.encoders.backbones import Backbone
    from optical_sweeps.encoders.token_encoder import TokenEncoder

    backbone = Backbone(encoder.backbone, encoder.tokenizer, "a model")
    for change in ({"query_marker": "[nowhere]"}, {"skip_tokens": ("[nowhere]",)}):
        with pytest.raises(UserError, match=r"'\[nowhere\]' is not in the vocabulary of a model"):
            TokenEncoder(backbone, dataclasses.replace(encoder.settings, **change))


def test_an_export_is_refused_before_the_encoder_is_loaded(tmp_path):
    """PyLate keeps every token of a query; encoder=e5 excludes special tokens."""
    e5 = dataclasses.asdict(
        TokenEncoderSettings(query_prefix="query: ", use_special_tokens=False, query_augmentation=False)
    )
    with pytest.raises(UserError, match=r"format: pylate does not support encoder.use_special_tokens=False"):
        check_export(e5, "bert", tmp_path / "out", "pylate")
    check_export(e5, "bert", tmp_path / "out", "huggingface")
    with pytest.raises(UserError, match="exists already"):
        check_export(e5, "bert", tmp_path, "huggingface")
    marked = dataclasses.asdict(TokenEncoderSettings(**MARKED))
    check_export(marked, "bert", tmp_path / "out", "pylate")
    with pytest.raises(UserError, match="the encoder half of the family mt5; choose another backbone"):
        check_export(marked, "mt5", tmp_path / "out", "pylate")
    check_export(marked, "mt5", tmp_path / "out", "huggingface")


@pytest.mark.parametrize("family", ["fnet", "nllb-moe"])
def test_a_teacher_of_a_refused_family_is_refused_before_any_work(tmp_path, family):
    write_pylate(tmp_path, dense=(linear(DIM, HIDDEN, 2),))
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    put(tmp_path / "config.json", config | {"model_type": family})
    teacher = ColbertTeacher(tmp_path)
    for use in (lambda: teacher.check(CheckpointEncoderSettings(), None), teacher.load):
        with pytest.raises(
            UserError, match=rf"teacher.path: {tmp_path} cannot be a backbone: .* \(family {family}\)"
        ):
            use()
