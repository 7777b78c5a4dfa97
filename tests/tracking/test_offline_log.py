import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wandb.proto.wandb_internal_pb2 import Record

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.offline_log import BLOCK, HEADER, NotAWandbLog, OfflineLog, Payloads
from optical_sweeps.tracking.run_log import LogDamage
from tests.support.wandb_logs import encode

sizes_of_payloads = st.lists(
    st.one_of(
        st.integers(1, 60),
        st.integers(60, 80_000),  # across blocks
        st.sampled_from([BLOCK - 14, BLOCK - 15, BLOCK - 20, BLOCK - 7]),  # to the edge of one
    ),
    min_size=1,
    max_size=12,
)
places = st.integers(0, 10**7)


def payloads_of(sizes: list[int]) -> list[bytes]:
    """Different payloads of these sizes."""
    return [random.Random(number).randbytes(size) for number, size in enumerate(sizes)]


def read(log: bytes) -> tuple[list[bytes], LogDamage]:
    reader = Payloads(log)
    return list(reader), reader.damage


@settings(deadline=None)
@given(sizes_of_payloads)
def test_reads_back_what_was_written(sizes: list[int]) -> None:
    payloads = payloads_of(sizes)
    assert read(encode(payloads)[0]) == (payloads, LogDamage())


@settings(deadline=None)
@given(sizes_of_payloads, places)
def test_a_cut_only_loses_the_end(sizes: list[int], place: int) -> None:
    payloads = payloads_of(sizes)
    log, ends = encode(payloads)
    cut = place % (len(log) + 1)
    whole = [payload for payload, end in zip(payloads, ends, strict=True) if end <= cut]
    found, damage = read(log[:cut])
    assert found == whole
    assert damage.places == 0
    if cut > max([len(HEADER), *(end for end in ends if end <= cut)]) + BLOCK:
        assert damage.truncated


def test_a_cut_at_every_byte_of_a_small_log() -> None:
    payloads = [b"one", b"two two", b"three"]
    log, ends = encode(payloads)
    for cut in range(len(log) + 1):
        found, damage = read(log[:cut])
        assert found == [payload for payload, end in zip(payloads, ends, strict=True) if end <= cut]
        assert damage.truncated == (cut not in (len(HEADER), *ends))


@settings(deadline=None)
@given(sizes_of_payloads, places, st.integers(0, 7))
def test_a_flipped_bit_costs_one_record_at_most(sizes: list[int], place: int, bit: int) -> None:
    payloads = payloads_of(sizes)
    log, ends = encode(payloads)
    position = len(HEADER) + place % (len(log) - len(HEADER))
    spoilt = bytearray(log)
    spoilt[position] ^= 1 << bit
    found, damage = read(bytes(spoilt))

    hit = next(number for number, end in enumerate(ends) if position < end)
    padding = found == payloads
    assert padding or found == payloads[:hit] + payloads[hit + 1 :]
    assert padding or damage.truncated or damage.places


def test_a_flip_in_a_payload_only_loses_that_record() -> None:
    payloads = [b"one", b"two", b"three"]
    log, ends = encode(payloads)
    spoilt = bytearray(log)
    spoilt[ends[1] - 1] ^= 4
    found, damage = read(bytes(spoilt))
    assert found == [b"one", b"three"]
    assert damage == LogDamage(places=1, lost_bytes=10)


def test_a_block_of_garbage_in_the_middle_is_skipped() -> None:
    payloads = [bytes([number]) * 1000 for number in range(100)]
    log, ends = encode(payloads)
    spoilt = log[:BLOCK] + b"\xff" * BLOCK + log[2 * BLOCK :]
    found, damage = read(spoilt)
    before = [payload for payload, end in zip(payloads, ends, strict=True) if end <= BLOCK]
    starts = [len(HEADER), *ends[:-1]]
    after = [payload for payload, start in zip(payloads, starts, strict=True) if start >= 2 * BLOCK]
    assert found == before + after
    assert damage.places >= 1
    assert damage.lost_bytes >= BLOCK


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=2000))
def test_arbitrary_bytes_after_the_header_raise_nothing(garbage: bytes) -> None:
    found, damage = read(HEADER + garbage)
    assert bool(found) or not garbage or damage.truncated or damage.places or len(garbage) < 7


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=100))
def test_a_file_of_another_kind_is_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("log") / "run-x.wandb"
    path.write_bytes(content)
    if HEADER.startswith(content[: len(HEADER)]):
        assert list(OfflineLog(path)) == []
    else:
        with pytest.raises(NotAWandbLog, match=r"run-x\.wandb: not a W&B log"):
            list(OfflineLog(path))


def test_the_error_is_a_users_error() -> None:
    assert issubclass(NotAWandbLog, UserError)


def record(number: int) -> bytes:
    message = Record(num=number)
    message.config.update.add(key="seed", value_json=str(number))
    return message.SerializeToString()


def write(path: Path, payloads: list[bytes]) -> Path:
    path.write_bytes(encode(payloads)[0])
    return path


def test_lost_records_are_counted_by_their_numbers(tmp_path: Path) -> None:
    payloads = [record(number) for number in range(1, 400)]
    log, _ = encode(payloads)
    path = tmp_path / "run-x.wandb"
    half = len(log) // 2
    path.write_bytes(log[:half] + bytes(50) + log[half + 50 :])
    reader = OfflineLog(path)
    found = [message.num for message in reader]
    assert found[-1] == 399
    assert 1 <= reader.damage.lost_records == 399 - len(found) <= 4


def test_an_intact_payload_that_is_not_a_record_is_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "run-x.wandb", [record(1), b"\x0f\xff\xff", record(3)])
    reader = OfflineLog(path)
    assert [message.num for message in reader] == [1, 3]
    assert reader.damage.places == 1
    assert reader.damage.lost_records == 1
