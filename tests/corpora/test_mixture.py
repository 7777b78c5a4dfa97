"""Laws of the draws (nesting, counts, common random numbers, caps), and messages for bad settings."""

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from optical_sweeps.corpora.drawn_pairs import DrawnPairs
from optical_sweeps.corpora.mixture import FixedHigh, FixedTotal, Natural, PerLanguage
from optical_sweeps.errors import UserError

HIGH, LOW = ["de", "fr", "ru"], ["ar", "fa"]
SIZES = {"de": 900, "fr": 400, "ru": 50, "ar": 300, "fa": 20}
PINNED = [
    ("de", 613, 0),
    ("fr", 241, 0),
    ("de", 756, 0),
    ("de", 801, 0),
    ("ar", 73, 0),
    ("ar", 295, 0),
    ("ar", 17, 0),
    ("ar", 231, 0),
]
PINNED_ORDER = [0, 6, 2, 7, 1, 4, 3, 5]

sizes = st.fixed_dictionaries({language: st.integers(1, 60) for language in HIGH + LOW})
samplings = st.fixed_dictionaries(
    {
        "weighting": st.sampled_from(["temperature", "unimax"]),
        "temperature": st.one_of(st.none(), st.floats(0.05, 20), st.just(math.inf)),
        "max_repeats": st.integers(1, 4),
        "seed": st.integers(0, 2**40),
    }
)


def group_items(mixture: DrawnPairs, group: list[str]) -> list[tuple[str, int, int]]:
    return [item for item in mixture if item[0] in group]


@given(sizes, samplings, st.data())
def test_a_smaller_budget_is_a_prefix_of_a_larger_one(sizes, sampling, data):
    cap = sampling["max_repeats"] * sum(sizes[language] for language in HIGH)
    small, large = sorted((data.draw(st.integers(1, cap)), data.draw(st.integers(1, cap))))
    one, other = (FixedTotal(total=n, ratio=0, **sampling).draw(sizes, HIGH, LOW) for n in (small, large))
    assert list(one) == list(other)[:small]


