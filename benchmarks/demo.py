"""The demo's sweep as a whole process: time, memory, what was shared, and whether a repeated run is equal.

    python benchmarks/demo.py [--folder DIR] [overrides ...]

Runs `optical-sweeps train -m experiment=demo` in a new folder, then the same command again (which must
execute nothing), then one of its runs in another folder, and prints a table. Takes as long as the demo
itself.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="demo-benchmark-"))
    folder.mkdir(parents=True, exist_ok=True)
    command = ["train", "-m", "experiment=demo", *arguments.overrides]
    first = measured(folder, command)
    second = measured(folder, command)
    records = [
        json.loads(path.read_text()) for path in sorted((folder / "multirun/demo").glob("*/record.json"))
    ]
    rows = {
        "machine": f"{records[0]['hardware']['processor']}, {records[0]['hardware']['cores']} cores",
        "runs": len(records),
        "sweep, wall s": first["wall"],
        "sweep, CPU s": first["cpu"],
        "largest memory of a process, MB": first["memory_mb"],
        "runs that built the teacher / index / English vectors": " / ".join(
            str(sum(part in record["shared"]["built"] for record in records))
            for part in ("teacher", "index", "english")
        ),
        "shared parts, s": sum(sum(record["shared"]["built"].values()) for record in records),
        "same command again, wall s": second["wall"],
        **{f"median s a trained run: {part}": value for part, value in medians(records).items()},
        "a run repeated with nothing shared gives the same measures": repeat_is_equal(
            records, arguments.overrides
        ),
    }
    for name, value in rows.items():
        print(f"| {name} | {value:.1f} |" if isinstance(value, float) else f"| {name} | {value} |")


def measured(folder: Path, arguments: list[str]) -> dict[str, float]:
    """Wall time, CPU time and peak memory of a command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "optical_sweeps", *arguments], cwd=folder, check=True, env=os.environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": time.perf_counter() - start, "cpu": cpu, "memory_mb": after.ru_maxrss // 1024}


def medians(records: list[dict]) -> dict[str, float]:
    trained = [record["timings"] for record in records if record["training"]["steps"] > 0]
    return {part: statistics.median(timings[part] for timings in trained) for part in trained[0]}


def repeat_is_equal(records: list[dict], overrides: list[str]) -> bool:
    """Repeat one trained run of the sweep in an empty folder, so that the teacher is trained again too."""
    wanted = next(record for record in records if record["training"]["steps"] > 0)
    config = wanted["config"]
    objective = wanted["label"].split()[0]
    with tempfile.TemporaryDirectory() as folder:
        point = [
            "train",
            "-m",
            "experiment=demo",
            f"objective={objective}",
            f"mixture.ratio={config['mixture']['ratio']}",
            f"seed={config['seed']}",
            *overrides,
        ]
        measured(Path(folder), point)
        (path,) = Path(folder).glob("multirun/demo/*/record.json")
        again = json.loads(path.read_text())
    return again["id"] == wanted["id"] and again["measures"] == wanted["measures"]


if __name__ == "__main__":
    main()
