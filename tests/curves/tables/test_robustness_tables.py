"""Losses under perturbation: from tidy tables to a table and a figure."""

import csv
import io
import math

import pandas
import pytest

from optical_sweeps.curves.figures.robustness_figure import draw_robustness
from optical_sweeps.curves.tables.paper_table import Marked
from optical_sweeps.curves.tables.result_tables import COLUMNS, per_query_table, result_table
from optical_sweeps.curves.tables.robustness_differences import (
    robustness_differences,
    robustness_differences_table,
)
from optical_sweeps.curves.tables.robustness_tables import (
    perturbed_splits,
    robustness_paper_table,
    robustness_summary,
    robustness_table,
)
from optical_sweeps.errors import UserError
from optical_sweeps.tracking.run_log import RunLog

GROUPS = {"high": ("ru",), "low": ("ar", "sw"), "all": ("ru", "ar", "sw")}
LABELS = ("typing@0.1", "typing@0.2", "truncation@0.5")
QUERIES = 6


def value(language: str, query: int, split: str, objective: str, seed: int) -> float:
    """A score; perturbed scores are lower, most of all in ar, and twice as much under contrastive."""
    clean = 0.6 + 0.02 * query - 0.1 * (language != "ru")
    if "@" not in split:
        return clean
    level = float(split.split("@")[1])
    lost = level * {"ru": 0.2, "ar": 0.8, "sw": 0.4}[language] * (2 if objective == "contrastive" else 1)
    return clean - lost * (1 + 0.1 * (query - 2.5)) - 0.01 * seed


@pytest.fixture
def study(tmp_path):
    """Runs of 2 objectives x 2 seeds and zero-shot, with per-query files; their table, and theirs by query."""

    def make(labels=LABELS) -> tuple[pandas.DataFrame, pandas.DataFrame]:
        runs = []
        for objective, seed in (
            ("optical", 1),
            ("optical", 2),
            ("contrastive", 1),
            ("contrastive", 2),
            ("none", 0),
        ):
            rows = [
                (
                    split,
                    language,
                    f"{language}-{query}",
                    "nDCG@10",
                    value(language, query, split, objective, seed),
                )
                for split in ("test", *(f"test+{label}" for label in labels))
                for language in GROUPS["all"]
                for query in range(QUERIES)
            ]
            table = pandas.DataFrame(rows, columns=["split", "language", "query_id", "measure", "value"])
            path = tmp_path / f"{objective}{seed}.parquet"
            table.to_parquet(path)
            means = table.groupby(["split", "language"])["value"].mean()
            summary = {f"{split}/nDCG@10/{language}": mean for (split, language), mean in means.items()}
            for split in table["split"].unique():
                for group, members in GROUPS.items():
                    of_group = sum(means[split, one] for one in members) / len(members)
                    summary[f"{split}/nDCG@10/group:{group}"] = of_group
            config = {
                "objective": {"name": objective}, "mixture": {"name": "fixed_total", "ratio": 0.5, "total": 80},
                "seed": seed, "data": {"name": "tydiqa"}, "backbone": {"name": "tiny"},
            }  # fmt: skip
            files = {"per_query.parquet": path}
            runs.append(
                RunLog(f"{objective}{seed}", config, summary, files=files, group="study", complete=True)
            )
        results = result_table(runs)
        return results, per_query_table(runs, splits=["test", *perturbed_splits(results)])

    return make


def test_losses_are_paired_with_the_same_run(study):
    results, per_query = study()
    frame = robustness_table(results, per_query, GROUPS)
    assert len(frame) == 3 * len(LABELS) * 6
    (row,) = frame[
        (frame["objective"] == "contrastive") & (frame["slice"] == "ar") & (frame["level"] == 0.2)
    ].itertuples()
    assert row.split == "test"
    assert row.perturbation == "typing"
    assert row.loss == pytest.approx(0.2 * 0.8 * 2 + 0.015)
    assert row.relative == pytest.approx(row.loss / row.clean)
    assert row.sd_seeds == pytest.approx(0.01 / math.sqrt(2))
    assert row.runs == 2
    by_query = [0.32 * (1 + 0.1 * (query - 2.5)) for query in range(QUERIES)]
    assert row.error == pytest.approx(pandas.Series(by_query).std() / math.sqrt(QUERIES))
    zero_shot = frame[frame["objective"] == "none"]
    assert zero_shot["sd_seeds"].isna().all()
    assert (zero_shot["runs"] == 1).all()


def test_without_per_query_scores_there_are_losses_but_no_errors(study):
    results, per_query = study()
    with_queries, without = robustness_table(results, per_query, GROUPS), robustness_table(results)
    assert without["error"].isna().all()
    pandas.testing.assert_frame_equal(with_queries.drop(columns="error"), without.drop(columns="error"))


def test_runs_with_equal_settings_are_refused(study):
    """A plain and a code-switched run of one objective are not seeds of each other."""
    results, _ = study()
    other = results[results["run"] == "optical1"].assign(run="switched1")
    with pytest.raises(UserError, match="runs optical1 and switched1 have the same settings and seed"):
        robustness_table(pandas.concat([results, other], ignore_index=True))