@given(sizes, samplings, st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_the_same_pairs_recur_across_ratios(sizes, sampling, ratios):
    total = min(sum(sizes[language] for language in group) for group in (HIGH, LOW))
    one, other = (FixedTotal(total=total, ratio=r, **sampling).draw(sizes, HIGH, LOW) for r in ratios)
    for group in (HIGH, LOW):
        a, b = group_items(one, group), group_items(other, group)
        assert a[: len(b)] == b[: len(a)]


@given(sizes, samplings, st.lists(st.floats(0, 1), min_size=2, max_size=2), st.integers(0, 2**40))
def test_shared_items_keep_their_training_order(sizes, sampling, ratios, seed):
    total = min(sum(sizes[language] for language in group) for group in (HIGH, LOW))
    mixtures = [FixedTotal(total=total, ratio=r, **sampling).draw(sizes, HIGH, LOW) for r in ratios]
    shared = set(mixtures[0]) & set(mixtures[1])
    ordered = []
    for mixture in mixtures:
        order, items = mixture.order(seed), list(mixture)
        assert sorted(order.tolist()) == list(range(len(mixture)))
        ordered.append([items[i] for i in order if items[i] in shared])
    assert ordered[0] == ordered[1]


@given(sizes, samplings, st.integers(1, 60), st.floats(0, 1))
def test_counts_repetitions_and_caps(sizes, sampling, total, ratio):
    group_cap = {
        name: sampling["max_repeats"] * sum(sizes[language] for language in group)
        for name, group in (("high", HIGH), ("low", LOW))
    }
    assume(total <= min(group_cap.values()))
    mixture = FixedTotal(total=total, ratio=ratio, **sampling).draw(sizes, HIGH, LOW)
    low = math.floor(Fraction(str(ratio)) * total + Fraction(1, 2))
    assert mixture.group_counts == {"high": total - low, "low": low}
    assert mixture.ratio == low / total
    assert mixture.counts == dict.fromkeys(mixture.languages, 0) | Counter(
        language for language, _, _ in mixture
    )
    assert len(set(mixture)) == len(mixture) == total
    for language in HIGH + LOW:
        own = [(pair, repetition) for name, pair, repetition in mixture if name == language]
        used = Counter(pair for pair, _ in own)
        assert max(used.values(), default=0) == mixture.repeats[language] <= sampling["max_repeats"]
        # every pair is used once before any is used again
        assert not used or len(used) == sizes[language] or mixture.repeats[language] == 1
        assert all(0 <= pair < sizes[language] and repetition < used[pair] for pair, repetition in own)


def webster(weights: list[float], caps: list[int], budget: int) -> list[int]:
    """Slow reference: give each place to the language with the largest quotient q / (k + 1/2)."""
    counts = [0] * len(weights)
    for _ in range(budget):
        open_ = [i for i in range(len(weights)) if counts[i] < caps[i]]
        counts[min(open_, key=lambda i: ((counts[i] + 0.5) / weights[i], i))] += 1
    return counts


@given(st.lists(st.integers(1, 200), min_size=1, max_size=14), st.floats(0.1, 8), st.integers(1, 3), st.data())
@example([1] * 13 + [200], 0.96, 1, None)  # light languages all round down, and the heavy one gets their places
def test_places_go_to_the_largest_quotient(pairs, temperature, max_repeats, data):
    languages = [f"l{i:02}" for i in range(len(pairs))]
    caps = [max_repeats * n for n in pairs]
    budget = data.draw(st.integers(1, sum(caps))) if data else 100
    protocol = FixedTotal(total=budget, ratio=1, temperature=temperature, max_repeats=max_repeats)
    mixture = protocol.draw(dict(zip(languages, pairs, strict=True)), [], languages)
    weights = protocol.weights(np.array(pairs)).tolist()
    assert list(mixture.counts.values()) == webster(weights, caps, budget)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(1, 4), st.data())
def test_unimax_fills_like_water(pairs, max_repeats, data):
    """The published algorithm: in order of size, each language gets an equal share of the rest, or its cap."""
    languages = [f"l{i}" for i in range(len(pairs))]
    budget = data.draw(st.integers(1, max_repeats * sum(pairs)))
    protocol = FixedTotal(total=budget, ratio=1, weighting="unimax", max_repeats=max_repeats)
    mixture = protocol.draw(dict(zip(languages, pairs, strict=True)), [], languages)
    left, by_size = Fraction(budget), sorted(range(len(pairs)), key=lambda i: pairs[i])
    for rank, i in enumerate(by_size):
        share = min(left / (len(pairs) - rank), max_repeats * pairs[i])
        left -= share
        assert abs(mixture.counts[languages[i]] - share) < 1  # places are whole; equal when the share is


def test_temperature_runs_from_proportional_to_uniform():
    sizes = {"de": 800, "fr": 200}
    counts = {
        tau: FixedTotal(total=100, ratio=0, temperature=tau).draw(sizes, ["de", "fr"], []).counts["de"]
        for tau in (1, 2, math.inf, None)
    }
    assert counts == {1: 80, 2: 67, math.inf: 50, None: 50}  # 2: sqrt(800) / (sqrt(800) + sqrt(200)) = 2/3


def test_a_cap_of_null_repeats_without_limit():
    mixture = FixedTotal(total=1000, ratio=1, max_repeats=None).draw({"fa": 7}, [], ["fa"])
    assert mixture.repeats == {"fa": 143}
    assert set(Counter(pair for _, pair, _ in mixture).values()) == {142, 143}


def test_fixed_high_adds_low_pairs_to_the_same_high_pairs():
    draws = [FixedHigh(high_total=100, multiple=m).draw(SIZES, HIGH, LOW) for m in (0, 0.5, 2)]
    assert [d.group_counts for d in draws] == [{"high": 100, "low": n} for n in (0, 50, 200)]
    assert all(list(d)[:100] == list(draws[0]) for d in draws)
    assert [d.ratio for d in draws] == [0, 50 / 150, 200 / 300]


