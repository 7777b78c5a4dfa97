"""Initial weights and trainable parameters of students."""

from dataclasses import replace

import pytest
import torch
from omegaconf import OmegaConf

from optical_sweeps.encoders import packed_bert
from optical_sweeps.encoders.build_encoder import build_token_encoder
from optical_sweeps.encoders.build_student import build_student
from optical_sweeps.encoders.saved_encoders import (
    fingerprint,
    load_student,
    save_difference,
    save_encoder,
    save_student,
)
from optical_sweeps.encoders.student_settings import StudentSettings
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.encoders.transformer_layers import layer_list
from optical_sweeps.errors import UserError
from optical_sweeps.settings import build
from tests.support.configs import compose

BACKBONE = TinyBackbone(hidden_size=32)


@pytest.fixture
def teacher(make_encoder):
    """A teacher whose weights differ from those of the pretrained backbone."""
    encoder = make_encoder().eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return encoder.requires_grad_(False)


def vectors(encoder, texts):
    return encoder.encode(texts, "query").vectors


# ------------------------------------------------------------------------------------------- beginnings


def test_by_default_the_student_is_a_trainable_copy_of_its_teacher(teacher):
    student = build_student(StudentSettings(), teacher)
    assert fingerprint(student) == fingerprint(teacher)
    assert all(parameter.requires_grad for parameter in student.parameters())
    with torch.no_grad():
        student.projection.weight.add_(1)
    assert fingerprint(student) != fingerprint(teacher)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_a_student_from_the_backbone_has_its_weights_and_the_teachers_projection(teacher, texts):
    student = build_student(StudentSettings(init="backbone"), teacher, BACKBONE, texts)
    pretrained = BACKBONE.build(("query: ", "passage: ", *texts)).model.state_dict()
    for name, weight in student.backbone.state_dict().items():
        assert torch.equal(weight, pretrained[name])
    assert torch.equal(student.projection.weight, teacher.projection.weight)
    new = build_student(StudentSettings(init="backbone", projection="new"), teacher, BACKBONE, texts)
    assert not torch.equal(new.projection.weight, teacher.projection.weight)
    torch.testing.assert_close(new.projection.weight @ new.projection.weight.T, torch.eye(16))
    with_bias = build_token_encoder(replace(teacher.settings, projection_bias=True), BACKBONE, texts)
    with torch.no_grad():
        with_bias.projection.bias.fill_(0.5)
    student = build_student(StudentSettings(init="backbone"), with_bias, BACKBONE, texts)
    assert torch.equal(student.projection.bias, with_bias.projection.bias)


def test_a_teachers_projection_that_does_not_fit_is_refused(teacher, texts):
    wide = TinyBackbone(hidden_size=64)
    with pytest.raises(UserError, match=r"student\.projection: .* 32 dimensions.* set student\.projection=new"):
        build_student(StudentSettings(init="backbone"), teacher, wide, texts)
    student = build_student(StudentSettings(init="backbone", projection="new"), teacher, wide, texts)
    assert vectors(student, texts).shape[1] == 16


@pytest.mark.parametrize("kind", ["run", "run of another shape", "encoder"])
def test_a_student_starts_from_a_checkpoint(kind, teacher, texts, tmp_path):
    dropped = (1,) if kind == "run of another shape" else ()
    earlier = build_student(StudentSettings(drop_layers=dropped), teacher)
    with torch.no_grad():
        earlier.projection.weight.mul_(2).add_(0.1)
    if kind == "encoder":
        save_encoder(earlier, tmp_path)
    else:
        save_student(earlier, teacher, tmp_path / "checkpoints")
    settings = StudentSettings(init="checkpoint", checkpoint=str(tmp_path))
    student = build_student(settings, teacher)
    assert fingerprint(student) == fingerprint(earlier)
    assert all(parameter.requires_grad for parameter in student.parameters())


def test_a_student_from_a_checkpoint_has_the_runs_lengths_and_prefixes(make_encoder, tmp_path):
    save_encoder(make_encoder(query_length=12), tmp_path)
    teacher = make_encoder(query_length=24)
    student = build_student(StudentSettings(init="checkpoint", checkpoint=str(tmp_path)), teacher)
    assert student.settings == teacher.settings


