import io

import pandas
import pytest
from rich.console import Console

from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.statistics.study_tables import markdown_table, terminal_table

Groups = dict[str, tuple[str, ...]]


@pytest.fixture
def study(per_query: pandas.DataFrame, groups: Groups) -> Study:
    return Study(per_query, groups, replicates=100)


def printed(study: Study, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(terminal_table(study, width))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_markdown_has_every_cell(study: Study) -> None:
    header, rule, *rows = markdown_table(study).split("\n\n")[0].splitlines()
    assert header == "| objective, ratio | high | low | all | ar | de | fa | fr |"
    assert rule == "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    assert [row.split("|")[1].strip() for row in rows] == [
        "zero-shot",
        *(f"contrastive {x}" for x in ("0", "0.25", "0.5", "0.75", "1")),
        *(f"optical {x}" for x in ("0", "0.25", "0.5", "0.75", "1")),
    ]
    curve = study.curve("optical", "group:low")
    assert rows[-1].split("|")[3].strip() == f"{100 * curve.mean[-1]:.1f} ±{100 * curve.half_width[-1]:.1f}"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_terminal_table_fits_its_width_and_has_every_cell(study: Study, width: int) -> None:
    text = printed(study, width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    for row in markdown_table(study).split("\n\n")[0].splitlines()[2:]:
        for cell in row.split("|")[2:-1]:
            assert cell.strip() in text


def test_only_a_narrow_terminal_gets_several_tables(study: Study) -> None:
    assert printed(study, 200).count("zero-shot") == 1
    assert printed(study, 80).count("zero-shot") == 2


def test_a_missing_point_has_no_row(per_query: pandas.DataFrame, groups: Groups) -> None:
    gone = (per_query["objective"] == "optical") & (per_query["ratio"] == 0.5)
    text = markdown_table(Study(per_query[~gone], groups, replicates=10))
    assert "optical 0.5 " not in text
    assert "contrastive 0.5 " in text