def test_rounding_is_half_up_of_the_ratio_as_written():
    def low(total: int, ratio: float) -> int:
        return FixedTotal(total=total, ratio=ratio).draw(SIZES, HIGH, LOW).group_counts["low"]

    assert low(1, 0.5) == 1
    assert low(3, 0.5) == 2
    assert low(100, 0.145) == 15  # 0.145 * 100 is 14.499999999999998


def test_seeds_change_pairs_and_order_but_not_counts():
    one, other = (FixedTotal(total=200, ratio=0.5, seed=s).draw(SIZES, HIGH, LOW) for s in (0, 1))
    assert one.counts == other.counts
    assert set(one) != set(other)
    assert one.order(0).tolist() != one.order(1).tolist() != list(range(200))
    assert one.order(0).tolist() == one.order(0).tolist()


def test_draws_are_pinned():
    """Run identities depend on these pairs: a change here needs a new schema version."""
    mixture = FixedTotal(total=8, ratio=0.5, seed=3).draw(SIZES, HIGH, LOW)
    assert list(mixture) == PINNED
    assert mixture.order(5).tolist() == PINNED_ORDER


def test_the_order_of_languages_in_a_group_does_not_matter():
    draws = [
        list(FixedTotal(total=90, ratio=0.4).draw(SIZES, list(high), list(low)))
        for high, low in itertools.product(itertools.permutations(HIGH), itertools.permutations(LOW))
    ]
    assert all(draw == draws[0] for draw in draws)


def test_drawn_pairs_are_read_only():
    mixture = FixedTotal(total=10, ratio=0.5).draw(SIZES, HIGH, LOW)
    with pytest.raises(ValueError, match="read-only"):
        mixture.pairs[0] = 1


@pytest.mark.parametrize(
    ("protocol", "settings", "message"),
    [
        (FixedTotal, {"total": 10, "ratio": 1.2}, "mixture.ratio: 1.2 is not a number in [0, 1]"),
        (FixedTotal, {"total": 10, "ratio": -0.1}, "mixture.ratio: -0.1"),
        (FixedTotal, {"total": 10, "ratio": math.nan}, "mixture.ratio: nan"),
        (FixedTotal, {"total": 10, "ratio": "half"}, "mixture.ratio: 'half'"),
        (FixedTotal, {"total": 0, "ratio": 0.5}, "mixture.total: 0 is not a whole number of at least 1"),
        (FixedTotal, {"total": -3, "ratio": 0.5}, "mixture.total: -3"),
        (FixedTotal, {"total": 2.5, "ratio": 0.5}, "mixture.total: 2.5"),
        (FixedTotal, {"total": True, "ratio": 0.5}, "mixture.total: True"),
        (FixedTotal, {"total": 10, "ratio": 0.5, "temperature": 0}, "mixture.temperature: 0"),
        (FixedTotal, {"total": 10, "ratio": 0.5, "temperature": -1}, "mixture.temperature: -1"),
        (FixedTotal, {"total": 10, "ratio": 0.5, "max_repeats": 0}, "mixture.max_repeats: 0"),
        (
            FixedTotal,
            {"total": 10, "ratio": 0.5, "weighting": "fair"},
            "mixture.weighting: 'fair' is not one of",
        ),
        (
            FixedTotal,
            {"total": 10, "ratio": 0.5, "weighting": "unimax", "max_repeats": None},
            "mixture.max_repeats: null, but unimax",
        ),
        (FixedTotal, {"total": 10, "ratio": 0.5, "seed": -1}, "mixture.seed: -1"),
        (FixedHigh, {"high_total": 0, "multiple": 1}, "mixture.high_total: 0"),
        (FixedHigh, {"high_total": 9, "multiple": -1}, "mixture.multiple: -1"),
        (FixedHigh, {"high_total": 9, "multiple": math.inf}, "mixture.multiple: inf"),
    ],
)
def test_bad_settings_name_their_key(protocol, settings, message):
    with pytest.raises(UserError) as error:
        protocol(**settings)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("protocol", "high", "low", "message"),
    [
        (
            FixedTotal(400, 1),
            HIGH,
            LOW,
            "mixture.total: 400 pairs of languages.low are requested; the shortest language is fa, which "
            "needs 25 and has 20, and the whole group 320; lower mixture.total, raise mixture.max_repeats, or "
            "add bitext of fa",
        ),
        (FixedHigh(100, 4), HIGH, LOW, "mixture.multiple: 400 pairs of languages.low"),
        (FixedHigh(2000, 0), HIGH, LOW, "mixture.high_total: 2,000 pairs of languages.high"),
        (FixedTotal(10, 0.5), HIGH, ["ar", "de"], "languages.high and languages.low: 'de' is in both"),
        (
            FixedTotal(10, 0.5),
            HIGH,
            ["sw"],
            "languages.low: no bitext of language 'sw'; there is ar, de, fa, fr, ru",
        ),
        (
            FixedTotal(10, 0.5),
            HIGH,
            [],
            "languages.low: the group is empty, but mixture.total requests 5 pairs",
        ),
        (FixedTotal(10, 0.5), [], LOW, "languages.high: the group is empty"),
        (FixedTotal(10, 0.5), ["de", "de"], LOW, "languages.high: 'de' is listed twice"),
        (FixedTotal(10, 0.5), "de", LOW, "languages.high: 'de' is not a list"),
    ],
)
def test_impossible_draws_name_the_key_to_change(protocol, high, low, message):
    with pytest.raises(UserError) as error:
        protocol.draw(SIZES, high, low)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_group_that_needs_no_pairs_may_be_empty():
    assert FixedTotal(10, 0).draw(SIZES, HIGH, []).group_counts == {"high": 10, "low": 0}
    assert FixedTotal(10, 1).draw(SIZES, [], LOW).ratio == 1


