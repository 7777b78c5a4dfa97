"""Heat maps of plans: any script, any size, reproducible bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.curves.figures.fonts import families_for, romanised
from optical_sweeps.curves.figures.plan_figure import KeptPlan, draw_plan, kept_plans, read_plan, write_plan
from optical_sweeps.errors import UserError

PLAN = np.array([[0.3, 0.0], [0.1, 0.1], [0.0, 0.5]])
ROWS = ["Mikä", "$5_x^{", "पानी"]
COLUMNS = ["what", "水"]


def test_the_same_plan_gives_the_same_bytes(tmp_path):
    first, second = (draw_plan(PLAN, ROWS, COLUMNS, tmp_path / name, "fi: a $ b") for name in "ab")
    assert [path.name for path in first] == ["a.pdf", "a.png"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (32, 32)])
def test_plans_of_any_size_are_drawn(tmp_path, shape):
    names = [[f"token{number}" for number in range(size)] for size in shape]
    plan = np.zeros(shape)  # student tokens without mass
    assert len(draw_plan(plan, *names, tmp_path / "plan", "t" * 200, "column")) == 2


def test_a_plan_with_another_shape_is_refused(tmp_path):
    with pytest.raises(ValueError, match="3 and 3 tokens"):
        draw_plan(PLAN, ROWS, [*COLUMNS, "x"], tmp_path / "plan", "")


def test_letters_without_a_font_are_romanised(tmp_path):
    families, missing = families_for(["Mikä когда", "\U000e0041"])
    assert families[0] == "DejaVu Sans"
    assert missing == {"\U000e0041"}  # a tag character, which no font has
    assert romanised("a\U000e0041b", missing) != "a\U000e0041b"
    assert families_for(["Ποια ärger Łódź когда"]) == (["DejaVu Sans"], set())


@given(st.text(max_size=20))
def test_only_missing_letters_are_romanised(text):
    assert romanised(text, set()) == text
    assert romanised(text, {letter for letter in text if not letter.isascii()}).replace("·", "").isascii()


def test_plans_are_written_and_read(tmp_path):
    kept = KeptPlan(PLAN.tolist(), ROWS, COLUMNS, "title")
    path = write_plan(tmp_path / "inspect" / "fi-3.plan.json", kept)
    assert kept_plans(tmp_path) == [path]
    assert read_plan(path) == kept
    np.testing.assert_array_equal(read_plan(path).matrix(), PLAN)
    for broken in (
        "{",
        "[]",
        '{"plan": [[1]], "student_tokens": ["a", "b"], "teacher_tokens": [], "title": ""}',
    ):
        path.write_text(broken)
        with pytest.raises(UserError, match=r"fi-3\.plan\.json: not a transport plan"):
            read_plan(path)
