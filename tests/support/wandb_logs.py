"""W&B logs written record by record."""

import json
import struct
import zlib
from pathlib import Path

from wandb.proto.wandb_internal_pb2 import Record

from optical_sweeps.tracking.offline_log import BLOCK, HEADER


def message(number: int, **record: object) -> bytes:
    return Record(num=number, **record).SerializeToString()  # type: ignore[arg-type]


def row(number: int, **values: object) -> bytes:
    items = [{"nested_key": [key], "value_json": json.dumps(value)} for key, value in values.items()]
    return message(number, history={"item": items})


def run_record(run_id: str = "run0", started: int = 0, **config: object) -> bytes:
    items = [{"key": key, "value_json": json.dumps(value)} for key, value in config.items()]
    return message(
        1,
        run={
            "run_id": run_id,
            "run_group": "g",
            "config": {"update": items},
            "start_time": {"seconds": started},
        },
    )


def write_log(folder: Path, records: list[bytes], run_id: str = "run0") -> Path:
    folder.mkdir(parents=True)
    path = folder / f"run-{run_id}.wandb"
    path.write_bytes(encode(records)[0])
    return path


def encode(payloads: list[bytes]) -> tuple[bytes, list[int]]:
    """A log in W&B's format, and the position at which each record ends."""
    log = bytearray(HEADER)
    ends = []
    for payload in payloads:
        rest, first = payload, True
        while True:
            room = BLOCK - len(log) % BLOCK
            if room < 7:
                log += bytes(room)
                continue
            part, rest = rest[: room - 7], rest[room - 7 :]
            kind = {(True, True): 1, (True, False): 2, (False, False): 3, (False, True): 4}[first, not rest]
            log += struct.pack("<IHB", zlib.crc32(bytes([kind]) + part), len(part), kind) + part
            first = False
            if not rest:
                break
        ends.append(len(log))
    return bytes(log), ends