def test_the_order_of_rows_has_no_effect(study):
    results, per_query = study()
    shuffled = robustness_table(
        results.sample(frac=1, random_state=1), per_query.sample(frac=1, random_state=2), GROUPS
    )
    pandas.testing.assert_frame_equal(robustness_table(results, per_query, GROUPS), shuffled)


def test_the_summary_names_the_worst_language_and_the_gap(study):
    frame = robustness_table(*study(), GROUPS)
    summary = robustness_summary(frame)
    (row,) = summary[(summary["objective"] == "optical") & (summary["level"] == 0.1)].itertuples()
    assert row.worst_language == "ar"
    assert row.worst_loss == pytest.approx(0.08 + 0.015)
    assert row.gap_clean == pytest.approx(0.1)
    assert row.gap_perturbed == pytest.approx(0.1 + 0.06 - 0.02)
    assert row.sd_languages == pytest.approx(pandas.Series([0.02, 0.08, 0.04]).std())


def test_a_paper_table(study):
    frame = robustness_table(*study(), GROUPS)
    table = robustness_paper_table(frame)
    assert len(table.rows) == 9
    assert table.header[:3] == ("perturbation", "level", "objective")
    text = table.render("markdown")
    assert "| truncation | 0.5 | optical |" in text
    assert "ar 41.50" in text  # .5 * .8 + .015
    assert r"\toprule" in table.render("latex")
    rows = list(csv.DictReader(io.StringIO(table.render("csv"))))
    assert {row["worst_language"] for row in rows} == {"ar"}
    assert {row["perturbation"] for row in rows} == {"typing", "truncation"}


def test_a_study_without_perturbations_has_no_rows_and_no_figure(study, tmp_path):
    frame = robustness_table(*study(()), GROUPS)
    assert frame.empty
    assert set(COLUMNS) - {"seed"} <= set(frame.columns)
    assert draw_robustness(frame, tmp_path / "figure") == []
    assert robustness_paper_table(frame).rows == ()


@pytest.mark.parametrize("width", ["column", "page", 3.03])
def test_equal_data_give_equal_bytes(study, tmp_path, width):
    frame = robustness_table(*study(), GROUPS)
    first = draw_robustness(frame, tmp_path / "a", width)
    second = draw_robustness(frame, tmp_path / "b", width)
    assert [path.suffix for path in first] == [".pdf", ".png"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_differences_of_losses_are_paired_by_query_and_seed(study):
    """contrastive loses twice as much as optical, so the difference is the loss of optical."""
    _, per_query = study()
    frame = robustness_differences(per_query, GROUPS)
    assert len(frame) == len(LABELS) * len(GROUPS)
    (row,) = frame[(frame["level"] == 0.2) & (frame["slice"] == "group:low")].itertuples()
    assert (row.first, row.second, row.seeds) == ("contrastive", "optical", 2)
    assert row.difference == pytest.approx(0.2 * (0.8 + 0.4) / 2)
    by_query = {
        language: pandas.Series([0.2 * share * (1 + 0.1 * (query - 2.5)) for query in range(QUERIES)])
        for language, share in (("ar", 0.8), ("sw", 0.4))
    }
    # the ids of the two languages differ, so 12 ids are drawn
    squares = sum((((one - one.mean()) / (2 * QUERIES)) ** 2).sum() for one in by_query.values())
    error = math.sqrt(squares * 12 / 11)
    assert row.high - row.difference == pytest.approx(1.96 * error)
    assert row.p == pytest.approx(math.erfc(row.difference / error / math.sqrt(2)))
    assert frame["p_holm"].max() <= 1
    assert (frame["p_holm"] >= frame["p"]).all()


def test_a_chosen_pair_turns_the_sign(study):
    _, per_query = study()
    frame = robustness_differences(per_query, GROUPS)
    turned = robustness_differences(per_query, GROUPS, [("optical", "contrastive")])
    assert turned["difference"].tolist() == pytest.approx((-frame["difference"]).tolist())
    table = robustness_differences_table(turned)
    assert [cell.verdict for row in table.rows for cell in row if isinstance(cell, Marked)] == ["lower"] * 9
    assert "| typing | 0.1 | optical - contrastive | high | −2.00 ▼ |" in table.render("markdown")


def test_seeds_of_one_objective_alone_are_not_compared(study):
    _, per_query = study()
    fewer = per_query[~((per_query["objective"] == "optical") & (per_query["seed"] == 2))]
    assert set(robustness_differences(fewer, GROUPS)["seeds"]) == {1}


def test_equal_losses_have_no_difference(study):
    """An effect that is absent, such as transliteration of Latin text, is no certain difference."""
    _, per_query = study()
    one = per_query[per_query["objective"] == "optical"]
    both = pandas.concat([one, one.assign(objective="other", run=one["run"] + "b")], ignore_index=True)
    frame = robustness_differences(both, GROUPS)
    assert frame["difference"].abs().max() < 1e-12
    assert (frame["p_holm"] == 1).all()
    assert robustness_differences_table(robustness_differences(study(())[1], GROUPS)).rows == ()
