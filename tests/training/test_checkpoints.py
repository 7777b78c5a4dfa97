"""Checkpoint files are read completely or skipped; a damaged file or a full disk never stops a run."""

import math
import os
import resource
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from optical_sweeps.training.training_checkpoints import TrainingCheckpoints, UnusableCheckpoint, read

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
arrays = st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
tensors = st.builds(
    lambda dtype, shape: (torch.arange(math.prod(shape)) % 5).to(dtype).reshape(shape),
    arrays,
    st.lists(st.integers(0, 3), max_size=3),
)
states = st.recursive(
    scalars | tensors,
    lambda child: (
        st.lists(child, max_size=3)
        | st.lists(child, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=4) | st.integers(), child, max_size=3)
    ),
    max_leaves=12,
)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def checkpoints(tmp_path, said) -> TrainingCheckpoints:
    return TrainingCheckpoints(tmp_path / "checkpoints", "this run", said.append)


def files(checkpoints: TrainingCheckpoints) -> list:
    return sorted(checkpoints.folder.iterdir())


def assert_same(one: object, other: object) -> None:
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    else:
        assert one == other


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=4), states, max_size=4))
def test_a_written_state_is_read_back_unchanged(tmp_path_factory, state):
    checkpoints = TrainingCheckpoints(tmp_path_factory.mktemp("any"), "any")
    assert checkpoints.write(state)
    assert_same(checkpoints.newest(), state)


def test_infinities_and_tensors_that_share_memory_are_restored(checkpoints):
    weight = torch.arange(6.0)
    checkpoints.write({"best": -math.inf, "a": weight, "b": weight[:3], "c": weight.view(2, 3).T})
    state = checkpoints.newest()
    assert state["best"] == -math.inf
    assert torch.equal(state["c"], weight.view(2, 3).T)


def test_a_python_object_is_refused(checkpoints):
    with pytest.raises(ValueError, match="/objects/0: a checkpoint cannot hold a set"):
        checkpoints.write({"objects": [{1, 2}]})


def test_the_newest_two_are_kept_and_safetensors_can_read_them(checkpoints):
    for number in range(12):
        checkpoints.write({"step": number, "weight": torch.full((2,), float(number))})
    names = [path.name for path in files(checkpoints)]
    assert names == ["resume-000011.safetensors", "resume-000012.safetensors"]
    assert checkpoints.newest()["step"] == 11
    assert load_file(files(checkpoints)[-1])["/weight"].tolist() == [11.0, 11.0]


def test_an_empty_folder_has_no_checkpoint(checkpoints, said):
    assert checkpoints.newest() is None
    checkpoints.remove()
    assert said == []


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_anywhere_falls_back_to_the_previous_checkpoint(tmp_path_factory, data):
    said: list[str] = []
    checkpoints = TrainingCheckpoints(tmp_path_factory.mktemp("damage"), "this run", said.append)
    for step in (1, 2):
        checkpoints.write({"step": step, "of": {"weight": torch.full((3, 2), step / 7), 4: (1, None, "é")}})
    newest = files(checkpoints)[-1]
    content = bytearray(newest.read_bytes())
    if data.draw(st.booleans(), "cut"):
        content = content[: data.draw(st.integers(0, len(content) - 1), "length")]
    else:
        place = data.draw(st.integers(0, len(content) - 1), "place")
        content[place] ^= 1 << data.draw(st.integers(0, 7), "bit")
    newest.write_bytes(content)
    state = checkpoints.newest()
    if state["step"] == 2:  # a changed blank in the header has no meaning
        assert_same(state["of"], {"weight": torch.full((3, 2), 2 / 7), 4: (1, None, "é")})
    else:
        assert torch.equal(state["of"]["weight"], torch.full((3, 2), 1 / 7))
        assert len(said) == 1
        assert said[0].startswith(f"{newest}: skipped: ")
        assert "\n" not in said[0]


