"""Draws of earlier versions: equal sizes and settings give the same pairs, in the same order, for ever."""

import hashlib

import numpy as np
import pytest

from optical_sweeps.corpora import apportionment
from optical_sweeps.corpora.apportionment import language_sequence
from optical_sweeps.corpora.mixture import FixedHigh, FixedTotal, Natural, PerLanguage

SIZES = {"de": 1201, "fr": 77, "sw": 13, "yo": 5, "ja": 40_000, "fi": 999}
HIGH, LOW = ["de", "fr", "ja"], ["sw", "yo", "fi"]
BUDGETS = {"de": 300, "fr": 77, "ja": 2000, "sw": 20, "yo": 0, "fi": 50}

DRAWS = [
    (FixedTotal(total=1000, ratio=0.0, seed=1), "161c384df86a3fa7"),
    (FixedTotal(total=1000, ratio=0.25, seed=1), "5a3457d55bcf78d0"),
    (FixedTotal(total=1500, ratio=0.5, seed=2, max_repeats=3), "160e7bd553bcb8d6"),
    (FixedTotal(total=3000, ratio=0.5, seed=0, max_repeats=4, temperature=None), "47aab23be1f9d9f6"),
    (FixedTotal(total=40_000, ratio=0.01, seed=7, temperature=2.0), "8650af559d5e9e6f"),
    (FixedTotal(total=2000, ratio=0.4, seed=5, max_repeats=2, weighting="unimax"), "7d5b41fb34a062f1"),
    (FixedHigh(high_total=800, multiple=0, seed=1, max_repeats=5), "4206f75bf22836d1"),
    (FixedHigh(high_total=800, multiple=0.5, seed=1, max_repeats=5), "f054f319b1d0f012"),
    (FixedHigh(high_total=800, multiple=2, seed=9, max_repeats=5), "acbe0c33e3d18efb"),
    (Natural(total=None, seed=4), "d66d84946fc679fe"),
    (Natural(total=500, seed=4), "abc6b50ed6653609"),
    (Natural(total=41_000, seed=1), "174ce157efc5ed20"),
    (PerLanguage(budgets=BUDGETS, max_repeats=2, seed=6), "b0e385727d7c23f2"),
]
"""Mixtures, and the digest of what they drew in version 0.1."""


@pytest.mark.parametrize("block", [1 << 20, 100], ids=["whole", "in blocks"])
@pytest.mark.parametrize(("mixture", "digest"), DRAWS, ids=[f"{m.label} {m.seed}" for m, _ in DRAWS])
def test_equal_data_give_the_draws_of_version_0_1(mixture, digest, block, monkeypatch):
    monkeypatch.setattr(apportionment, "BLOCK", block)
    drawn = mixture.draw(SIZES, HIGH, LOW)
    content = hashlib.blake2b(digest_size=8)
    for column in (drawn.language_index, drawn.pairs, drawn.repetitions, drawn.order(3)):
        content.update(column.astype("<i8").tobytes())
    assert content.hexdigest() == digest


@pytest.mark.parametrize("count", [0, 1, 2, 50, 9_999, 10_000, 20_001])
def test_a_short_sequence_is_the_start_of_the_whole_permutation(count, monkeypatch):
    monkeypatch.setattr(apportionment, "BLOCK", 1000)
    sequence = language_sequence("de", 10_000, count, 3)
    assert len(sequence) == count
    assert (sequence == language_sequence("de", 10_000, 30_000, 3)[:count]).all()
    for start in range(0, count, 10_000):
        assert len(np.unique(sequence[start : start + 10_000])) == min(10_000, count - start)