def test_checkpoints_that_do_not_fit_are_refused_in_one_line(make_encoder, teacher, tmp_path):
    save_encoder(make_encoder(dim=8), tmp_path / "small")
    save_difference(make_encoder(seed=3), make_encoder(seed=2), tmp_path / "other.safetensors")
    for path, message in (
        ("small", r"8 dimensions, the teacher of 16; set encoder\.dim=8"),
        ("other.safetensors", "it was written relative to the encoder"),
        ("absent", "has no student"),
    ):
        settings = StudentSettings(init="checkpoint", checkpoint=str(tmp_path / path))
        with pytest.raises(UserError, match=message) as error:
            build_student(settings, teacher)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="has no student"):
        StudentSettings(init="checkpoint", checkpoint=str(tmp_path / "absent")).check()


# -------------------------------------------------------------------------------------------- layers


def test_dropped_layers_are_removed_and_the_others_keep_their_order(teacher, texts):
    student = build_student(StudentSettings(drop_layers=(1,)), teacher)
    kept = layer_list(student.backbone)
    assert len(kept) == 1
    assert torch.equal(kept[0].output.dense.weight, layer_list(teacher.backbone)[1].output.dense.weight)
    assert packed_bert.supports(student.backbone)
    batch = student.tokenize(texts, "query")
    states = student.backbone(input_ids=batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
    torch.testing.assert_close(student._states(batch), states[batch.mask], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dropped", [(3,), (1, 2)])
def test_missing_layers_and_all_layers_cannot_be_dropped(dropped, teacher):
    settings = StudentSettings(drop_layers=dropped)
    with pytest.raises(UserError, match=r"student\.drop_layers: .* layers 1 to 2"):
        build_student(settings, teacher)
    with pytest.raises(UserError, match=r"student\.drop_layers: .* layers 1 to 2"):
        settings.check(layers=2)


def test_a_student_of_any_shape_is_saved_and_loaded(teacher, texts, tmp_path):
    for name, settings in (("same", StudentSettings()), ("fewer", StudentSettings(drop_layers=(2,)))):
        student = build_student(settings, teacher)
        with torch.no_grad():
            student.projection.weight.add_(0.5)
        save_student(student, teacher, tmp_path / name)
        assert fingerprint(load_student(tmp_path / name, teacher)) == fingerprint(student)
    assert [path.name for path in (tmp_path / "same").iterdir()] == ["student.safetensors"]


# ------------------------------------------------------------------------------------------ identity


def test_the_fingerprint_of_a_checkpoint_depends_on_its_content(teacher, tmp_path):
    prints = set()
    for name, value in (("a", 1.0), ("b", 1.0), ("c", 2.0)):
        with torch.no_grad():
            teacher.projection.weight.fill_(value)
        save_encoder(teacher, tmp_path / name)
        settings = StudentSettings(init="checkpoint", checkpoint=str(tmp_path / name))
        prints.add(settings.fingerprint())
    assert len(prints) == 2
    assert StudentSettings().fingerprint() is None


# ------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"init": "scratch"}, r"student\.init: 'scratch'"),
        ({"side": "passage"}, r"student\.side: 'passage'"),
        ({"init": "checkpoint"}, r"student\.checkpoint: None, but student\.init is checkpoint"),
        ({"checkpoint": "x"}, r"student\.checkpoint: x, but student\.init is teacher"),
        ({"projection": "new"}, r"student\.projection: new requires student\.init=backbone"),
        ({"drop_layers": "3"}, r"student\.drop_layers: '3' is not a list"),
        ({"drop_layers": [0]}, r"student\.drop_layers: 0"),
    ],
)
def test_invalid_settings_are_reported_with_their_key(arguments, message):
    with pytest.raises(UserError, match=message):
        StudentSettings(**arguments)


@pytest.mark.parametrize("name", ["teacher", "backbone", "checkpoint", "lora"])
def test_every_config_describes_a_student(name):
    overrides = ["student.checkpoint=multirun/a/b"] if name == "checkpoint" else []
    config = compose("train", f"student={name}", *overrides)
    settings = build("student", OmegaConf.to_container(config.student))
    assert isinstance(settings, StudentSettings)
    assert (settings == StudentSettings()) == (name == "teacher")