def test_checkpoints_of_other_settings_or_versions_are_skipped(checkpoints, said, tmp_path):
    TrainingCheckpoints(checkpoints.folder, "another run").write({"step": 9})
    assert checkpoints.newest() is None
    (path,) = files(checkpoints)
    with pytest.raises(UnusableCheckpoint, match="a run with other settings"):
        read(path, "this run")
    path.write_bytes(path.read_bytes().replace(b'"schema":"1"', b'"schema":"0"'))
    with pytest.raises(UnusableCheckpoint, match="written by another version"):
        read(path, "another run")
    assert said == [f"{path}: skipped: it belongs to a run with other settings"]


def test_a_checkpoint_that_the_caller_rejects_is_skipped(checkpoints, said):
    checkpoints.write({"rows": 3})
    checkpoints.write({"rows": 5})

    def fits(state) -> None:
        if state["rows"] > 4:
            raise UnusableCheckpoint("the log ends before it")

    assert checkpoints.newest(fits) == {"rows": 3}
    assert said[0].endswith("skipped: the log ends before it")


def test_attempts_accumulate_and_remove_deletes_only_checkpoints(checkpoints):
    assert checkpoints.begin(0) == (0,)
    assert checkpoints.begin(7) == (0, 7)
    checkpoints.write({"step": 7})
    student = checkpoints.folder / "student.safetensors"
    student.write_bytes(b"")
    (checkpoints.folder / ".resume-000002.safetensors.0123456789abcdef.tmp").write_bytes(b"of a killed process")
    checkpoints.remove()
    assert files(checkpoints) == [student]
    student.unlink()
    checkpoints.remove()
    assert not checkpoints.folder.exists()


@contextmanager
def little_room() -> Iterator[None]:
    """Limit files to 20 kB; like a full disk, this makes a write fail in the middle."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        yield
    finally:  # before pytest writes its own output, which may be a file
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_the_old_checkpoint_and_warns_once(checkpoints, said):
    assert checkpoints.write({"step": 1})
    with little_room():
        for step in (2, 3):
            assert not checkpoints.write({"step": step, "weight": torch.zeros(10_000)})
    assert checkpoints.newest() == {"step": 1}
    assert [path.name for path in files(checkpoints)] == ["resume-000001.safetensors"]
    assert said == [f"{checkpoints.folder}: no checkpoint written (File too large); the run continues without"]
    assert checkpoints.write({"step": 4})


def test_a_folder_that_cannot_be_created_does_not_stop_the_run(tmp_path, said):
    (tmp_path / "file").write_text("in the way")
    checkpoints = TrainingCheckpoints(tmp_path / "file" / "checkpoints", "this run", said.append)
    assert not checkpoints.write({"step": 1})
    assert checkpoints.begin(0) == (0,)
    assert checkpoints.newest() is None
    assert len(said) == 1


def test_a_kill_while_writing_leaves_a_complete_checkpoint(checkpoints, said):
    program = """
        import sys, torch
        from pathlib import Path
        from optical_sweeps.training.training_checkpoints import TrainingCheckpoints
        checkpoints = TrainingCheckpoints(Path(sys.argv[1]), "this run")
        state = checkpoints.newest()
        for step in range(state["step"] + 1 if state else 1, 1_000_000):
            checkpoints.write({"step": step, "weight": torch.full((50_000,), float(step))})
            print(step, flush=True)
    """
    random = np.random.default_rng(1)
    told = 0
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), str(checkpoints.folder)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert writer.stdout is not None
        told = int(writer.stdout.readline())
        time.sleep(random.uniform(0, 0.05))
        writer.kill()
        rest, _ = writer.communicate()
        told = max([told, *map(int, rest.split()[:-1])])
        state = checkpoints.newest()
        assert state["step"] >= told
        assert state["weight"].unique().tolist() == [float(state["step"])]
    assert said == []
