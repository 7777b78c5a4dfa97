"""Logs damaged by crashes, disks and two writers: rows are correct, or reported as missing."""

import json
import random
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.tracking.offline import read_offline
from optical_sweeps.tracking.run_log import RunLog
from tests.support.wandb_logs import encode, message, row, run_record, write_log

STEPS = 40
ROWS = {
    step: {"step": step, "loss": step / 7, "note": "x" * (step * 37 % 3000)} for step in range(1, STEPS + 1)
}
"""Rows of very different sizes, so that some are divided between blocks."""


def records(first: int = 1, last: int = STEPS, started: int = 0) -> list[bytes]:
    """A fragment's records as the client writes them: a summary before each row."""
    found = [run_record("run0", started=started, seed=1)]
    for step in range(first, last + 1):
        number = len(found) + 1
        items = [{"nested_key": [key], "value_json": json.dumps(value)} for key, value in ROWS[step].items()]
        own = {"nested_key": ["_step"], "value_json": str(step)}
        found.append(message(number, summary={"update": [*items, own]}))
        found.append(row(number + 1, _step=step, **ROWS[step]))
    final = [{"key": "test/nDCG@10/ar", "value_json": "0.5"}]
    found.append(message(len(found) + 1, summary={"update": final}))
    found.append(message(len(found) + 1, exit={"exit_code": 0}))
    return found


def read(*logs: bytes) -> tuple[list[RunLog], list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        for number, log in enumerate(logs):
            path = Path(folder, str(number), "run-run0.wandb")
            path.parent.mkdir()
            path.write_bytes(log)
        warnings: list[str] = []
        return read_offline(Path(folder), warn=warnings.append), warnings


def is_honest(runs: list[RunLog], warnings: list[str], rows: dict[int, Any] = ROWS) -> bool:
    """Every row is correct, and nothing is missing from a run that counts as complete."""
    for run in runs:
        assert all(found == rows[found["step"]] for found in run.history)
        if run.complete:
            assert [found["step"] for found in run.history] == list(rows)
            assert run.summary["test/nDCG@10/ar"] == 0.5
            assert run.config == {"seed": 1}
        if run.damage.places:
            assert not run.complete
            assert warnings
    return True


def test_the_whole_log() -> None:
    (run,), warnings = read(encode(records())[0])
    assert run.complete
    assert warnings == []
    assert run.history == list(ROWS.values())
    assert run.summary == {"loss": STEPS / 7, "note": ROWS[STEPS]["note"], "test/nDCG@10/ar": 0.5}


@settings(deadline=None, max_examples=150)
@given(place=st.integers(0, 10**6), bits=st.lists(st.integers(0, 10**6), max_size=6), cut=st.booleans())
def test_flipped_bits_and_cuts(place: int, bits: list[int], cut: bool) -> None:
    log = bytearray(encode(records())[0])
    for bit in bits:
        log[7 + bit // 8 % (len(log) - 7)] ^= 1 << bit % 8
    assert is_honest(*read(bytes(log[: 7 + place % (len(log) - 7)] if cut else log)))


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_blocks_of_two_writers_in_one_file(data: st.DataObject) -> None:
    """Two processes wrote to the same file: any of their blocks remain, in any order."""
    logs = [encode(records())[0], encode(records(20, STEPS, started=5))[0]]
    blocks = [log[at : at + 32768] for log in logs for at in range(0, len(log), 32768)]
    order = data.draw(st.permutations(range(len(blocks))))
    mixed = b"".join(blocks[number] for number in order[: data.draw(st.integers(1, len(blocks)))])
    mixed = mixed if mixed.startswith(b":W&B") else logs[0][:7] + mixed
    runs, warnings = read(mixed)
    for run in runs:
        assert all(found == ROWS[found["step"]] for found in run.history)
    assert runs
    assert isinstance(warnings, list)


@settings(deadline=None, max_examples=60)
@given(
    ends=st.lists(st.tuples(st.integers(1, STEPS), st.integers(0, STEPS)), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
)
def test_fragments_of_a_run_killed_several_times(ends: list[tuple[int, int]], seed: int) -> None:
    """Each start resumes after the last checkpoint and is cut off within its rows."""
    logs, reached = [], 0
    for number, (length, back) in enumerate(ends):
        first = max(1, reached + 1 - back)
        last = min(STEPS, first + length)
        whole = encode(records(first, last, started=number))
        keep = random.Random(seed + number).choice(whole[1][1:-2])
        logs.append(whole[0][:keep])
        reached = max([reached, *(found["step"] for found in read(logs[-1])[0][0].history)])
    logs.append(encode(records(min(reached + 1, STEPS), STEPS, started=len(ends)))[0])
    random.Random(seed).shuffle(logs)
    (run,), warnings = read(*logs)
    assert run.complete
    assert warnings == []
    assert run.history == list(ROWS.values())
    assert is_honest([run], warnings)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=12)), max_size=6))
