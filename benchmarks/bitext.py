"""Bitext of any size: packing, planning, the first step of a training, sweeps, signals, kills and teachers.

    python benchmarks/bitext.py --pairs 2000000 --kills 30 [--folder DIR] [--stages pack,plan,...]

Writes a study of ten languages with so many synthetic pairs each, of 6 to 20 words a side. Each stage prints
its results. With --folder, files are kept, and stages can be repeated one at a time. At full size it needs
10 GB of disk and takes about half an hour on two idle cores.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # forked workers find their code by the module's name

from bitext_kills import kill_packing, kill_storing
from bitext_study import HIGH, LANGUAGES, LOW, write_study
from process_memory import Usage, measured

SMALL_PAIRS = 2_000
"""Pairs of each language in the small study, which the large one is compared with."""
RUN = (
    "data=large_bitext", f"languages.high=[{','.join(HIGH)}]", f"languages.low=[{','.join(LOW)}]",
    "backbone=tiny", "encoder=colbert", "teacher.training.epochs=1", "machine.threads=1",
    "machine.accelerator=cpu", "logger=disabled", "training.log_every=1",
)  # fmt: skip
PACK = (
    "import sys; from pathlib import Path; from optical_sweeps.corpora.bitext_sources import BitextSources\n"
    "folder, cache, languages = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].split(',')\n"
    "sources = BitextSources(sources=[{'files': str(folder / 'bitext.{language}.tsv')}], cache=cache)\n"
    "print([sources.read(language)[0].fingerprint() for language in languages])"
)
BATCH = 32
"""Pairs of a training step, as conf/training/default.yaml says."""
SIGNALS = 3
"""Requests to stop during packing, and during encoding."""
RATIOS = "0,0.25,0.5,0.75,1"


@dataclass(frozen=True)
class Study:
    """A study in a folder; `text` is the size of its bitext in bytes."""

    folder: Path
    pairs: int
    text: int

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    def command(self, *words: str) -> list[str]:
        """A command of optical-sweeps in the study's folder."""
        config = ["--config-dir", str(self.folder / "conf")]
        return [sys.executable, "-m", "optical_sweeps", *words[:1], *config, *words[1:]]

    def plan(self, *overrides: str) -> Usage:
        words = [sys.executable, "-m", "optical_sweeps", "sweep", "plan", *RUN, *overrides]
        return measured([*words, "--config-dir", str(self.folder / "conf")], self.folder)


def pack(study: Study) -> None:
    """The rate of packing all languages, and opening them again."""
    cache = study.artifacts / "bitext"
    shutil.rmtree(cache, ignore_errors=True)
    command = [sys.executable, "-c", PACK, str(study.folder), str(cache), ",".join(LANGUAGES)]
    packed, opened = (measured(command, study.folder) for _ in range(2))
    total = study.pairs * len(LANGUAGES)
    print(f"pack: {total:,} pairs, {study.text / 1e6:,.0f} MB of text")
    print(f"  {total / packed.seconds:,.0f} pairs/s; {packed.cpu_seconds / total * 1e6:.1f} CPU us a pair")
    print(f"  {_memory(packed)} in all processes; disk/text {_size(cache) / study.text:.2f}")
    print(f"  opened again: {opened.seconds:.2f} s, {_memory(opened)}")


def plan(study: Study) -> None:
    usage = study.plan("mixture.total=3200", f"mixture.ratio={RATIOS}", "seed=1,2")
    print(f"plan of {study.pairs:,} pairs a language: {usage.seconds:.1f} s, {usage.cpu_seconds:.1f} CPU s, "
          f"{_memory(usage)}")  # fmt: skip
    if usage.status:
        print(usage.output)


