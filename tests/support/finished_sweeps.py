"""Folders of finished sweeps, written without training."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

LANGUAGES = {"high": ["near", "shifted"], "low": ["distant"]}
EVERYONE = [*LANGUAGES["high"], *LANGUAGES["low"]]
SLICES = ("near", "shifted", "distant", "group:high", "group:low", "group:all")
MEASURES = ("nDCG@10", "MRR@10")


def means(of: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Means by slice from values by language."""
    found = {language: float(values.mean()) for language, values in of.items()}
    for group, members in {**LANGUAGES, "all": EVERYONE}.items():
        found[f"group:{group}"] = sum(found[language] for language in members) / len(members)
    return found


def config(objective: str, ratio: float, seed: int) -> dict:
    section = {"_target_": f"optical_sweeps.objectives.{objective.title()}"}
    if objective == "optical":
        section["solver"] = {"epsilon": 0.05}
    return {
        "data": {
            "_target_": "optical_sweeps.corpora.builders.files.FilesCorpus",
            "root": "/not/there",
            "languages": ["distant"],
        },
        "languages": LANGUAGES,
        "objective": section,
        "mixture": {
            "_target_": "optical_sweeps.corpora.mixture.FixedTotal",
            "ratio": ratio,
            "total": 80,
            "seed": seed,
        },
        "seed": seed,
    }


def write_sweep(
    folder: Path, *, ratios=(0, 0.5, 1), seeds=(1, 2), queries: int = 12, hostile: str = ""
) -> list[str]:
    """Write runs of two objectives and zero-shot, a failed and a missing run; returns the ids of finished runs.

    Args:
        hostile: text to insert into configs, failures, versions and a tuning; runs without it are not tuned.
    """
    grid, done = [], []
    for objective in ("optical", "contrastive"):
        for ratio in ratios:
            for seed in seeds:
                run = f"{objective[:3]}{ratio}s{seed}".replace(".", "_")
                grid.append(_point(run, objective, ratio, seed))
                _write_run(folder / run, run, objective, ratio, seed, queries, hostile)
                done.append(run)
    grid.append({"overrides": ["objective=none"], "run": "zero", "label": "none (zero-shot)"})
    _write_run(folder / "zero", "zero", "none", 0, 1, queries, hostile)
    grid += [_point("broken", "optical", 2, 1), _point("absent", "contrastive", 2, 1)]
    (folder / "broken").mkdir()
    (folder / "broken" / ".lock").touch()
    failure = {"cause": "nan", "message": f"the loss is nan {hostile}"}
    (folder / "broken" / "FAILED.json").write_text(json.dumps(failure))
    content = {
        "schema": 3,
        "config": "train",
        "config_dir": None,
        "points": [{**p, "note": None} for p in grid],
    }
    (folder / "grid.json").write_text(json.dumps(content))
    return [*done, "zero"]


def _point(run: str, objective: str, ratio: float, seed: int) -> dict:
    return {
        "overrides": [f"objective={objective}", f"mixture.ratio={ratio}", f"seed={seed}"],
        "run": run,
        "label": f"{objective} ratio={ratio:g} total=80 seed={seed}",
    }


def _write_run(
    folder: Path, run: str, objective: str, ratio: float, seed: int, queries: int, hostile: str
) -> None:
    import pyarrow
    from pyarrow import parquet

    folder.mkdir(parents=True)
    generator = np.random.default_rng([seed, int(100 * ratio), len(objective)])
    level = {"optical": 0.3, "contrastive": 0.5, "none": 0.4}[objective]
    rows, measures = [], {"test": {}}
    for measure in MEASURES:
        values = {
            language: np.clip(generator.normal(level + 0.1 * ratio, 0.2, queries), 0, 1)
            for language in EVERYONE
        }
        measures["test"][measure] = means(values)
        rows += [
            ("test", language, f"q{place}", measure, float(value))
            for language, of in values.items()
            for place, value in enumerate(of)
        ]
    names = ("split", "language", "query_id", "measure", "value")
    parquet.write_table(
        pyarrow.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))),
        folder / "per_query.parquet",
    )
    label = "none (zero-shot)" if objective == "none" else f"{objective} ratio={ratio:g} total=80 seed={seed}"
    settings = config(objective, ratio, seed)
    if hostile and objective != "none":
        settings["tuned"] = {
            "study": "small_tuning", "scores": [level, level - 0.02], "failed": 1, "pairs": 80, "seconds": 6.0,
            "sampler": "random", "chosen": f"training.learning_rate=0.1 {hostile}",
        }  # fmt: skip
    record = {
        "schema": 1, "id": run, "label": label, "config": {**settings, "note": hostile}, "measures": measures,
        "facts": {"corpus": "c0ffee"}, "code": {"version": "0.1.0", "commit": "abc", "dirty": False},
        "versions": {"python": "3.11", "torch": hostile or "2"}, "hardware": {"device": "cpu", "cores": 2},
        "drift": {"query_mean_norm": 0.3, "english_similarity": 0.9}, "finished": "2026-11-22T00:00:00+0000",
        "timings": {"total": 3.0 + seed},
    }  # fmt: skip
    (folder / "record.json").write_text(json.dumps(record))