@given(sizes, samplings, st.data())
def test_natural_draws_a_prefix_of_one_sequence_over_all_languages(sizes, sampling, data):
    cap = sampling["max_repeats"] * sum(sizes.values())
    small, large = sorted((data.draw(st.integers(1, cap)), data.draw(st.integers(1, cap))))
    one, other = (Natural(total=n, **sampling).draw(sizes, HIGH, LOW) for n in (small, large))
    assert len(one) == small
    for group in (HIGH, LOW):
        a, b = group_items(one, group), group_items(other, group)
        assert a == b[: len(a)]
    together = FixedTotal(total=small, ratio=1, **sampling).draw(sizes, [], HIGH + LOW)
    assert one.counts == together.counts
    assert {name: group_items(one, [name]) for name in sizes} == {
        name: group_items(together, [name]) for name in sizes
    }


def test_natural_proportions_are_those_of_the_data():
    mixture = Natural(total=167).draw(SIZES, HIGH, LOW)
    assert mixture.counts == {"de": 90, "fr": 40, "ru": 5, "ar": 30, "fa": 2}
    everything = Natural(total=None).draw(SIZES, HIGH, LOW)
    assert everything.counts == {language: SIZES[language] for language in everything.languages}
    assert everything.report().columns["distinct"] == everything.counts


def test_a_budget_for_each_language_is_met_and_nested():
    small = PerLanguage(budgets={"de": 30, "fr": 0, "ar": 5}).draw(SIZES, ["de", "fr"], ["ar"])
    large = PerLanguage(budgets={"de": 90, "fr": 10, "ar": 5}).draw(SIZES, ["de", "fr"], ["ar"])
    assert small.counts == {"de": 30, "fr": 0, "ar": 5}
    for language in ("de", "ar"):
        own = [item for item in small if item[0] == language]
        assert own == [item for item in large if item[0] == language][: len(own)]
    assert PerLanguage(budgets={"fa": 50}, max_repeats=3).draw(SIZES, [], ["fa"]).repeats == {"fa": 3}


