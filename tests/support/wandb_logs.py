"""Logs written record by record."""

import json
import struct
import zlib
from pathlib import Path

from wandb.proto.wandb_internal_pb2 import Record

from optical_sweeps.tracking.offline_log import HEADER


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
    chunks = (struct.pack("<IHB", zlib.crc32(b"\x01" + data), len(data), 1) + data for data in records)
    log = HEADER + b"".join(chunks)
    assert len(log) < 32768  # one block: no record is divided
    path.write_bytes(log)
    return path
