"""`claims` and `figures` of a finished sweep."""

import csv
import json
import re
import shutil
from pathlib import Path

import pandas
import pytest

from optical_sweeps.commands import claims, figures
from optical_sweeps.curves.figures.plan_figure import KeptPlan, write_plan
from optical_sweeps.errors import UserError
from optical_sweeps.report.study_logs import select_rows
from tests.support.configs import compose
from tests.support.finished_sweeps import write_sweep


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Ratios 0, .5, 1, two seeds, every run with its cost; a failed and a missing point. No test changes it."""
    folder = tmp_path_factory.mktemp("sweeps") / "small"
    write_sweep(folder)
    for path in folder.glob("*/record.json"):
        record = json.loads(path.read_text())
        record["usage"] = {"hours": record["timings"]["total"] / 3600, "gpu_hours": 0.0}
        path.write_text(json.dumps(record))
    return folder


@pytest.fixture
def sweep(finished, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "small"))


def run(command, sweep, *overrides) -> None:
    """Run `claims` or `figures` with these overrides."""
    name = command.__name__.rpartition(".")[2]
    config = compose(name, "source=records", "replicates=50", "draws=500", *overrides)
    command.run(config, Path(sweep))


def rows_of(path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def write_queries(sweep, change) -> None:
    """Every run's scores of queries, changed."""
    for path in sweep.glob("*/per_query.parquet"):
        change(pandas.read_parquet(path)).to_parquet(path, index=False)


def add_budget(sweep, total, ratios=(0, 0.5, 1)) -> None:
    """The same runs at another budget, as a sweep without a grid."""
    for path in sorted(sweep.glob("*/record.json")):
        record = json.loads(path.read_text())
        mixture = record["config"]["mixture"]
        if record["config"]["objective"]["_target_"].endswith("None") or mixture["ratio"] not in ratios:
            continue
        config = {**record["config"], "mixture": {**mixture, "total": total}}
        folder = sweep / f"{record['id']}x{total}"
        folder.mkdir()
        (folder / "record.json").write_text(json.dumps({**record, "id": folder.name, "config": config}))
        shutil.copy(path.with_name("per_query.parquet"), folder)
    (sweep / "grid.json").unlink()


def refusal(command, sweep, *overrides) -> str:
    with pytest.raises(UserError) as error:
        run(command, sweep, *overrides)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_claims_are_printed_and_written(sweep, tmp_path, capsys):
    run(claims, sweep, f"output={tmp_path}/tables", "test=t")
    names = {"claims", "crossings"}
    assert {path.name for path in (tmp_path / "tables").iterdir()} == {
        f"{name}.{ending}" for name in names for ending in ("md", "tex", "csv")
    }
    rows = rows_of(tmp_path / "tables" / "claims.csv")
    assert len(rows) == 3 * 3  # groups by ratios
    assert {(row["first"], row["second"]) for row in rows} == {("contrastive", "optical")}
    per_query = pandas.concat(
        pandas.read_parquet(path).assign(run=path.parent.name) for path in sweep.glob("*/per_query.parquet")
    ).query("measure == 'nDCG@10'")
    means = per_query.groupby(["run", "language"])["value"].mean()
    for row in rows:
        languages = {"group:high": ["near", "shifted"], "group:low": ["distant"]}.get(
            row["slice"], ["near", "shifted", "distant"]
        )
        x = row["x"].removesuffix(".0").replace(".", "_")
        there = [
            [means[f"{o}{x}s{s}", language] for language in languages] for o in ("con", "opt") for s in (1, 2)
        ]
        ours = [sum(one) / len(one) for one in there]
        assert float(row["difference"]) == pytest.approx((ours[0] + ours[1] - ours[2] - ours[3]) / 2)
    out = capsys.readouterr().out
    assert "contrastive - optical" in out
    assert "Holm" in out
    assert out.index("MISSING") < out.index("contrastive - optical")


