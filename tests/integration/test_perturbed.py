"""A run with perturbed test queries: what it writes, that every source says the same, and a look inside it."""

import json
import shutil

import pandas
import pytest

from optical_sweeps.curves.tables.result_tables import per_query_table, result_table
from optical_sweeps.curves.tables.robustness_tables import perturbed_splits, robustness_table
from optical_sweeps.sweeps.grid import Grid, GridPoint
from optical_sweeps.tracking.sources import disagreements, read_offline, read_records
from tests.support.command_line import TRAIN

LABELS = ("typing@0.2", "code_switching@1", "word_order@1")
SPLITS = tuple(f"test+{label}" for label in LABELS)


@pytest.fixture(scope="module")
def run(study, here):
    """A finished run of the small study, and the folder of its sweep."""
    labels = ",".join(LABELS)
    done = here(study, *TRAIN, f"evaluation.perturbations=[{labels}]")
    assert done.code == 0, done.err
    (folder,) = (path.parent for path in (study / "multirun" / "small").glob("*/record.json"))
    return folder


def test_every_place_holds_the_perturbed_scores(run):
    record = json.loads((run / "record.json").read_text())
    assert list(record["measures"]) == ["dev", "test", *SPLITS]
    slices = {"near", "shifted", "fusing", "distant", "group:high", "group:low", "group:all"}
    assert all(set(record["measures"][split]["nDCG@10"]) == slices for split in SPLITS)
    assert record["changed"]["test+code_switching@1"]["near"] > 0.2
    assert all((run / "runs" / f"{split}.distant.trec.gz").exists() for split in SPLITS)
    queries = pandas.read_parquet(run / "per_query.parquet")
    assert set(queries["split"]) == {"dev", "test", *SPLITS}
    means = queries.groupby(["split", "measure", "language"])["value"].mean()
    for split in SPLITS:
        assert means[split, "nDCG@10", "near"] == pytest.approx(record["measures"][split]["nDCG@10"]["near"])
    assert record["measures"]["test+word_order@1"] != record["measures"]["test"]


def test_logs_and_records_give_the_same_table(run):
    logs, records = read_offline(run.parent), read_records(run.parent)
    assert disagreements(logs, records) == []
    results = result_table(logs)
    pandas.testing.assert_frame_equal(results, result_table(records))
    assert perturbed_splits(results) == sorted(SPLITS)
    splits = ["test", *SPLITS]
    frames = [
        robustness_table(result_table(runs), per_query_table(runs, splits=splits)) for runs in (logs, records)
    ]
    pandas.testing.assert_frame_equal(*frames)
    assert len(frames[0]) == 3 * 4 * 7


def test_verify_derives_the_perturbed_scores(run, here, tmp_path):
    shutil.copytree(run.parent, tmp_path / "small")
    Grid(tmp_path / "small", (GridPoint(("objective=optical",), run.name, "optical"),)).save()
    done = here(tmp_path, "verify", str(tmp_path / "small"), "--json")
    assert done.code == 0, done.out
    said = json.loads(done.out)
    assert set(said["counts"]) == {"OK"}
    derived = {cell["score"] for cell in said["cells"] if cell["beside"] == "W&B log"}
    assert "test+typing@0.2/nDCG@10/group:low" in derived


def test_the_same_changes_are_made_when_the_run_is_evaluated_again(run, here, study):
    done = here(study, "evaluate", str(run), f"output={study}/again")
    assert done.code == 0, done.err
    assert "test+word_order@1" in done.out
    again, first = (pandas.read_parquet(folder / "per_query.parquet") for folder in (study / "again", run))
    first = first[first["split"] != "dev"].reset_index(drop=True)
    pandas.testing.assert_frame_equal(again, first)


def test_a_run_without_perturbations_is_the_run_it_was(study, here):
    """The same folder whether the settings are named or not: ids of earlier runs stand."""
    plain = here(study, *TRAIN, "--cfg", "job", "--resolve")
    assert "perturbations: []" in plain.out
    ids = [
        here(study, "sweep", "plan", *TRAIN[1:], *more, "--json").out
        for more in ((), ("evaluation.perturbations=[]", "evaluation.perturbation_seed=0"))
    ]
    runs = [[point["run"] for point in json.loads(text)["runs"]] for text in ids]
    assert runs[0] == runs[1] != []


# ----------------------------------------------------------------------------------------------- inspect


