from collections.abc import Mapping, Sequence

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optical_sweeps.curves.statistics.study import Curve, Study
from optical_sweeps.errors import UserError

Groups = Mapping[str, Sequence[str]]
scores = arrays(
    float,
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 8)),  # x, seeds, queries
    elements=st.floats(0, 1, allow_subnormal=False),
)


def frame(values: np.ndarray, objective: str = "optical", language: str = "ar") -> pandas.DataFrame:
    """A per-query table of `values[x, seed, query]`."""
    cells = [
        (f"{objective}-{x}-{seed}", objective, x / 10, seed, language, f"q{query}", value)
        for (x, seed, query), value in np.ndenumerate(values)
    ]
    columns = ["run", "objective", "ratio", "seed", "language", "query_id", "value"]
    return pandas.DataFrame(cells, columns=columns).assign(split="test", measure="nDCG@10")


def same(one: Curve, other: Curve) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
        for name in ("x", "mean", "low", "high", "n_seeds")
    )


@settings(deadline=None)
@given(scores)
def test_the_interval_contains_the_mean(values: np.ndarray) -> None:
    curve = Study(frame(values), {}, replicates=200).curve("optical", "ar")
    np.testing.assert_allclose(curve.mean, values.mean((1, 2)))
    assert (curve.low <= curve.mean + 1e-12).all()
    assert (curve.mean <= curve.high + 1e-12).all()
    assert curve.n_seeds.tolist() == [values.shape[1]] * values.shape[0]
    assert curve.n_queries == values.shape[2]