def test_unknown_names_are_answered_with_the_known_ones(sweep):
    assert refusal(claims, sweep, "pairs=[[optical,contrastve]]") == (
        "objective contrastve: the study has no such runs; did you mean contrastive? there are: contrastive, "
        "none, optical"
    )
    assert "slice group:lw: the study has no such languages; did you mean group:low?" in refusal(
        claims, sweep, "slices=[group:lw]"
    )
    for command in (claims, figures):
        assert "no finished run has nDCG@1 of the queries of test; did you mean nDCG@10?" in refusal(
            command, sweep, "measure=nDCG@1"
        )


def test_too_few_draws_for_the_family_are_noted(sweep, tmp_path):
    for draws, is_noted in ((178, True), (180, False)):  # 9 comparisons at 5%
        run(claims, sweep, f"output={tmp_path}/tables", f"draws={draws}")
        assert ("set draws=180 or more" in (tmp_path / "tables" / "claims.md").read_text()) == is_noted


def test_settings_choose_the_comparisons(sweep, tmp_path):
    own = ["pairs=[[optical,none]]", "slices=[distant]", "at=[1]", "margin=0.2", f"output={tmp_path}/tables"]
    run(claims, sweep, *own)
    (row,) = rows_of(tmp_path / "tables" / "claims.csv")
    assert (row["first"], row["second"], row["slice"], float(row["x"])) == ("optical", "none", "distant", 1)
    assert float(row["margin"]) == 0.2


def test_groups_with_the_same_languages_are_tested_once(sweep, tmp_path):
    for path in sweep.glob("*/record.json"):
        record = json.loads(path.read_text())
        record["config"]["languages"] = {"high": ["near", "shifted"], "low": []}
        path.write_text(json.dumps(record))
    write_queries(sweep, lambda table: table[table["language"] != "distant"])
    run(claims, sweep, f"output={tmp_path}/tables", "at=[0]")
    (row,) = rows_of(tmp_path / "tables" / "claims.csv")
    assert row["slice"] == "group:high"
    assert row["p_holm"] == row["p"]
    assert "Left out: all (the languages of high)." in (tmp_path / "tables" / "claims.md").read_text()


def test_a_slice_with_one_query_is_left_out_with_a_note(sweep, tmp_path):
    write_queries(sweep, lambda table: table[(table["language"] != "distant") | (table["query_id"] == "q0")])
    run(claims, sweep, f"output={tmp_path}/tables")
    assert {row["slice"] for row in rows_of(tmp_path / "tables" / "claims.csv")} == {"group:high", "group:all"}
    assert "Left out: low (too few queries)." in (tmp_path / "tables" / "claims.md").read_text()
    assert "distant: too few queries" in refusal(claims, sweep, "slices=[distant]")


def test_a_budget_without_the_requested_x_does_not_prevent_the_others(sweep, tmp_path):
    add_budget(sweep, 320, ratios=(0, 1))
    run(claims, sweep, f"output={tmp_path}/tables", "at=[0.5]")
    rows = rows_of(tmp_path / "tables" / "claims.csv")
    assert [(row["total"], row["x"]) for row in rows] == [("80", "0.5")] * 3
    assert "no pair of objectives has ratio 0.3 in common" in refusal(claims, sweep, "at=[0.3]")


def test_the_index_says_which_claims_could_not_be_made(sweep, tmp_path, capsys):
    own = [f"output={tmp_path}/part", "widths.text=null", "fits=false", "at=[0.3]"]
    run(figures, sweep, *own)
    assert not list((tmp_path / "part").glob("claims.*"))
    reason = "Not made: claims: no pair of objectives has ratio 0.3 in common"
    assert reason in (tmp_path / "part" / "index.md").read_text()
    assert reason in capsys.readouterr().out