def first_step(study: Study) -> None:
    """Seconds to the first step of the first run, which builds teacher, index and vectors."""
    for kind in ("teacher", "index", "english", "tokens", "prepared"):
        shutil.rmtree(study.artifacts / kind, ignore_errors=True)
    for name, overrides in (("zero-shot", ("objective=none",)), ("trained", ("objective=optical",))):
        shutil.rmtree(study.folder / "multirun", ignore_errors=True)
        steps: list[tuple[float, float]] = []

        def look(now: float, cpu: float, steps: list[tuple[float, float]] = steps) -> bool:
            logs = [path.read_text() for path in study.folder.glob("multirun/*/*/metrics.jsonl")]
            if not steps and any("train/loss" in text for text in logs):
                steps.append((now, cpu))
            return False

        usage = measured(study.command("train", *RUN, "mixture.total=3200", *overrides), study.folder, look)
        first = "first step after {:.1f} s, {:.1f} CPU s".format(*steps[0]) if steps else "no step"
        print(f"{name} run, {study.pairs:,} pairs a language: {first}; whole run {usage.seconds:.1f} s, "
              f"{usage.cpu_seconds:.1f} CPU s, {_memory(usage)}; "
              f"{stored_sentences(study)[0]:,} English sentences encoded")  # fmt: skip
        if usage.status:
            print(usage.output)


def sweep(study: Study) -> None:
    """Five ratios and two seeds by two workers: every English sentence is encoded once."""
    shutil.rmtree(study.folder / "multirun", ignore_errors=True)
    shutil.rmtree(study.artifacts / "english", ignore_errors=True)
    overrides = [*RUN, "mixture.total=3200", f"mixture.ratio={RATIOS}", "seed=1,2", "objective=optical"]
    workers = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    usage = measured(study.command("train", "-m", *overrides, *workers), study.folder)
    records = [json.loads(path.read_text()) for path in study.folder.glob("multirun/*/*/record.json")]
    stored, distinct = stored_sentences(study)
    drawn = sum(record["training"]["pairs"] for record in records)
    print(f"sweep: {len(records)} runs in {usage.seconds:.0f} s; {drawn:,} pairs drawn, "
          f"{needed_sentences(study):,} distinct English sentences needed, {stored:,} encoded, "
          f"{distinct:,} of them distinct")  # fmt: skip


def stored_sentences(study: Study) -> tuple[int, int]:
    """How many English sentences the store has, and how many different ones."""
    shards = [np.load(path) for path in study.artifacts.glob("english/[!.]*/hashes.npy")]
    return (sum(map(len, shards)), len(np.unique(np.concatenate(shards)))) if shards else (0, 0)


def needed_sentences(study: Study) -> int:
    """Distinct English sentences of all draws of the sweep, read from the packed bitext."""
    from optical_sweeps.corpora.bitext_sources import BitextSources
    from optical_sweeps.corpora.mixture import FixedTotal

    source = [{"files": str(study.folder / "bitext.{language}.tsv")}]
    sources = BitextSources(sources=source, cache=study.artifacts / "bitext")
    bitexts = {language: sources.read(language)[0] for language in LANGUAGES}
    sizes = {language: len(bitext) for language, bitext in bitexts.items()}
    draws = [
        FixedTotal(total=3200, ratio=float(ratio), seed=seed).draw(sizes, HIGH, LOW)
        for ratio in RATIOS.split(",")
        for seed in (1, 2)
    ]
    return len({bitexts[language].english[pair] for draw in draws for language, pair, _ in draw})