@settings(deadline=None, max_examples=25)
@given(scores, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(values: np.ndarray, random: object) -> None:
    table = frame(values)
    shuffled = table.sample(frac=1, random_state=random.randrange(2**32))  # type: ignore[attr-defined]
    one, other = (Study(rows, {}, replicates=50).curve("optical", "ar") for rows in (table, shuffled))
    assert same(one, other)


@settings(deadline=None, max_examples=25)
@given(st.floats(0, 1), st.integers(1, 3), st.integers(1, 5))
def test_data_without_spread_give_intervals_without_width(value: float, n_seeds: int, n_queries: int) -> None:
    curve = Study(frame(np.full((2, n_seeds, n_queries), value)), {}, replicates=50).curve("optical", "ar")
    np.testing.assert_allclose(curve.half_width, 0, atol=1e-12)


def test_a_constant_shift_between_objectives_has_no_uncertainty() -> None:
    values = np.random.default_rng(0).uniform(size=(3, 2, 30))
    table = pandas.concat([frame(values, "optical"), frame(values - 0.1, "contrastive")])
    study = Study(table, {}, replicates=100)
    difference = study.difference("optical", "contrastive", "ar")
    np.testing.assert_allclose(difference.mean, 0.1)
    np.testing.assert_allclose(difference.half_width, 0, atol=1e-12)
    assert (study.curve("optical", "ar").half_width > 0.02).all()
    assert difference.label == "optical - contrastive"


def test_a_group_is_the_mean_of_its_languages_with_paired_queries() -> None:
    values = np.random.default_rng(0).uniform(size=(2, 2, 30))
    twins = pandas.concat([frame(values, language="ar"), frame(values, language="fa")])
    study = Study(twins, {"low": ("ar", "fa")}, replicates=200)
    assert same(study.curve("optical", "ar"), study.curve("optical", "group:low"))
    assert study.curve("optical", "group:low").n_queries == 60

    mirrored = pandas.concat([frame(values, language="ar"), frame(1 - values, language="fa")])
    opposite = Study(mirrored, {"low": ("ar", "fa")}, replicates=200).curve("optical", "group:low")
    np.testing.assert_allclose(opposite.mean, 0.5)
    np.testing.assert_allclose(opposite.half_width, 0, atol=1e-12)


def test_queries_with_different_ids_are_independent() -> None:
    values = np.random.default_rng(0).uniform(size=(1, 1, 400))
    other = frame(values, language="fa")
    other["query_id"] = "other " + other["query_id"]
    study = Study(pandas.concat([frame(values), other]), {"low": ("ar", "fa")}, replicates=2000)
    ratio = study.curve("optical", "group:low").half_width / study.curve("optical", "ar").half_width
    np.testing.assert_allclose(ratio, np.sqrt(0.5), rtol=0.1)


def test_zero_shot_is_a_level_for_every_ratio(per_query: pandas.DataFrame, groups: Groups) -> None:
    study = Study(per_query, groups, replicates=200)
    level = study.reference("group:low")
    assert level is not None
    assert level.n_seeds.tolist() == [1]
    assert np.isnan(level.x).all()
    gain = study.difference("optical", "none", "group:low")
    np.testing.assert_allclose(gain.mean, study.curve("optical", "group:low").mean - level.mean)
    assert gain.x.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert gain.low[-1] > 0.05
    assert study.objectives == ("contrastive", "optical")
    assert study.slices == ("group:high", "group:low", "group:all", "ar", "de", "fa", "fr")


def test_without_zero_shot_there_is_no_level(per_query: pandas.DataFrame, groups: Groups) -> None:
    assert Study(per_query[per_query["objective"] != "none"], groups).reference("ar") is None


def test_the_interval_depends_on_the_seed_only(per_query: pandas.DataFrame) -> None:
    first, again, other = (
        Study(per_query, {}, replicates=100, seed=seed).curve("optical", "ar") for seed in (0, 0, 1)
    )
    assert same(first, again)
    assert not same(first, other)


def test_seeds_may_differ_between_points(per_query: pandas.DataFrame) -> None:
    gone = (per_query["objective"] == "optical") & (per_query["ratio"] == 0.5) & (per_query["seed"] == 1)
    study = Study(per_query[~gone.fillna(False).astype(bool)], {})
    assert study.curve("optical", "ar").n_seeds.tolist() == [2, 2, 1, 2, 2]
    assert study.difference("optical", "contrastive", "ar").n_seeds.tolist() == [2, 2, 1, 2, 2]


@pytest.mark.parametrize(("n_seeds", "seed_spread"), [(1, 0.0), (8, 0.03)])
def test_intervals_cover_the_truth(n_seeds: int, seed_spread: float) -> None:
    generator = np.random.default_rng(7)
    n_studies, n_queries = 300, 50
    truth = 0.4
    covered = 0
    for _ in range(n_studies):
        queries = generator.normal(0, 0.25, n_queries)
        seeds = generator.normal(0, seed_spread, (n_seeds, 1))
        noise = generator.normal(0, 0.02, (n_seeds, n_queries))
        table = frame((truth + queries + seeds + noise)[None])
        curve = Study(table, {}, replicates=400, confidence=0.9, seed=3).curve("optical", "ar")
        covered += int(curve.low[0] <= truth <= curve.high[0])
    assert 0.85 <= covered / n_studies <= 0.95


def broken(table: pandas.DataFrame, how: str) -> pandas.DataFrame:
    if how == "two budgets":
        return pandas.concat([table, table.assign(run=table["run"] + "b")])
    if how == "a query is missing":
        return table.iloc[1:]
    if how == "an objective answers other queries":
        rows = (table["objective"] == "optical") & (table["language"] == "fr") & (table["query_id"] == "q3")
        return table.assign(query_id=table["query_id"].mask(rows, "new"))
    if how == "zero-shot answers fewer queries":
        return table[(table["objective"] != "none") | ~table["query_id"].isin(["q3", "q7"])]
    if how == "a query is listed twice":
        return pandas.concat([table, table.iloc[:1]])
    if how == "a language is missing":
        return table[(table["run"] != "run03") | (table["language"] != "fr")]
    return table[table["split"] == "dev"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("two budgets", r"runs run00 and run00b are both at objective=optical ratio=0.0 seed=0"),
        ("a query is missing", r"run run00: lacks some of the 40 queries of de"),
        (
            "an objective answers other queries",
            r"contrastive and optical have different queries of fr \(2 .* such as new\); .* verify",
        ),
        (
            "zero-shot answers fewer queries",
            r"objectives contrastive and none have different queries of ar \(2 .* such as q3\)",
        ),
        ("a query is listed twice", r"run run00: query q0 of de is listed twice"),
        ("a language is missing", r"run run03: 3 languages, but others have 4"),
        ("nothing is there", r"no finished run has logged nDCG@10 of split test"),
    ],
)
def test_inconsistent_tables_are_refused(
    per_query: pandas.DataFrame, groups: Groups, how: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Study(broken(per_query, how), groups)


@pytest.mark.parametrize("axis", ["seeds", "queries"])
@pytest.mark.parametrize(("count", "reach"), [(2, 1.6454), (3, 2.0), (8, 2.0)])
def test_bands_have_the_spread_of_seeds_and_of_queries(axis: str, count: int, reach: float) -> None:
    """Scores that differ along one axis alone: the band is `reach` standard errors on each side of the mean.

    Two weights that are uniform between 0 and 1 give a uniform mean: its 95% interval ends at 0.95 of the root
    of 3 standard errors. With more, it is close to a normal interval, and a little skewed.
    """
    values = np.linspace(0.3, 0.5, count)
    cube = values[None, :, None] if axis == "seeds" else values[None, None, :]
    curve = Study(frame(cube), {}, replicates=20_000).curve("optical", "ar")
    error = values.std(ddof=1) / np.sqrt(count)
    assert curve.half_width[0] == pytest.approx(reach * error, rel=0.03 if count == 2 else 0.1)


def test_seeds_and_queries_with_equal_spread_widen_the_band_equally() -> None:
    generator = np.random.default_rng(0)
    seeds, queries = generator.normal(0, 0.1, (2, 12))
    width = {}
    for name, cube in (
        ("seeds", seeds[:, None] + np.zeros(12)),
        ("queries", queries[None, :] + np.zeros((12, 1))),
        ("both", seeds[:, None] + queries[None, :]),
    ):
        width[name] = Study(frame(cube[None]), {}, replicates=5000).curve("optical", "ar").half_width[0]
    assert width["both"] == pytest.approx(np.hypot(width["seeds"], width["queries"]), rel=0.05)
