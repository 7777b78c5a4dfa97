"""Bitext of any size: the rate and memory of packing, kills, and the first step of a training.

    python benchmarks/bitext.py --languages 10 --pairs 2000000 --kills 30

Writes synthetic pairs of 6 to 20 words for some languages, packs them in processes of their own, opens them
again, and trains on a small draw from a small and from the whole bitext.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PACK = """
import json, resource, sys, time
from pathlib import Path
from optical_sweeps.corpora.bitext_sources import BitextSources
folder, languages = Path(sys.argv[1]), sys.argv[2].split(",")
sources = BitextSources(sources=[{"files": str(folder / "{language}.tsv")}], cache=folder / sys.argv[3])
start = time.perf_counter()
prints = [sources.read(language)[0].fingerprint() for language in languages]
usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "cpu_seconds": sum(each.ru_utime + each.ru_stime for each in usage),
    "largest_process_mb": max(each.ru_maxrss for each in usage) / 1024,
    "prints": prints,
}))
"""


def write_pairs(path: Path, count: int, seed: int) -> None:
    """Write a TSV of sentence pairs of 6 to 20 words."""
    rng = np.random.default_rng(seed)
    words = np.array(["".join(rng.choice(list("aeioukstnmlr"), rng.integers(2, 9))) for _ in range(20_000)])
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, count, 10_000):
            for _ in range(min(10_000, count - start)):
                one, other = (" ".join(words[rng.integers(0, len(words), rng.integers(6, 21))]) for _ in "ab")
                file.write(f"{one}\t{other}\n")


def pack(folder: Path, languages: list[str], cache: str) -> dict[str, object]:
    """Pack the languages in a process of their own, or open them if they are packed."""
    command = [sys.executable, "-c", PACK, str(folder), ",".join(languages), cache]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


def kill_packing(folder: Path, languages: list[str], kills: int, seconds: float) -> int:
    """Kill packing processes at random moments; returns how many were still at work."""
    moments, killed = random.Random(1), 0
    command = [sys.executable, "-c", PACK, str(folder), ",".join(languages), "killed"]
    for _ in range(kills):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.5, 0.5 + seconds))
        process.kill()
        killed += process.wait() < 0
    return killed


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--languages", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=2_000_000, help="of each language")
    parser.add_argument("--kills", type=int, default=30)
    arguments = parser.parse_args()
    languages = [f"x{chr(ord('a') + number)}" for number in range(arguments.languages)]
    total = arguments.pairs * arguments.languages
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, language in enumerate(languages):
            write_pairs(folder / f"{language}.tsv", arguments.pairs, number)
        text = sum((folder / f"{language}.tsv").stat().st_size for language in languages)
        packed, opened = (pack(folder, languages, "cache") for _ in range(2))
        print(f"{total:,} pairs, {text / 1e6:.0f} MB; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        seconds, cpu = (float(str(packed[key])) for key in ("seconds", "cpu_seconds"))
        print(f"packed: {total / seconds:,.0f} pairs/s; {cpu / total * 1e6:.1f} CPU microseconds a pair")
        largest, ratio = packed["largest_process_mb"], size(folder / "cache") / text
        print(f"largest process: {largest:.0f} MB; disk/text {ratio:.2f}")
        print(f"opened again: {opened['seconds']:.3f} s, {opened['largest_process_mb']:.0f} MB")
        if arguments.kills:
            killed = kill_packing(folder, languages, arguments.kills, seconds / 2)
            equal = pack(folder, languages, "killed")["prints"] == packed["prints"]
            print(f"{killed} processes killed during packing; equal results: {equal}")
    print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