def test_invalid_json_does_not_affect_other_values(items: list[tuple[str, str]]) -> None:
    """A row with invalid values keeps its valid values under their own keys."""
    written = [{"nested_key": [key], "value_json": text} for key, text in items]
    step = {"nested_key": ["step"], "value_json": "3"}
    good = {"nested_key": ["good"], "value_json": "0.5"}
    log = encode([run_record(), message(2, history={"item": [*written, good, step]})])[0]
    (run,), _ = read(log)
    (found,) = run.history
    assert (found["good"], found["step"]) == (0.5, 3)
    assert found.keys() <= {key for key, _ in items} | {"good", "step"}
    for key, text in items:
        alone = [other for other, _ in items].count(key) == 1 and key not in ("good", "step")
        if text and alone and key in found:
            assert found[key] == json.loads(text) or found[key] != found[key]


def test_unusual_values(tmp_path: Path) -> None:
    """A lone surrogate, an integer longer than Python converts, and deep nesting are never fatal."""
    texts = {"half": '"\\ud800"', "long": "9" * 5000, "deep": "[" * 10**5, "good": "0.5", "step": "3"}
    items = [{"nested_key": [key], "value_json": text} for key, text in texts.items()]
    summary = message(2, summary={"update": items})
    log = encode([run_record(), summary, message(3, history={"item": items})])[0]
    (tmp_path / "w").mkdir()
    (tmp_path / "w/run-run0.wandb").write_bytes(log)
    (run,) = read_offline(tmp_path)
    assert run.history == [{"half": "\ud800", "good": 0.5, "step": 3}]
    assert run.summary == {"half": "\ud800", "good": 0.5}


def test_history_can_be_left_out(tmp_path: Path) -> None:
    write_log(tmp_path / "w", records(1, 3))
    (whole,) = read_offline(tmp_path)
    (without,) = read_offline(tmp_path, history=False)
    assert without.history == []
    assert {**vars(without), "history": whole.history} == vars(whole)


def test_a_log_that_lost_its_beginning_is_not_complete(tmp_path: Path) -> None:
    write_log(tmp_path / "w", records(1, 3)[1:])
    (run,) = read_offline(tmp_path)
    assert not run.complete
    assert len(run.history) == 3


def test_files_tags_and_removed_values(tmp_path: Path) -> None:
    update = [{"key": key, "value_json": "1"} for key in ("seed", "removed")]
    log = [
        message(1, run={"run_id": "run0", "tags": ["b", "a"], "config": {"update": update}}),
        message(2, config={"remove": [{"key": "removed"}]}),
        message(3, exit={"exit_code": 0}),
    ]
    files = write_log(tmp_path / "w", log).with_name("files")
    (files / "sub").mkdir(parents=True)
    for name in ("sub/scores", "per_query.parquet", "config.yaml", "sub/output.log"):
        (files / name).touch()
    (run,) = read_offline(tmp_path)
    assert (run.tags, run.config, run.complete) == (("b", "a"), {"seed": 1}, True)
    assert run.files == {name: files / name for name in ("sub/scores", "per_query.parquet", "sub/output.log")}