def test_objectives_with_different_queries_are_refused(sweep, tmp_path):
    for path in sweep.glob("opt*/per_query.parquet"):
        table = pandas.read_parquet(path)
        table[(table["language"] != "near") | (table["query_id"] != "q3")].to_parquet(path, index=False)
    for command in (claims, figures):
        words = refusal(command, sweep)
        assert "contrastive and optical have different queries of near (1 are not shared, such as q3)" in words


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("test=wilcoxon", "test: 'wilcoxon' is not one of"),
        ("margin=0", "margin: 0 is not a number above 0"),
        ("alpha=1", "alpha: 1 is not a number in (0, 1)"),
        ("pairs=[[optical]]", "is not two objectives"),
        ("pairs=optical", "pairs: 'optical' is not a list"),
        ("draws=0", "draws: 0 is not a whole number"),
        ("slices=low", "slices: 'low' is not a list"),
        ("where=low", "where: 'low' is not a mapping"),
    ],
)
@pytest.mark.parametrize("command", [claims, figures])
def test_bad_settings_are_refused_before_reading(command, override, words):
    assert words in refusal(command, "nowhere", override)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("widths=null", "widths: None is not a mapping"),
        ("widths={column: null, text: null}", "has no width; set widths.column"),
        ("widths.column=0", "widths.column"),
        ("widths.text=40", "widths.text: 40 inches is not between 1.5 and 20"),
        ("fits=maybe", "fits: 'maybe' is neither true nor false"),
        ("plans=-1", "plans: -1 is not a whole number"),
    ],
)
def test_bad_figures_are_refused_before_reading(override, words):
    assert words in refusal(figures, "nowhere", override)


