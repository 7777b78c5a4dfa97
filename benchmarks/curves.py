"""Coverage of intervals, recovery and refusal of fits, and their time, in simulations with known answers.

    python benchmarks/curves.py [--simulations 500] [--replicates 400] [--only means laws] [--json
  curves.json]

Scores are mean + seed + query + residual, as in `anova_intervals`; every scenario states the standard
deviation of each. Coverage is that of 95% intervals; with 500 simulations its standard error is 1 point.
Times are CPU times.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas
import scipy
from scipy.optimize import least_squares

from optical_sweeps.curves.claims.crossings import crossings_of
from optical_sweeps.curves.laws.equations import LAWS
from optical_sweeps.curves.laws.fitted_curve import fit_scores
from optical_sweeps.curves.laws.law_fit import HUBER, fit_law, refit
from optical_sweeps.curves.statistics.anova_intervals import MeanSquares
from optical_sweeps.curves.statistics.score_block import Scores
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.evaluation.significance import Estimate, randomisation_test
from optical_sweeps.seeds import derive_seed

CONFIDENCE = 0.95
Row = dict[str, object]


@dataclass(frozen=True)
class Spread:
    """Standard deviations: of a seed at every x, a run, a query, a query at an x, and the residual."""

    seed: float = 0.003
    run: float = 0.004
    query: float = 0.3
    query_x: float = 0.02
    rest: float = 0.05
    memory: float = 0.0

    def draw(self, generator: np.random.Generator, mean: np.ndarray, n_seeds: int, n_queries: int) -> Scores:
        """Draw scores with the given mean; runs at neighbouring x are correlated by `memory`."""
        n_x = len(mean)
        runs = generator.normal(0, 1, (n_x, n_seeds, 1))
        for place in range(1, n_x):
            fresh = np.sqrt(1 - self.memory**2) * runs[place]
            runs[place] = self.memory * runs[place - 1] + fresh
        values = (
            mean[:, None, None]
            + generator.normal(0, self.seed, (1, n_seeds, 1))
            + self.run * runs
            + generator.normal(0, self.query, (1, 1, n_queries))
            + generator.normal(0, self.query_x, (n_x, 1, n_queries))
            + generator.normal(0, self.rest, (n_x, n_seeds, n_queries))
        )
        strata = np.zeros(n_queries, dtype=int)
        x = np.arange(float(n_x))
        return Scores("simulated", "ar", x, tuple(range(n_seeds)), tuple(range(n_queries)), values, strata)


USUAL = Spread()
SPREADS: Mapping[str, Spread] = {
    "usual": USUAL,
    "queries dominate": Spread(0.001, 0.001, 0.3, 0.0, 0.05),
    "seeds dominate": Spread(0.02, 0.02, 0.05, 0.0, 0.02),
    "both": Spread(0.01, 0.01, 0.1, 0.0, 0.1),
    "a difference": Spread(0.005, 0.005, 0.0, 0.0, 0.1),
    "no seed effect": Spread(0.0, 0.0, 0.1, 0.0, 0.1),
}

PAIRS = np.geomspace(500, 64_000, 10)
SIZES, SIZE_PAIRS = (part.ravel() for part in np.meshgrid([1e6, 1e7, 1e8], PAIRS[::2]))
SHARES, SHARE_PAIRS = (part.ravel() for part in np.meshgrid([0.1, 0.3, 0.6, 1.0], PAIRS[::2]))
RATIOS = np.linspace(0, 1, 11)


@dataclass(frozen=True)
class Truth:
    """A law with its parameters, the points where it is observed, and a point beyond them."""

    law: str
    parameters: Mapping[str, float]
    inputs: Mapping[str, np.ndarray]
    beyond: Mapping[str, float] | None


TRUTHS = (
    Truth("power", {"B": 50.0, "beta": 0.15}, {"D": PAIRS}, {"D": 256_000.0}),
    Truth("power_offset", {"B": 300.0, "beta": 0.6, "delta": 0.35}, {"D": PAIRS}, {"D": 256_000.0}),
    Truth("saturating", {"k": 0.4, "T": 9000.0, "delta": 0.3}, {"D": PAIRS}, {"D": 256_000.0}),
    Truth("mixing", {"k": 0.3, "t": -2.0, "delta": 0.3}, {"p": RATIOS}, None),
    Truth(
        "share",
        {"B": 300.0, "beta": 0.6, "tau": 0.05, "delta": 0.3},
        {"D": np.full(11, 8000.0), "p": RATIOS},
        {"D": 16_000.0, "p": 0.5},
    ),
    Truth(
        "data_mixture",
        {"E": 0.2, "B": 8.0, "beta": 0.5, "gamma": 0.2},
        {"D": SHARE_PAIRS, "p": SHARES},
        {"D": 256_000.0, "p": 0.5},
    ),
    Truth(
        "joint",
        {"A": 3e4, "B": 100.0, "alpha": 0.5, "beta": 0.8, "delta": 0.2},
        {"N": SIZES, "D": SIZE_PAIRS},
        {"N": 1e9, "D": 256_000.0},
    ),
)


def _generator(what: str, spread: str, n_seeds: int, number: int) -> np.random.Generator:
    """A random stream per scenario; with a shared one, all rows would depend on the same draws."""
    return np.random.default_rng(derive_seed(f"{what} {spread} {n_seeds}", number))


def of_means(n: int, replicates: int) -> Iterator[Row]:
    """Coverage of a mean: our t interval, the study's bootstrap, and t over seeds only."""
    for name, spread in SPREADS.items():
        for n_seeds in (2, 3, 5):
            ours = naive = 0
            width = []
            for number in range(n):
                generator = _generator("mean", name, n_seeds, number)
                values = spread.draw(generator, np.zeros(1), n_seeds, 200).values
                low, high = MeanSquares.of(values).interval(np.ones(1), CONFIDENCE)
                ours += low <= 0 <= high
                width.append(high - low)
                naive += _study_covers(values[0], replicates)
            yield (
                {"what": "mean", "spread": name, "seeds": n_seeds, "t over both": ours / n,
                 "study's bootstrap": naive / n, "median width": float(np.median(width))}
            )  # fmt: skip


