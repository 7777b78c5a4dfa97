"""Students and the languages they are for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.corpora.mixture import FixedTotal
from optical_sweeps.encoders.student_groups import ONE_FOR, restricted, student_groups

HIGH, LOW = ("es", "fa", "ko"), ("yo", "sw")
SIZES = {"es": 40, "fa": 30, "ko": 20, "yo": 12, "sw": 9}


@given(
    st.sampled_from(ONE_FOR), st.lists(st.sampled_from("abcdefg"), unique=True, min_size=1), st.integers(0, 7)
)
def test_every_language_has_one_student(one_for, languages, cut):
    groups = student_groups(one_for, {"high": languages[:cut], "low": languages[cut:]})
    members = [language for group in groups.values() for language in group]
    assert sorted(members) == sorted(languages)
    assert all(groups.values())


def test_one_language_in_two_groups_is_refused():
    with pytest.raises(ValueError, match="two groups"):
        student_groups("all", {"high": ["es"], "low": ["es"]})


@pytest.mark.parametrize("one_for", ONE_FOR)
def test_the_students_share_out_one_draw_in_its_order(one_for):
    mixture = FixedTotal(total=50, ratio=0.4).draw(SIZES, HIGH, LOW)
    items = list(mixture)
    whole = [items[i] for i in mixture.order(3)]
    parts = []
    for languages in student_groups(one_for, {"high": HIGH, "low": LOW}).values():
        own = restricted(mixture, languages)
        assert own.counts == {language: mixture.counts[language] for language in own.languages}
        drawn = list(own)
        order = [drawn[i] for i in own.order(3)]
        assert order == [item for item in whole if item[0] in languages]
        parts += order
    assert sorted(parts) == sorted(items)


def test_a_language_that_was_not_drawn_has_an_empty_share():
    mixture = FixedTotal(total=20, ratio=0.0).draw(SIZES, HIGH, LOW)
    assert len(restricted(mixture, ["yo"])) == 0
    assert np.array_equal(restricted(mixture, [*HIGH, *LOW]).pairs, mixture.pairs)
