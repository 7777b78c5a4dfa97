"""Tables are complete, and names from configs cannot break them."""

import csv
import io
import re
from collections.abc import Mapping, Sequence

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.curves.claims.claims_tables import claims_table, crossings_table
from optical_sweeps.curves.claims.crossings import Crossings, find_crossings
from optical_sweeps.curves.claims.pairwise_claims import claims_of_study
from optical_sweeps.curves.laws.fitted_curve import fit_curve
from optical_sweeps.curves.laws.law_selection import choose_law
from optical_sweeps.curves.laws.law_tables import choices_table, fits_table
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.tables.paper_table import FORMATS, Marked, PaperTable

Groups = Mapping[str, Sequence[str]]
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30) | st.sampled_from(
    ["a|b", "50% & more", r"\textbf{x}", "a_b^c", "<script>alert(1)</script>", "$x$", "# ~", "`code`", "[a](b)"]
)


@pytest.fixture
def study(per_query: pandas.DataFrame, groups: Groups) -> Study:
    return Study(per_query, groups, replicates=10)


@pytest.fixture
def tables(study: Study) -> dict[str, PaperTable]:
    found = claims_of_study(study, [("optical", "contrastive"), ("optical", "none")], ["group:low", "ar"])
    return {
        "claims": claims_table(found),
        "fits": fits_table([fit_curve(study, "optical", "group:low", "mixing", replicates=50)]),
        "choices": choices_table(
            {("optical", "group:low"): choose_law(study, "optical", "group:low", ["mixing"])}
        ),
        "crossings": crossings_table(
            [find_crossings(study, "optical", "contrastive", slice) for slice in ("ar", "de")]
        ),
    }


def latex_rows(text: str) -> list[list[str]]:
    """The cells of the rows between the rules."""
    lines = text.split("\\toprule\n")[1].split("\\bottomrule")[0].splitlines()
    rows = [line for line in lines if line != r"\midrule"]
    assert all(row.endswith(r" \\") for row in rows)
    return [re.split(r"(?<!\\)&", row.removesuffix(r" \\")) for row in rows]


def check_latex(text: str, table: PaperTable) -> None:
    """Check what would break the LaTeX compiler."""
    lines = text.splitlines()
    opened: list[str] = []
    for command, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if command == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    (columns,) = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", text)
    assert len(columns) == len(table.header)
    assert all(len(row) == len(columns) for row in latex_rows(text))
    assert [lines.count(rf"\{rule}rule") for rule in ("top", "mid", "bottom")] == [1, 1, 1]
    body = "\n".join(lines[1:])
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", body.replace("\\\\", "")):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert len(re.findall(r"(?<!\\)\$", body)) % 2 == 0
    assert not re.search(r"(?<!\\)[%#_~^]", body)


def check_markdown(text: str, table: PaperTable) -> None:
    lines = text.split("\n\n")[0].splitlines()
    assert len(lines) == len(table.rows) + 2
    assert all(len(re.findall(r"(?<!\\)\|", line)) == len(table.header) + 1 for line in lines)


@pytest.mark.parametrize("name", ["claims", "fits", "choices", "crossings"])
def test_tables_are_complete_in_every_format(tables: dict[str, PaperTable], name: str) -> None:
    table = tables[name]
    assert table.rows
    assert all(len(row) == len(table.header) for row in table.rows)
    check_latex(table.render("latex"), table)
    check_markdown(table.render("markdown"), table)
    records = list(csv.DictReader(io.StringIO(table.render("csv"))))
    assert len(records) == len(table.records) >= 1
    assert set(records[0]) == set(table.records[0])


@settings(deadline=None, max_examples=150)
@given(NAMES, NAMES, NAMES)
def test_no_name_breaks_a_table(first: str, second: str, third: str) -> None:
    rows = ((first, second, Marked(third, "higher, equivalent")), (second, third, "1.0"))
    table = PaperTable((third, "b", "c"), rows, 2, first, ({"name": first, "value": 1.0},))
    check_latex(table.render("latex"), table)
    check_markdown(table.render("markdown"), table)
    assert "<script" not in table.render("markdown")
    ((record),) = csv.DictReader(io.StringIO(table.render("csv"), newline=""))
    assert record["name"] == first


def test_marks_show_the_verdict(study: Study) -> None:
    found = claims_of_study(study, [("optical", "contrastive")], ["group:low"], margin=0.05)
    table = claims_table(found)
    lines = table.render("markdown").splitlines()[2:]
    for claim, line in zip(found, lines, strict=False):
        assert ("▲" in line) == ("higher" in claim.verdict)
        assert ("≈" in line) == ("equivalent" in claim.verdict)
    assert any("≈" in line for line in lines)
    latex = table.render("latex")
    assert latex.count(r"$\approx$") == sum(claim.equivalent for claim in found) + 1  # and in the caption
    assert not set("▲▼≈") & set(latex)


def test_captions_explain_units_and_signs(tables: dict[str, PaperTable], study: Study) -> None:
    (claim, *_) = claims_of_study(study, [("optical", "contrastive")], ["group:low"], margin=0.05)
    caption = claims_table([claim]).caption
    for words in (
        "in points, x 100",
        "a margin of 5 points",
        "over 1 comparison;",
        "intervals are not corrected",
    ):
        assert words in caption
    assert all(sign in caption for sign in "▲▼≈")
    assert "a margin of 1 point;" in tables["claims"].caption
    assert "anywhere: the interval covers all" in tables["crossings"].caption


def test_zero_shot_has_its_name_in_tables_and_its_key_in_records(tables: dict[str, PaperTable]) -> None:
    claims = tables["claims"]
    assert {row[0] for row in claims.rows} == {"optical - contrastive", "optical - zero-shot"}
    assert {record["second"] for record in claims.records} == {"contrastive", "none"}


def test_a_pair_without_a_crossing_says_so(study: Study) -> None:
    apart = Crossings("optical", "none", "ar", "ratio", (), (), leads=False, confidence=0.95)
    ((pair, _, leader, where),) = crossings_table([apart]).rows
    assert (pair, leader, where) == ("optical, zero-shot", "zero-shot", "no crossing")


def test_csv_has_exact_numbers(study: Study) -> None:
    found = claims_of_study(study, [("optical", "contrastive")], ["ar"])
    records = list(csv.DictReader(io.StringIO(claims_table(found).render("csv"))))
    assert [float(record["difference"]) for record in records] == [claim.difference for claim in found]
    assert [record["verdict"] for record in records] == [claim.verdict for claim in found]


def test_a_pair_that_never_crosses_has_a_row(tables: dict[str, PaperTable]) -> None:
    assert {row[1] for row in tables["crossings"].rows} == {"ar", "de"}


def test_a_table_without_claims_renders() -> None:
    table = claims_table(())
    assert [table.render(kind) != "" for kind in FORMATS] == [True, True, False]
