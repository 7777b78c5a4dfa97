"""A small simulated study, as the logs of a ratio sweep give it."""

from collections.abc import Sequence

import numpy as np
import pandas

GROUPS = {"high": ("de", "fr"), "low": ("ar", "fa"), "all": ("de", "fr", "ar", "fa")}
RATIOS = (0.0, 0.25, 0.5, 0.75, 1.0)


def made_up_study(
    *,
    objectives: Sequence[str] = ("optical", "contrastive"),
    ratios: Sequence[float] = RATIOS,
    seeds: Sequence[int] = (0, 1),
    n_queries: int = 40,
    zero_shot: bool = True,
) -> pandas.DataFrame:
    """A per-query table in which low-resource languages gain with the ratio, and the others lose."""
    generator = np.random.default_rng(0)
    difficulty = {language: generator.uniform(-0.3, 0.3, n_queries) for language in GROUPS["all"]}
    points = [(o, r, s) for o in objectives for r in ratios for s in seeds]
    points += [("none", np.nan, pandas.NA)] if zero_shot else []
    frames = []
    for number, (objective, ratio, seed) in enumerate(points):
        for language in GROUPS["all"]:
            low, gain = language in GROUPS["low"], 0.1 if objective == "optical" else 0.07
            level = 0.3 if low else 0.5
            if objective != "none":
                level += gain * (ratio if low else 1 - ratio) + generator.normal(0, 0.01)
            values = np.clip(level + difficulty[language] + generator.normal(0, 0.05, n_queries), 0, 1)
            frames.append(
                pandas.DataFrame(
                    {
                        "run": f"run{number:02d}",
                        "objective": objective,
                        "ratio": ratio,
                        "seed": seed,
                        "split": "test",
                        "language": language,
                        "query_id": [f"q{query}" for query in range(n_queries)],
                        "measure": "nDCG@10",
                        "value": values,
                    }
                )
            )
    return pandas.concat(frames, ignore_index=True)
