"""Expected best score against a simulation and its laws, and the table of effort."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.curves.statistics.effort_table import effort_table, with_tuning_note
from optical_sweeps.curves.statistics.tuning_effort import (
    Effort,
    effort_from,
    efforts_of,
    expected_best,
    expected_best_interval,
)
from optical_sweeps.tracking.run_log import RunLog

scores = st.lists(st.floats(0, 1), min_size=1, max_size=12)
EFFORT = Effort((0.2, 0.4, 0.3), 1, 2560, 61.5, "random", "training.learning_rate=0.001")


@given(scores)
def test_it_starts_at_the_mean_rises_and_stays_below_the_best(values):
    best = expected_best(values)
    assert best[0] == pytest.approx(np.mean(values))
    assert (np.diff(best) >= -1e-12).all()
    assert best[-1] <= max(values) + 1e-12


def test_it_is_the_mean_of_the_best_of_all_draws():
    values = [0.1, 0.5, 0.4]
    for k in (1, 2, 3):
        draws = [max(draw) for draw in itertools.product(values, repeat=k)]
        assert expected_best(values)[k - 1] == pytest.approx(np.mean(draws))


@settings(max_examples=10, deadline=None)
@given(scores)
def test_intervals_are_ordered_and_have_no_width_for_equal_scores(values):
    low, high = expected_best_interval(values)
    assert (low <= high).all()
    equal_low, equal_high = expected_best_interval([values[0]] * len(values))
    assert np.allclose(equal_low, values[0])
    assert np.allclose(equal_high, values[0])


def test_a_table_has_the_effort_of_each_objective():
    table = effort_table({"optical": EFFORT, "mse": Effort((0.3,), 0, 2560, 20.0, "tpe", "")})
    assert table.header[-3:] == ("best of 1", "best of 2", "best of 3")
    assert table.rows[0][2:6] == ("4", "1", "2,560", "62")
    assert table.rows[1][-1] == ""
    assert "The trials of mse were not drawn independently" in table.caption


def test_claims_name_the_tuning_or_say_that_there_was_none():
    table = with_tuning_note(effort_table({"optical": EFFORT}), ["optical", "mse", "none"], {"optical": EFFORT})
    assert table.caption.endswith("Tuned on dev: optical: 4 trials of 2,560 pairs. Not tuned: mse.")


def test_the_config_of_a_tuned_run_states_the_effort():
    section = EFFORT.as_dict()
    assert effort_from(section) == EFFORT
    runs = [RunLog("a", {"tuned": {"study": "demo_tuning", **section}}, {}), RunLog("b", {}, {})]
    assert efforts_of(runs, {"a": "optical", "b": "mse"}) == {"optical": EFFORT}
