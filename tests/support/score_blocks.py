"""Simulated scores."""

import numpy as np

from optical_sweeps.curves.statistics.score_block import Scores


def block(
    generator: np.random.Generator,
    mean: np.ndarray,
    *,
    n_seeds: int = 3,
    n_queries: int = 60,
    seed: float = 0.0,
    run: float = 0.004,
    query: float = 0.2,
    rest: float = 0.03,
    x: np.ndarray | None = None,
) -> Scores:
    """Scores as a sum of effects; `seed`, `run`, `query` and `rest` are their standard deviations."""
    n_x = len(mean)
    values = (
        mean[:, None, None]
        + generator.normal(0, seed, (1, n_seeds, 1))
        + generator.normal(0, run, (n_x, n_seeds, 1))
        + generator.normal(0, query, (1, 1, n_queries))
        + generator.normal(0, rest, (n_x, n_seeds, n_queries))
    )
    places = np.arange(float(n_x)) if x is None else x
    ids = tuple(f"q{number}" for number in range(n_queries))
    return Scores("optical", "ar", places, tuple(range(n_seeds)), ids, values, np.zeros(n_queries, dtype=int))
