"""The comparison table: means, tests and rendering."""

import numpy as np
import pytest

from optical_sweeps.curves.claims.systems_table import MEAN, SystemScores, differences, systems_table
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.significance import holm, randomisation_test


def scores(values: np.ndarray, systems=("low", "same", "base")) -> SystemScores:
    languages = ("cs",) * 30 + ("fi",) * 10
    ids = tuple(f"q{number}" for number in range(40))
    return SystemScores("nDCG@10", systems, (1,) * len(systems), languages, ids, values)


@pytest.fixture
def values() -> np.ndarray:
    base = np.random.default_rng(1).uniform(0.4, 0.9, 40)
    same = base + np.tile([0.01, -0.01], 20)
    return np.stack([base - 0.3, same, base])


def test_languages_have_equal_weight_in_the_mean(values):
    cells = {(cell.system, cell.language): cell for cell in differences(scores(values), ("cs", "fi"), "base")}
    for row, system in enumerate(("low", "same", "base")):
        by_language = [values[row, :30].mean(), values[row, 30:].mean()]
        assert cells[system, "cs"].value == pytest.approx(by_language[0])
        assert cells[system, MEAN].value == pytest.approx(np.mean(by_language))
    assert (cells["base", "fi"].queries, cells["base", MEAN].queries) == (10, 40)


def test_marks_follow_from_a_test_corrected_over_the_table(values):
    cells = differences(scores(values), ("cs", "fi"), "base")
    compared = [cell for cell in cells if cell.system != "base"]
    plain = randomisation_test(values[:2, :30] - values[2, :30])
    assert [cell.p for cell in compared if cell.language == "cs"] == plain.tolist()
    assert [cell.p_holm for cell in compared] == holm(np.array([cell.p for cell in compared])).tolist()
    assert {cell.verdict for cell in cells if cell.system == "low"} == {"lower"}
    assert {cell.verdict for cell in cells if cell.system in ("same", "base")} == {""}
    assert all(cell.p is None and cell.difference is None for cell in cells if cell.system == "base")


def test_a_query_shared_by_languages_is_drawn_once():
    one = np.random.default_rng(2).normal(0.01, 0.1, 12)
    values = np.stack([np.tile(0.5 + one, 8), np.full(96, 0.5)])
    languages = tuple(np.repeat([f"l{number}" for number in range(8)], 12))
    parallel = SystemScores("nDCG@10", ("other", "base"), (1, 1), languages, tuple("abcdefghijkl") * 8, values)
    every = differences(parallel, sorted(set(languages)), "base")
    cells = {cell.language: cell for cell in every if cell.system == "other"}
    assert cells[MEAN].p == cells["l0"].p == pytest.approx(randomisation_test(one[None])[0])
    assert cells[MEAN].queries == 12
    assert cells[MEAN].value == pytest.approx(0.5 + one.mean())


def test_the_mean_of_one_language_is_not_tested_again(values):
    one = SystemScores(
        "nDCG@10", ("low", "same", "base"), (1,) * 3, ("cs",) * 40, tuple(map(str, range(40))), values
    )
    cells = differences(one, ("cs",), "base")
    for first, second in zip(cells[::2], cells[1::2], strict=True):
        assert (first.language, second.language) == ("cs", MEAN)
        assert (first.p, first.p_holm, first.verdict) == (second.p, second.p_holm, second.verdict)
        assert first.value == pytest.approx(second.value)
    compared = [cell for cell in cells if cell.system != "base" and cell.language == "cs"]
    assert [cell.p_holm for cell in compared] == holm(np.array([cell.p for cell in compared])).tolist()
    caption = systems_table(cells, ("cs",), "base", "test").caption
    assert "over the 2 comparisons of a measure" in caption


def test_the_reference_alone_makes_a_table(values):
    (cell, _, _) = differences(scores(values[2:], ("base",)), ("cs", "fi"), "base")
    assert cell.verdict == ""


def test_the_table_renders(values):
    cells = differences(scores(values), ("cs", "fi"), "base")
    table = systems_table(cells, ("cs", "fi"), "base", "test")
    lines = table.render("markdown").splitlines()
    assert lines[0] == "| measure | system | cs | fi | mean |"
    assert lines[2].startswith("| nDCG@10 | low | ")
    assert lines[2].count("▼") == 3
    assert "over the 6 comparisons of a measure" in lines[-1]
    assert r"$\downarrow$" in table.render("latex")
    header, first, *rest = table.render("csv").splitlines()
    assert header == "measure,system,language,value,seeds,queries,difference,p,p_holm,verdict"
    assert first.startswith("nDCG@10,low,cs,0.")
    assert len(rest) == 8


def test_a_system_that_lacks_queries_is_named(values):
    values[1, 3] = np.nan
    with pytest.raises(UserError, match="same has no nDCG@10 of 1 of 40 queries"):
        scores(values)