def signals(study: Study) -> None:
    """SIGTERM at random moments of packing and of encoding."""
    moments = random.Random(2)
    cache = study.artifacts / "signalled"
    ended: dict[str, list[float]] = {"packing": [], "encoding": []}
    for _ in range(SIGNALS):
        shutil.rmtree(cache, ignore_errors=True)
        moment = moments.uniform(1, 20)
        override = f"data.bitexts.cache={cache}"
        command = study.command("train", *RUN, "mixture.total=3200", "objective=optical", override)
        usage = measured(command, study.folder, lambda now, cpu, moment=moment: now > 6 + moment)
        ended["packing"].append(usage.ended or 0.0)
    shutil.rmtree(cache, ignore_errors=True)
    for _ in range(SIGNALS):
        shutil.rmtree(study.artifacts / "english", ignore_errors=True)
        shutil.rmtree(study.folder / "multirun", ignore_errors=True)
        moment, began = moments.uniform(0, 8), []

        def look(now: float, cpu: float, moment: float = moment, began: list[float] = began) -> bool:
            if not began and any(study.artifacts.glob("english/.*.claim-*")):
                began.append(now)
            return bool(began) and now > began[0] + moment

        command = study.command("train", *RUN, "mixture.total=400000", "objective=optical")
        usage = measured(command, study.folder, look)
        ended["encoding"].append(usage.ended or 0.0)
        stored, distinct = stored_sentences(study)
        print(f"  stopped after {moment:.1f} s of encoding: {stored:,} sentences kept, {distinct:,} different")
    for name, seconds in ended.items():
        print(f"SIGTERM during {name}: ended after {', '.join(f'{each:.1f}' for each in seconds)} s")


def teachers(study: Study) -> None:
    """Training pairs per second with the stored and the online teacher, from a pretrained encoder."""
    overrides = ("backbone=e5_small_offline", "backbone.layers=4", "encoder=e5", "mixture.total=3200")
    for name in ("stored", "online", "stored", "online"):
        shutil.rmtree(study.folder / "multirun", ignore_errors=True)
        rows: list[tuple[float, float, int]] = []

        def look(now: float, cpu: float, rows: list[tuple[float, float, int]] = rows) -> bool:
            logs = study.folder.glob("multirun/*/*/metrics.jsonl")
            rows.extend((now, cpu, path.read_text().count("train/loss")) for path in logs)
            return bool(rows) and rows[-1][-1] >= 90

        command = study.command("train", *RUN, *overrides, f"training.teacher={name}", "objective=optical")
        usage = measured(command, study.folder, look)
        steps = [row for row in rows if row[-1]]
        if len(steps) < 2:
            print(usage.output)
            continue
        (first, first_cpu, least), (last, last_cpu, most) = steps[0], steps[-1]
        pairs = (most - least) * BATCH
        print(f"teacher {name}: {pairs / (last - first):.1f} pairs/s, {pairs / (last_cpu - first_cpu):.1f} "
              f"pairs per CPU second, {_memory(usage)}")  # fmt: skip


def kills(study: Study, count: int) -> None:
    """SIGKILL at random moments of packing and of storing vectors; equal results at the end."""
    for name, (killed, equal) in {
        "packing two languages": kill_packing(study.folder, LANGUAGES[:2], count, study.pairs / 40_000),
        "storing vectors": kill_storing(study.folder, count),
    }.items():
        print(f"kills during {name}: {killed} of {count} hit a working process; equal results: {equal}")


def _memory(usage: Usage) -> str:
    return f"{usage.peak / 1e6:,.0f} MB at most ({usage.peak_private / 1e6:,.0f} MB without files)"


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2_000_000, help="of each of ten languages")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--folder", type=Path, help="kept; a temporary one otherwise")
    parser.add_argument("--stages", default="pack,plan,first_step,small,sweep,signals,kills,teachers")
    chosen = parser.parse_args(arguments)
    stages = chosen.stages.split(",")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (chosen.folder or Path(temporary)).absolute()
        studies = []
        for name, pairs in (("large", chosen.pairs), ("small", SMALL_PAIRS)):
            text = write_study(folder / name, LANGUAGES, pairs)
            studies.append(Study(folder / name, pairs, text))
        large, small = studies
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {time.strftime('%Y-%m-%d')}", flush=True)
        for stage in stages:
            if stage == "small":
                for function in (pack, plan, first_step):
                    function(small)
            elif stage == "kills":
                kills(large, chosen.kills)
            else:
                {"pack": pack, "plan": plan, "first_step": first_step, "sweep": sweep,
                 "signals": signals, "teachers": teachers}[stage](large)  # fmt: skip
            sys.stdout.flush()


if __name__ == "__main__":
    main()