@pytest.fixture(scope="module")
def drawn(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    run(figures, finished, f"output={folder}")
    return folder


def test_every_figure_and_table_is_written_and_indexed(drawn):
    names = {path.relative_to(drawn).as_posix() for path in drawn.rglob("*") if path.is_file()}
    pictures = ("groups", "languages", "gains", "gap", "differences", "cost")
    expected = {f"{n}-{w}.{e}" for n in pictures for w in ("column", "text") for e in ("pdf", "png")}
    tables = ("table", "claims", "crossings", "fits", "choices")
    expected |= {f"{name}.{ending}" for name in tables for ending in ("md", "tex", "csv")}
    expected |= {"index.md", "results.csv", "results.parquet"}
    assert names == expected
    index = (drawn / "index.md").read_text()
    linked = set(re.findall(r"\]\(([^)]+)\)", index))
    assert linked == expected - {"index.md"}
    for words in ("MISSING", "Provenance", "13 runs", '"commit": "abc"', "95% t intervals"):
        assert words in index, words


def test_both_commands_test_the_same_pairs_in_the_same_order(drawn, sweep, tmp_path):
    """By default every two objectives in alphabetical order; as given, with the sign of the given order."""
    given = ["pairs=[[optical,contrastive],[optical,none]]", f"output={tmp_path}/given"]
    run(figures, sweep, *given, "widths.text=null", "fits=false", "budgets=false")
    for pairs, figures_folder, first, words in (
        ([], drawn, "contrastive", "Pairs: every two of contrastive, optical (pairs=null)."),
        (given[:1], tmp_path / "given", "optical",
         "Pairs: optical - contrastive, optical - zero-shot (as set by pairs)."),
    ):  # fmt: skip
        run(claims, sweep, f"output={tmp_path}/tables", *pairs)
        for file in (f"{name}.{ending}" for name in ("claims", "crossings") for ending in ("md", "tex", "csv")):
            assert (tmp_path / "tables" / file).read_text() == (figures_folder / file).read_text()
        assert {row["first"] for row in rows_of(figures_folder / "claims.csv")} == {first}
        assert words in (figures_folder / "index.md").read_text()


def test_missing_runs_are_printed_before_the_files(finished, tmp_path, capsys):
    run(
        figures,
        finished,
        f"output={tmp_path}/few",
        "widths.text=null",
        "fits=false",
        "pairs=[]",
        "budgets=false",
    )
    out = capsys.readouterr().out
    assert out.index("MISSING") < out.index("from 13 runs")


def test_figures_are_reproducible_to_the_byte(drawn, finished, tmp_path):
    run(figures, finished, f"output={tmp_path}/two")
    for path in drawn.rglob("*"):
        if path.is_file():
            other = tmp_path / "two" / path.relative_to(drawn)
            assert path.read_bytes() == other.read_bytes(), path.name


def test_figures_have_the_requested_widths(sweep, tmp_path):
    from matplotlib.image import imread

    own = [f"output={tmp_path}/acm", "widths.column=3.33", "widths.text=null", "fits=false", "pairs=[]"]
    run(figures, sweep, *own)
    assert imread(tmp_path / "acm" / "groups-column.png").shape[1] == 999
    assert not list((tmp_path / "acm").glob("*-text.*"))
    assert not list((tmp_path / "acm").glob("fits.*"))


def test_budgets_are_strata_and_an_axis(sweep, tmp_path):
    add_budget(sweep, 320)
    run(figures, sweep, f"output={tmp_path}/more", "widths.text=null", "fits=false")
    folders = {path.name for path in (tmp_path / "more").iterdir() if path.is_dir()}
    assert folders == {"total-80", "total-320", "budgets"}
    assert {path.name for path in (tmp_path / "more" / "budgets").iterdir()} == {
        "ratio-0", "ratio-0.5", "ratio-1",
    }  # fmt: skip
    assert (tmp_path / "more" / "budgets" / "ratio-0.5" / "budgets-column.pdf").exists()
    rows = rows_of(tmp_path / "more" / "claims.csv")
    assert {row["total"] for row in rows} == {"80", "320"}


def test_figures_that_need_missing_runs_are_left_out(sweep, tmp_path, capsys):
    for name in ("opt0s1", "opt1s2"):  # no seed of optical at every ratio
        shutil.rmtree(sweep / name)
    run(figures, sweep, f"output={tmp_path}/part", "widths.text=null", "fits=false")
    names = {path.name for path in (tmp_path / "part").iterdir()}
    assert {"groups-column.pdf", "cost-column.pdf", "table.csv"} <= names
    assert not {"gap-column.pdf", "claims.csv"} & names
    reason = "Not drawn: objective optical: no seed has a run at every ratio"
    assert reason in (tmp_path / "part" / "index.md").read_text()
    assert reason in capsys.readouterr().out


def test_where_keeps_zero_shot_runs_without_a_value():
    rows = [
        ("a", "optical", 80, "small"), ("b", "optical", 320, "small"), ("c", "optical", 80, "large"),
        ("d", "none", None, "small"), ("e", "none", None, "large"),
    ]  # fmt: skip
    table = pandas.DataFrame(rows, columns=["run", "objective", "total", "backbone"])
    assert "".join(select_rows(table, {"total": 80})["run"]) == "acde"
    assert "".join(select_rows(table, {"total": 80, "backbone": "small"})["run"]) == "ad"
    assert "".join(select_rows(table, None)["run"]) == "abcde"
    with pytest.raises(UserError, match="where: no run of total 90; the runs have: 80"):
        select_rows(table, {"total": 90})


def test_perturbed_queries_and_stored_plans_are_drawn(sweep, tmp_path):
    for path in sweep.glob("*/record.json"):
        record = json.loads(path.read_text())
        table = pandas.read_parquet(path.with_name("per_query.parquet"))
        tables = [table]
        for level in (0.1, 0.3):
            name = f"test+typing@{level}"
            record["measures"][name] = {
                measure: {slice: (1 - level) * value for slice, value in of.items()}
                for measure, of in record["measures"]["test"].items()
            }
            tables.append(table.assign(split=name, value=(1 - level) * table["value"]))
        path.write_text(json.dumps(record))
        pandas.concat(tables).to_parquet(path.with_name("per_query.parquet"), index=False)
    plan = KeptPlan([[0.4, 0.1], [0.0, 0.5]], ["Haus", "rot"], ["house", "red"], "Haus rot")
    for name in ("a", "b"):
        write_plan(sweep / "opt0s1" / "inspect" / f"{name}.plan.json", plan)
    own = [f"output={tmp_path}/more", "widths.text=null", "fits=false", "pairs=[]"]
    run(figures, sweep, *own)
    names = {path.name for path in (tmp_path / "more").iterdir()}
    assert {"robustness-column.pdf", "robustness-table.tex", "plan-1-column.png"} <= names
    assert "plan-2-column.png" not in names
    rows = rows_of(tmp_path / "more" / "robustness-table.csv")
    assert {(row["perturbation"], row["level"]) for row in rows} == {("typing", "0.1"), ("typing", "0.3")}
    for row in rows:
        assert float(row["loss"]) == pytest.approx(float(row["level"]) * float(row["clean"]))
    assert "Transport plan of opt0s1: Haus rot" in (tmp_path / "more" / "index.md").read_text()
