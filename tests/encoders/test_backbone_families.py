"""Every encoder and encoder-decoder family works as a backbone, or is refused with the reason."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from optical_sweeps.encoders.backbone_families import ENCODER_HALVES, REFUSED, refusal
from optical_sweeps.encoders.build_encoder import build_token_encoder
from optical_sweeps.encoders.colbert_formats.export_encoder import export
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.huggingface_backbone import HuggingFaceBackbone
from optical_sweeps.encoders.saved_encoders import (
    fingerprint,
    load_encoder,
    load_student,
    save_encoder,
    save_student,
)
from optical_sweeps.encoders.teacher_checkpoint import ColbertTeacher
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.encoders.transformer_layers import drop_layers, layer_list, longest_text
from optical_sweeps.errors import UserError
from tests.support.backbone_families import LONGEST, write_model

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "backbones.md"
WORKS, REFUSALS = (
    dict(re.findall(r"^\| (\w[\w-]*) \| ([^|]+) \|", table.partition("| --- |")[2], flags=re.MULTILINE))
    for table in PAGE.read_text(encoding="utf-8").split("## Families")[1:]
)
COMMON = (
    "albert", "bert", "camembert", "deberta-v2", "distilbert", "electra", "eurobert", "jina_embeddings_v3",
    "modernbert", "mpnet", "mt5", "nomic_bert", "qwen3", "roformer", "t5", "xlm-roberta",
)  # fmt: skip
"""Families that the fast tier of the tests tries; the slow tier tries all."""
WITHOUT_SEPARATE_LAYERS = ("albert", "flaubert", "xlm")
LAYERS_DIFFER = ("longt5", "modernbert", "mt5", "pegasus_x", "switch_transformers", "t5")
SETTINGS = {
    "dim": 8,
    "query_length": 24,
    "document_length": 40,
    "query_marker": "[Q]",
    "document_marker": "[D]",
}


def test_the_page_lists_every_family_of_transformers():
    families = {*modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES}
    families |= {*modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES}
    listed = WORKS.keys() | REFUSALS.keys()
    assert families <= listed
    assert listed - families <= {"qwen3", *REFUSED}
    assert {family for family, part in WORKS.items() if part == "encoder half"} == ENCODER_HALVES


@pytest.mark.parametrize("family", REFUSALS)
def test_a_refused_family_is_refused_from_its_config_alone(family, tmp_path):
    config = {} if family == "encoder-decoder" else CONFIG_MAPPING[family]().to_dict()
    config["model_type"] = family
    (tmp_path / "config.json").write_text(json.dumps(config, default=str))
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(UserError) as error:
        HuggingFaceBackbone(str(tmp_path)).check()
    assert f"cannot be a backbone: {REFUSALS[family]} (family {family}); see" in str(error.value)


@pytest.fixture
def folder(request, tmp_path, texts) -> Path:
    return write_model(request.param, tmp_path / "model", texts)


def encoder_of(folder: Path, layers: int | None = None) -> TokenEncoder:
    backbone = HuggingFaceBackbone(str(folder), layers=layers)
    backbone.check()
    return build_token_encoder(TokenEncoderSettings(**SETTINGS), backbone).eval()


def vectors(encoder: TokenEncoder, texts: tuple[str, ...]) -> np.ndarray:
    return np.concatenate([encoder.encode(texts, side).vectors for side in ("query", "document")])


FAMILIES = [
    pytest.param(name, name, id=name, marks=() if name in COMMON else pytest.mark.slow) for name in WORKS
]


@pytest.mark.parametrize(("folder", "family"), FAMILIES, indirect=["folder"])
def test_a_family_works(folder, family, tmp_path, texts):
    encoder = encoder_of(folder)
    assert refusal(encoder.backbone.config.to_dict()) is None
    before = vectors(encoder, texts)
    _check_gradients(encoder, texts)
    alone = np.concatenate([encoder.encode([text], "query").vectors for text in texts])
    np.testing.assert_allclose(alone, encoder.encode(texts, "query").vectors, atol=1e-4)
    save_encoder(encoder, tmp_path / "saved")
    loaded = load_encoder(tmp_path / "saved")
    assert fingerprint(loaded) == fingerprint(encoder)
    assert np.array_equal(vectors(loaded, texts), before)
    export(encoder, tmp_path / "exported", "huggingface")
    assert np.array_equal(vectors(ColbertTeacher(tmp_path / "exported").load(), texts), before)
    _check_student(encoder, tmp_path, texts)
    _check_longest(encoder, folder)
    _check_fewer_layers(folder, family, tmp_path, texts)


def _check_gradients(encoder: TokenEncoder, texts: tuple[str, ...]) -> None:
    """Every weight takes part, as training on several devices requires."""
    encoder.train().requires_grad_(True)
    output = encoder(encoder.tokenize(texts, "query"))
    (output.vectors * torch.randn_like(output.vectors)).sum().backward()
    trained = encoder.trainable_parameters()
    assert [name for name, value in trained.items() if value.grad is None] == []
    encoder.zero_grad()
    encoder.eval()


def _check_student(teacher: TokenEncoder, folder: Path, texts: tuple[str, ...]) -> None:
    student = teacher.copy().freeze(embeddings=True)
    with torch.no_grad():
        next(reversed(list(student.backbone.parameters()))).add_(0.1)
    save_student(student, teacher, folder / "student")
    loaded = load_student(folder / "student", teacher)
    assert fingerprint(loaded) == fingerprint(student)
    assert np.array_equal(vectors(loaded, texts), vectors(student, texts))


def _check_longest(encoder: TokenEncoder, folder: Path) -> None:
    longest = min(longest_text(encoder.backbone), LONGEST)
    settings = TokenEncoderSettings(**SETTINGS | {"document_length": longest})
    long = build_token_encoder(settings, HuggingFaceBackbone(str(folder))).eval()
    ragged = long.encode(["red fox " * LONGEST, "red"], "document")
    assert long.tokenize_texts(["red fox " * LONGEST], "document").lengths[0] == longest
    assert np.isfinite(ragged.vectors).all()


def _check_fewer_layers(folder: Path, family: str, tmp_path: Path, texts: tuple[str, ...]) -> None:
    if family in WITHOUT_SEPARATE_LAYERS:
        for change in (lambda e: e.freeze(layers=1), lambda e: drop_layers(e.backbone, [1])):
            with pytest.raises(UserError, match="can therefore be neither dropped nor frozen"):
                change(encoder_of(folder))
        return
    shortened = [encoder_of(folder, layers=2)]
    assert len(layer_list(shortened[0].freeze(layers=1).backbone)) == 2
    middle = encoder_of(folder)
    if family in LAYERS_DIFFER:
        with pytest.raises(UserError, match="cannot take its place"):
            drop_layers(middle.backbone, [1])
    else:
        drop_layers(middle.backbone, [1])
        shortened.append(middle)
    for number, encoder in enumerate(shortened):
        save_encoder(encoder, tmp_path / f"fewer{number}")
        assert np.array_equal(
            vectors(load_encoder(tmp_path / f"fewer{number}"), texts), vectors(encoder, texts)
        )


@pytest.mark.parametrize(
    ("folder", "key"),
    [
        ("bert", "hidden_dropout_prob"),
        ("distilbert", "dropout"),
        ("t5", "dropout_rate"),
        ("modernbert", "mlp_dropout"),
    ],
    indirect=["folder"],
)
def test_dropout_is_set_by_the_familys_own_key(folder, key):
    model = HuggingFaceBackbone(str(folder), dropout=0.25).build().model
    assert getattr(model.config, key) == 0.25
    assert 0.25 in {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}


def test_an_encoder_half_has_the_vectors_of_the_whole_models_encoder(tmp_path, texts):
    folder = write_model("mt5", tmp_path / "mt5", texts)
    half = HuggingFaceBackbone(str(folder)).build().model
    whole = transformers.MT5EncoderModel.from_pretrained(folder).eval()
    ids = torch.arange(5, 25)[None]
    assert torch.equal(half(input_ids=ids).last_hidden_state, whole(input_ids=ids).last_hidden_state)
