"""Adapters: initialisation, training, padding-free forward pass, and merging."""

import sys

import pytest
import torch

from optical_sweeps.encoders import packed_bert
from optical_sweeps.encoders.build_student import build_student
from optical_sweeps.encoders.lora import merge_lora
from optical_sweeps.encoders.saved_encoders import fingerprint, load_difference, save_difference
from optical_sweeps.encoders.student_settings import LoraSettings, StudentSettings
from optical_sweeps.errors import UserError

pytest.importorskip("peft")

SETTINGS = StudentSettings(lora=LoraSettings(rank=4))


@pytest.fixture
def student(encoder):
    return build_student(SETTINGS, encoder, seed=1)


def drawn(student):
    """The student with adapters that are not 0, as after training."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in student.trainable_parameters().items():
            if "lora" in name:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return student


def vectors(encoder, texts):
    return torch.from_numpy(encoder.encode(texts, "query").vectors)


def test_an_adapted_student_initially_equals_its_teacher(student, encoder, texts):
    assert any("lora" in name for name in student.state_dict())
    torch.testing.assert_close(vectors(student, texts), vectors(encoder, texts))


def test_only_adapters_and_projection_are_trained(student, encoder, texts):
    before = {name: value.clone() for name, value in student.state_dict().items()}
    trained = student.freeze(embeddings=True).trainable_parameters()
    assert {name.rpartition("lora")[1] or name for name in trained} == {"lora", "projection.weight"}
    optimiser = torch.optim.SGD(trained.values(), lr=1.0)
    for _ in range(2):  # A has no gradient while B is 0
        student(student.tokenize(texts, "query")).vectors[..., 0].sum().backward()
        optimiser.step()
    changed = {name for name, value in student.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == set(trained)


def test_the_padding_free_forward_pass_uses_the_adapters(student, texts):
    student = drawn(student)
    assert packed_bert.supports(student.backbone)
    batch = student.tokenize(texts, "query")
    states = student.backbone(input_ids=batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
    torch.testing.assert_close(student._states(batch), states[batch.mask], atol=1e-5, rtol=1e-4)


def test_merging_keeps_the_outputs_and_restores_the_architecture(student, encoder, texts, tmp_path):
    student = drawn(student)
    before = vectors(student, texts)
    assert (before - vectors(encoder, texts)).abs().max() > 1e-3
    merged = merge_lora(student)
    assert merged.state_dict().keys() == encoder.state_dict().keys()
    torch.testing.assert_close(vectors(merged, texts), before, atol=1e-5, rtol=1e-4)
    save_difference(merged, encoder, tmp_path / "student.safetensors")
    assert fingerprint(load_difference(tmp_path / "student.safetensors", encoder)) == fingerprint(merged)


def test_merging_an_encoder_without_adapters_changes_nothing(encoder):
    assert fingerprint(merge_lora(encoder.copy())) == fingerprint(encoder)


def test_adapters_depend_on_the_seed_and_keep_the_random_state(encoder):
    def first(seed):
        student = build_student(SETTINGS, encoder, seed=seed)
        return next(value for name, value in student.named_parameters() if "lora_A" in name)

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, same, other = first(1), first(1), first(2)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_missing_layer_is_refused_with_the_names_of_existing_ones(encoder):
    settings = StudentSettings(lora=LoraSettings(targets=("q_proj",)))
    with pytest.raises(
        UserError, match=r"student\.lora\.targets: tiny has no linear layer q_proj; .* dense, key"
    ):
        build_student(settings, encoder)


def test_a_missing_peft_is_reported_with_the_package_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"student\.lora: needs the package peft; pip install"):
        SETTINGS.check()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": 0}, r"student\.lora\.rank: 0"),
        ({"alpha": 0.0}, r"student\.lora\.alpha: 0\.0"),
        ({"dropout": 1.0}, r"student\.lora\.dropout: 1\.0"),
        ({"targets": []}, r"student\.lora\.targets: names no layer"),
    ],
)
def test_invalid_settings_are_reported_with_their_key(arguments, message):
    with pytest.raises(UserError, match=message):
        LoraSettings(**arguments)