@pytest.mark.parametrize(
    ("protocol", "high", "low", "message"),
    [
        (
            Natural(total=2000),
            HIGH,
            LOW,
            "mixture.total: 2,000 pairs of all languages are requested; the shortest language is fa, which "
            "needs 24 and has 20, and the whole group 1,670",
        ),
        (Natural(total=5), [], [], "languages: both groups are empty"),
        (Natural(total=5), HIGH, ["de"], "languages.high and languages.low: 'de' is in both"),
        (
            PerLanguage(budgets={"de": 1}),
            ["de"],
            ["ar"],
            "mixture.budgets: no budget for 'ar' of languages.low",
        ),
        (
            PerLanguage(budgets={"deu": 1}),
            ["de"],
            [],
            "mixture.budgets: no budget for 'de' of languages.high; set one, or 0; rename deu to de",
        ),
        (
            PerLanguage(budgets={"de": 1, "xx": 1}),
            ["de"],
            [],
            "mixture.budgets.xx: in neither languages.high nor",
        ),
        (
            PerLanguage(budgets={"fa": 21}),
            [],
            ["fa"],
            "mixture.budgets.fa: 21 pairs of languages.low are requested; the shortest language is fa, which "
            "needs 21 and has 20; lower mixture.budgets.fa",
        ),
    ],
)
def test_other_protocols_name_the_key_to_change(protocol, high, low, message):
    for refuse in (protocol.draw, protocol.check):
        with pytest.raises(UserError) as error:
            refuse(SIZES, high, low)
        assert str(error.value).startswith(message)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Natural(total=0), "mixture.total: 0 is not a whole number of at least 1"),
        (lambda: PerLanguage(budgets={}), "mixture.budgets: not a mapping of language to pairs"),
        (lambda: PerLanguage(budgets={"de": 1.5}), "mixture.budgets.de: 1.5 is not a whole number"),
        (lambda: PerLanguage(budgets={"de": 0}), "mixture.budgets: all are 0"),
        (lambda: PerLanguage(budgets={"de": 1}, max_repeats=0), "mixture.max_repeats: 0"),
        (lambda: PerLanguage(budgets={"de": 1}, seed="x"), "mixture.seed: 'x'"),
    ],
)
def test_bad_settings_of_other_protocols(build, message):
    with pytest.raises(UserError) as error:
        build()
    assert str(error.value).startswith(message)


def outcome(call, *arguments) -> str | None:
    try:
        call(*arguments)
    except UserError as error:
        return str(error)
    return None


@given(
    st.dictionaries(st.sampled_from(HIGH + LOW), st.integers(1, 30), min_size=1),
    st.lists(st.sampled_from([*HIGH, "xx"]), max_size=3),
    st.lists(st.sampled_from([*LOW, "de"]), max_size=2),
    st.integers(1, 80),
    st.floats(0, 1),
    st.integers(1, 2) | st.none(),
)
def test_checking_refuses_exactly_what_drawing_refuses(sizes, high, low, total, ratio, max_repeats):
    for protocol in (
        FixedTotal(total=total, ratio=ratio, max_repeats=max_repeats),
        FixedHigh(high_total=total, multiple=2 * ratio, max_repeats=max_repeats),
        Natural(total=total, max_repeats=max_repeats),
        PerLanguage(budgets={"de": total, "ar": 3}, max_repeats=max_repeats),
    ):
        assert outcome(protocol.check, sizes, high, low) == outcome(protocol.draw, sizes, high, low)
        assert outcome(protocol.counts, sizes, high, low) == outcome(protocol.draw, sizes, high, low)