def test_the_plan_of_a_row(run, here, study):
    done = here(study, "inspect", str(run), "language=distant", "row=3")
    assert done.code == 0, done.err
    kept = json.loads((run / "inspect" / "distant-3.plan.json").read_text())
    assert len(kept["plan"]) == len(kept["student_tokens"])
    assert sum(map(sum, kept["plan"])) == pytest.approx(1, abs=1e-4)
    assert (run / "inspect" / "distant-3.png").stat().st_size > 5000
    assert (run / "inspect" / "distant-3.pdf").exists()


def test_the_plan_of_any_pair(run, here, study, tmp_path):
    done = here(
        study, "inspect", str(run), "--pair", "привет мир", "--english", "hello world",
        "transport@solver=exact",
        f"output={tmp_path}",
    )  # fmt: skip
    assert done.code == 0, done.err
    (path,) = tmp_path.glob("pair-*.plan.json")
    kept = json.loads(path.read_text())
    for side, text in (("student_tokens", "привет мир"), ("teacher_tokens", "hello world")):
        assert all(token in text or token == "\u2581" for token in kept[side]), kept[side]
        assert set("".join(kept[side])) - {"\u2581"} == set(text) - {" "}


def test_a_checkpoint_reads_both_sides(run, here, study, tmp_path):
    (encoder,) = (study / "artifacts" / "teacher").glob("*/encoder")
    done = here(
        study, "inspect", f"checkpoint={encoder}", "data=synthetic", "language=near", "row=0",
        f"output={tmp_path}",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert (tmp_path / "near-0.pdf").exists()


def test_alignment_error_and_report(run, here, study, tmp_path):
    done = here(study, "inspect", str(run), "alignment=true", "report=true", "pairs=20", f"output={tmp_path}")
    assert done.code == 0, done.err
    alignment = pandas.read_csv(tmp_path / "alignment.csv")
    assert list(alignment["language"]) == ["near", "shifted", "fusing", "distant"]
    assert alignment["student"].between(0, 1).all()
    assert (alignment["pairs"] == 20).all()
    report = pandas.read_csv(tmp_path / "encoder.csv")
    assert len(report) == 5
    assert report["mean_cosine"].between(-1, 1).all()
    assert (report["norm_mean"] > 0).all()
    assert (tmp_path / "spectra.pdf").exists()


def test_a_gold_file_counts_as_the_corpus_s_own_alignments(run, here, study, tmp_path):
    from optical_sweeps.runs.spec.corpus_section import corpus_of

    corpus = corpus_of(json.loads((run / "record.json").read_text())["config"]["data"])
    lines = [" ".join(f"{i}-{j}" for i, j in sorted(links)) for links in corpus.alignments("near")]
    (tmp_path / "near.txt").write_text("\n".join(lines) + "\n")
    asked = ("inspect", str(run), "alignment=true", "language=near", "pairs=30")
    for name, more in (("own", ()), ("file", (f"gold='{tmp_path}/{{language}}.txt'",))):
        done = here(study, *asked, f"output={tmp_path}/{name}", *more)
        assert done.code == 0, done.err
    own, file = (pandas.read_csv(tmp_path / name / "alignment.csv") for name in ("own", "file"))
    pandas.testing.assert_frame_equal(own, file)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to inspect"),
        (("--pair", "a"), "--pair, --english: give both"),
        (("row=1",), "language: no value"),
        (("row=1", "language=xx"), "language: 'xx' is not one of near"),
        (("row=999", "language=near"), "row: 999, but the bitext of near has 80 pairs"),
        (("alignment=true", "share=0"), "share: 0 is not a number in (0, 1]"),
        (("alignment=true", "gold=none.txt"), "gold: 'none.txt' has no {language}"),
        (("alignment=true", "gold='none.{language}.txt'"), "gold: there is no file /"),
    ],
)
def test_what_cannot_be_looked_at_is_said_in_one_line(run, here, study, arguments, message):
    done = here(study, "inspect", str(run), *arguments)
    assert done.code == 1
    assert done.err.startswith(f"error: {message}")
    assert len(done.err.splitlines()) == 1


def test_a_gold_file_of_another_bitext_is_refused(run, here, study, tmp_path):
    path = tmp_path / "near.txt"
    asked = ("inspect", str(run), "alignment=true", "language=near", f"gold='{tmp_path}/{{language}}.txt'")
    for text, message in (
        ("0-0\n", "1 lines for the 80 pairs of near's bitext"),
        ("0-0 1+1\n", "'1+1' is not a link"),
        ("0-99\n" * 80, "a link beyond the pair's"),
    ):
        path.write_text(text)
        done = here(study, *asked)
        assert done.code == 1
        assert message in done.err