def _study_covers(values: np.ndarray, replicates: int) -> bool:
    cells = [(str(s), "a", 0.0, s, "ar", str(q), v) for (s, q), v in np.ndenumerate(values)]
    names = ["run", "objective", "ratio", "seed", "language", "query_id", "value"]
    table = pandas.DataFrame(cells, columns=names).assign(split="test", measure="nDCG@10")
    curve = Study(table, {}, replicates=replicates).curve("a", "ar")
    return bool(curve.low[0] <= 0 <= curve.high[0])


def of_laws(n: int, replicates: int) -> Iterator[Row]:
    """Coverage of intervals of parameters and predictions."""
    offset = next(truth for truth in TRUTHS if truth.law == "power_offset")
    neighbours = replace(USUAL, memory=0.7)
    for truth in TRUTHS:
        yield _law_row(truth, USUAL, "usual", 3, n, replicates)
    for n_seeds in (1, 2, 5):
        yield _law_row(offset, USUAL, "usual", n_seeds, n, replicates)
    yield _law_row(offset, neighbours, "usual, neighbours correlate .7", 3, n, replicates)
    yield _law_row(offset, SPREADS["no seed effect"], "no seed effect", 3, n, replicates)


def _law_row(truth: Truth, spread: Spread, name: str, n_seeds: int, n: int, replicates: int) -> Row:
    law = LAWS[truth.law]
    error = law.evaluate(truth.parameters, truth.inputs)
    hits = dict.fromkeys([*truth.parameters, "last point"], 0)
    refused = beyond = 0
    for number in range(n):
        block = spread.draw(_generator(law.name, name, n_seeds, number), 1 - error, n_seeds, 200)
        fitted = fit_scores(block, law, truth.inputs, CONFIDENCE, replicates=replicates)
        for parameter, value in truth.parameters.items():
            low, high = fitted.interval(parameter)
            hits[parameter] += low <= value <= high
        here = fitted.predict({key: values[-1:] for key, values in truth.inputs.items()}, [0.0])
        hits["last point"] += here.low[0] <= 1 - error[-1] <= here.high[0]
        if not fitted.fit.determined:
            refused += 1
        elif truth.beyond:
            there = fitted.predict(truth.beyond, [0.0])
            value = 1 - law.evaluate(truth.parameters, truth.beyond)[0]
            beyond += there.low[0] <= value <= there.high[0]
    found = {key: hit / n for key, hit in hits.items()}
    if truth.beyond:
        found["beyond"] = beyond / max(n - refused, 1)
    return {"what": truth.law, "spread": name, "seeds": n_seeds, **found, "refused": refused / n}