@given(sizes, samplings, st.data())
def test_counts_are_those_of_the_draw(sizes, sampling, data):
    low, high = (sampling["max_repeats"] * sum(sizes[x] for x in group) for group in (LOW, HIGH))
    total = data.draw(st.integers(1, min(low, high)))
    for protocol in (
        FixedTotal(total=total, ratio=data.draw(st.floats(0, 1)), **sampling),
        Natural(total=total, **sampling),
        PerLanguage(budgets=dict.fromkeys(sizes, 1)),
    ):
        assert protocol.counts(sizes, HIGH, LOW) == protocol.draw(sizes, HIGH, LOW).counts


def test_counts_of_any_budget_are_computed_at_once():
    size = 10**12
    counts = FixedTotal(total=size, ratio=0.25).counts(dict.fromkeys(SIZES, size), HIGH, LOW)
    assert counts == {"de": 250_000_000_000} | dict.fromkeys(("fr", "ru"), 250_000_000_000) | dict.fromkeys(
        ("ar", "fa"), 125_000_000_000
    )


def test_a_check_draws_nothing(monkeypatch):
    monkeypatch.setattr(np, "array", None)
    monkeypatch.setattr(np, "zeros", None)
    FixedTotal(total=10**9, ratio=0.5, max_repeats=None).check(SIZES, HIGH, LOW)
    Natural(total=10**9, max_repeats=None).check(SIZES, HIGH, LOW)
    PerLanguage(budgets=dict.fromkeys(SIZES, 10**9), max_repeats=None).check(SIZES, HIGH, LOW)


@given(sizes, samplings, st.integers(1, 60), st.floats(0, 1))
def test_the_report_counts_the_drawn_pairs(sizes, sampling, total, ratio):
    assume(total <= sampling["max_repeats"] * min(sum(sizes[x] for x in HIGH), sum(sizes[x] for x in LOW)))
    mixture = FixedTotal(total=total, ratio=ratio, **sampling).draw(sizes, HIGH, LOW)
    report = mixture.report(mixture.pairs + 1)
    for language in mixture.languages:
        own = [pair for name, pair, _ in mixture if name == language]
        assert report.columns["pairs"][language] == len(own)
        assert report.columns["distinct"][language] == len(set(own))
        assert report.columns["tokens"][language] == sum(pair + 1 for pair in own)
    assert (
        report.metrics()[f"mixture/tokens/{mixture.languages[0]}"]
        == report.columns["tokens"][mixture.languages[0]]
    )
    assert set(report.as_dict()) == {"pairs", "distinct", "repeats", "tokens", "ratio"}
    assert "tokens" not in mixture.report().as_dict()


@pytest.mark.parametrize(
    ("mixture", "label"),
    [
        (FixedTotal(total=3200, ratio=0.25), "ratio=0.25 total=3200"),
        (FixedHigh(high_total=1600, multiple=0.5), "multiple=0.5 high_total=1600"),
        (Natural(total=20), "natural total=20"),
        (Natural(total=None), "natural total=all"),
        (PerLanguage(budgets={"fa": 2, "de": 6}), "budgets de=6 fa=2"),
    ],
)
def test_labels(mixture, label):
    assert mixture.label == label


def test_a_low_temperature_leaves_the_small_languages_a_weight_above_zero():
    weights = FixedTotal(total=1, ratio=0.5, temperature=0.01).weights(np.array([10, 1000]))
    assert weights.tolist() == [1e-12, 1.0]


def test_equal_weights_go_round_in_the_order_of_names():
    """A golden sequence, with ties at every place and a cap that one language meets."""
    drawn = Natural(total=7, weighting="unimax").draw({"a": 3, "b": 1, "c": 3}, ["a", "c"], ["b"])
    assert drawn.counts == {"a": 3, "c": 3, "b": 1}
    for total, counts in ((1, [1, 0, 0]), (2, [1, 0, 1]), (3, [1, 1, 1]), (4, [2, 1, 1]), (5, [2, 2, 1])):
        drawn = Natural(total=total, weighting="unimax").draw({"a": 3, "b": 1, "c": 3}, ["a", "c"], ["b"])
        assert [drawn.counts.get(name, 0) for name in "acb"] == counts