def of_crossings(n: int, replicates: int) -> Iterator[Row]:
    """Coverage of intervals of a crossing; an interval that leaves the range counts as unbounded."""
    del replicates
    x = np.linspace(0, 1, 5)
    for name, slope in (("steep", 0.1), ("shallow", 0.02)):
        for n_seeds in (1, 2, 3, 5):
            covered = bounded = crossed = 0
            # one seed says nothing of others: what its interval covers is this run's own curve
            several = n_seeds > 1
            spread = Spread(0.003 * several, 0.004 * several, 0.05, 0.02, 0.1)
            for number in range(n):
                generator = _generator("crossing", name, n_seeds, number)
                block = replace(spread.draw(generator, slope * (x - 0.4), n_seeds, 200), x=x)
                found = crossings_of(block, "a", "b", "ratio", CONFIDENCE)
                covered += any(low <= 0.4 <= high for low, high in found.open)
                crossed += bool(found.found)
                bounded += any(one.low is not None and one.high is not None for one in found.found)
            yield (
                {"what": "crossing", "spread": name, "seeds": n_seeds, "covered": covered / n,
                 "some crossing": crossed / n, "bounded": bounded / n}
            )  # fmt: skip


def of_refusals(n: int, replicates: int) -> Iterator[Row]:
    """How often a fit that the data do not determine is refused; uses a tenth of the simulations."""
    n = max(n // 10, 20)
    generator = np.random.default_rng(0)
    flat, short = np.full(10, 0.5), np.geomspace(8000, 16_000, 10)
    cases: list[tuple[str, str, Mapping[str, np.ndarray], np.ndarray]] = [
        ("no trend", "power_offset", {"D": PAIRS}, flat),
        ("no trend", "power", {"D": PAIRS}, flat),
        ("no trend", "saturating", {"D": PAIRS}, flat),
        ("no trend", "mixing", {"p": RATIOS[:10]}, flat),
        ("one doubling of the budget", "power_offset", {"D": short}, (300 / short) ** 0.3 + 0.2),
        ("one model size", "joint", {"N": np.full(10, 1e7), "D": PAIRS}, (300 / PAIRS) ** 0.6 + 0.35),
        ("one share", "data_mixture", {"D": PAIRS, "p": np.full(10, 0.5)}, 20 / PAIRS**0.5 + 0.2),
        ("one model size", "mixture", {"N": np.full(20, 1e7), "D": SHARE_PAIRS, "p": SHARES},
         (0.2 + 8 / SHARE_PAIRS**0.5) / SHARES**0.2),
        ("as many points as parameters", "power_offset", {"D": PAIRS[[0, 4, 9]]},
         (300 / PAIRS[[0, 4, 9]]) ** 0.6 + 0.35),
    ]  # fmt: skip
    for why, name, inputs, error in cases:
        refused = 0
        for _ in range(n):
            block = USUAL.draw(generator, 1 - error, 3, 200)
            refused += not fit_scores(block, LAWS[name], inputs, replicates=replicates).fit.determined
        yield {"what": name, "undetermined by": why, "refused": refused / n}


def of_tests(n: int, replicates: int) -> Iterator[Row]:
    """Rejections of a true null at 5%, and equivalence claimed for a difference equal to the margin."""
    del replicates
    for name, run in (("same runs", 0.0), ("new seeds", 0.01)):
        for n_seeds in (2, 3, 5):
            spread = Spread(0.0, run, 0.1, 0.0, 0.1)
            wrong = {"randomisation": 0, "t": 0, "crossed": 0, "equivalence": 0}
            for number in range(n):
                generator = _generator("tests", name, n_seeds, number)
                values = spread.draw(generator, np.zeros(1), n_seeds, 100).values
                means = values[0].mean(0)
                squares = MeanSquares.of(values)
                crossed = Estimate(float(squares.mean[0]), *squares.error(np.ones(1)))
                shifted = Estimate(crossed.mean + 0.05, crossed.error, crossed.freedom)
                wrong["randomisation"] += randomisation_test(means[None], draws=2000)[0] < 0.05
                wrong["t"] += Estimate.of(means).p_value() < 0.05
                wrong["crossed"] += crossed.p_value() < 0.05
                wrong["equivalence"] += shifted.p_equivalence(0.05) < 0.05
            yield ({"what": "type I", "spread": name, "seeds": n_seeds, **{k: v / n for k, v in wrong.items()}})


def of_times(n: int, replicates: int) -> Iterator[Row]:
    """Time of a fit and of 1,000 refits: ours, and SciPy's least squares in a loop from the same points."""
    del n, replicates
    generator = np.random.default_rng(0)
    for truth in TRUTHS:
        law = LAWS[truth.law]
        error = law.evaluate(truth.parameters, truth.inputs)
        values = error * np.exp(generator.normal(0, 0.01, len(error)))
        drawn = values * np.exp(generator.normal(0, 0.01, (1000, len(values))))
        start = time.process_time()
        fit = fit_law(law, truth.inputs, values)
        middle = time.process_time()
        refit(fit, drawn)
        end = time.process_time()
        theirs = _timed(lambda: [_scipy(fit, row) for row in drawn[:20]]) * 50  # noqa: B023
        yield (
            {"what": law.name, "points": len(values), "parameters": len(law.parameters),
             "fit, 64 starts, s": middle - start, "1,000 refits, 4 starts, s": end - middle,
             "SciPy least_squares, the same, s": theirs}
        )  # fmt: skip


def _scipy(fit: object, values: np.ndarray) -> float:
    """Solve `refit`'s problem with SciPy: trust region, Huber, bounds, numerical derivatives, four starts."""
    law, rows = fit.law, fit.inputs  # type: ignore[attr-defined]
    logs = np.array([one.logarithmic for one in law.parameters])
    low = np.array([one.low for one in law.parameters])
    high = np.array([min(one.high, 1e60) for one in law.parameters])
    low, high = (np.where(logs, np.log(np.where(logs, bound, 1)), bound) for bound in (low, high))

    def residuals(coordinates: np.ndarray) -> np.ndarray:
        parameters = np.where(logs, np.exp(np.where(logs, coordinates, 0)), coordinates)[:, None]
        return np.asarray(np.log(law.formula(parameters, rows)) - np.log(values)) / fit.spread  # type: ignore[attr-defined]

    best = np.inf
    starts = law.starts(np.random.default_rng(0), 3, rows, fit.values).T  # type: ignore[attr-defined]
    for natural in [np.array(list(fit.parameters.values())), *starts]:  # type: ignore[attr-defined]
        first = np.clip(np.where(logs, np.log(np.where(logs, natural, 1)), natural), low + 1e-9, high - 1e-9)
        with np.errstate(all="ignore"):
            found = least_squares(
                residuals, first, bounds=(low, high), loss="huber", f_scale=HUBER, x_scale="jac"
            )
        best = min(best, found.cost)
    return best


def _timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


SUITES: Mapping[str, Callable[[int, int], Iterator[Row]]] = {
    "means": of_means,
    "laws": of_laws,
    "crossings": of_crossings,
    "refusals": of_refusals,
    "tests": of_tests,
    "times": of_times,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=500)
    parser.add_argument("--replicates", type=int, default=400)
    parser.add_argument("--only", nargs="+", choices=list(SUITES), default=list(SUITES))
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(arguments)
    results: dict[str, object] = {
        "numpy": np.__version__, "scipy": scipy.__version__, "python": platform.python_version(),
        "simulations": chosen.simulations, "replicates": chosen.replicates,
    }  # fmt: skip
    for name in chosen.only:
        print(f"\n{name}")
        rows: list[Row] = []
        results[name] = rows
        for row in SUITES[name](chosen.simulations, chosen.replicates):
            rows.append(row)
            print("  " + "  ".join(f"{key} {_text(value)}" for key, value in row.items()), flush=True)
        if chosen.json:
            chosen.json.write_text(json.dumps(results, indent=1, default=float))


def _text(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
