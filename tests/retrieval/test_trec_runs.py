"""TREC run files: order in our reader and in others, and malformed lines."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.errors import UserError
from optical_sweeps.retrieval import trec_runs
from optical_sweeps.retrieval.trec_runs import RetrievalRun, _lines, read_run, strictly_decreasing, write_run

SCORES = st.sampled_from([0.0, -0.0, 1.0, 0.1, -3.25, 1e-45, -1e-45, 1e-38, 1e30]) | st.floats(
    min_value=-(2.0**100), max_value=2.0**100, width=32
)
IDS = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=4)


def run_of(rankings: dict[str, dict[str, float]]) -> RetrievalRun:
    ordered = {
        query: sorted(ranking.items(), key=lambda pair: (-np.float32(pair[1]), pair[0]))
        for query, ranking in rankings.items()
    }
    return RetrievalRun(
        tuple(ordered),
        tuple(tuple(document for document, _ in pairs) for pairs in ordered.values()),
        tuple(np.array([score for _, score in pairs], np.float32) for pairs in ordered.values()),
    )


RANKINGS = st.dictionaries(IDS, st.dictionaries(IDS, SCORES, min_size=1, max_size=8), max_size=4)
EXAMPLE = run_of({"q1": {"d2": 1.0, "d10": 1.0, "d1": 0.5}, "q2": {"a": 2.0}})


@settings(deadline=None)
@given(RANKINGS, st.sampled_from(["run.trec", "run.trec.gz"]))
def test_a_file_preserves_the_order(tmp_path_factory, rankings, name):
    run = run_of(rankings)
    path = tmp_path_factory.mktemp("runs") / name
    write_run(run, path)
    again = read_run(path)
    assert again.query_ids == run.query_ids
    assert again.documents == run.documents
    for before, after in zip(run.scores, again.scores, strict=True):
        assert np.array_equal(after, strictly_decreasing(before))
    write_run(again, path.with_name(f"again-{name}"))
    assert path.read_bytes() == path.with_name(f"again-{name}").read_bytes()


CHANGES = ("none", "blank", "tab", "other order", "twice", "nan", "a column fewer, another more")


@settings(deadline=None)
@given(RANKINGS, st.sampled_from(CHANGES), st.randoms(use_true_random=False))
def test_files_are_read_whole_as_line_by_line(tmp_path_factory, rankings, change, random):
    """Files that `write_run` wrote are read at once, all others line by line."""
    path = tmp_path_factory.mktemp("runs") / "run.trec"
    write_run(run_of(rankings), path)
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    if change == "other order":
        random.shuffle(lines)
    elif lines and change != "none":
        number = random.randrange(len(lines))
        query, rest = lines[number].split(" ", 1)
        changed = {
            "blank": f"{query}  {rest}", "tab": f"{query}\t{rest}", "nan": f"{query} Q0 d 1 nan t",
            "twice": f"{lines[number]}\n{lines[number]}",
        }  # fmt: skip
        lines[number] = changed.get(change, f"{query}\n{rest} {rest}")
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    outcomes = []
    for whole in (trec_runs._ranked_run, lambda text: None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trec_runs, "_ranked_run", whole)
            try:
                run = read_run(path)
                outcomes.append((run.query_ids, run.documents, [scores.tolist() for scores in run.scores]))
            except UserError as error:
                outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
    if change == "none" and lines:
        assert trec_runs._ranked_run(path.read_text(encoding="utf-8")) is not None


@settings(deadline=None)
@given(RANKINGS)
def test_trec_eval_sees_our_order_of_ties(tmp_path_factory, rankings):
    """trec_eval reads scores in single precision and breaks ties by id, descending."""
    run = run_of(rankings)
    path = tmp_path_factory.mktemp("runs") / "run.trec"
    write_run(run, path)
    with path.open(encoding="utf-8") as lines:
        parsed = pytrec_eval.parse_run(lines)
    for query, documents in zip(run.query_ids, run.documents, strict=True):
        scores = parsed[query]
        theirs = sorted(sorted(scores, reverse=True), key=lambda document: -np.float32(scores[document]))
        assert tuple(theirs) == documents


@given(st.lists(SCORES, max_size=30))
def test_strictly_decreasing_lowers_only_ties(values):
    scores = np.sort(np.array(values, np.float32))[::-1]
    strict = strictly_decreasing(scores)
    normal = np.where(np.abs(scores) < np.finfo(np.float32).tiny, np.float32(0), scores)
    assert (np.diff(strict) < 0).all()
    assert (strict <= normal).all()
    if (np.diff(normal) < 0).all():
        assert np.array_equal(strict, normal)


def test_lines_of_a_file():
    lines = b"".join(_lines(EXAMPLE, "t"))
    assert lines.decode().splitlines() == [
        "q1 Q0 d10 1 1 t",
        "q1 Q0 d2 2 0.99999994 t",
        "q1 Q0 d1 3 0.5 t",
        "q2 Q0 a 1 2 t",
    ]


def test_gzip_bytes_do_not_depend_on_time_or_name(tmp_path):
    write_run(EXAMPLE, tmp_path / "one.trec.gz")
    write_run(EXAMPLE, tmp_path / "two.trec.gz")
    one = (tmp_path / "one.trec.gz").read_bytes()
    assert one == (tmp_path / "two.trec.gz").read_bytes()
    assert one[4:8] == b"\0\0\0\0"


def test_the_reader_ranks_by_score_and_not_by_line_or_rank(tmp_path):
    path = tmp_path / "run.trec"
    path.write_text("q Q0 b 1 0.5 x\nq\tQ0\tc 2 0.75  x\nq Q0 a 3 0.5 x\n")
    run = read_run(path)
    assert run.documents == (("c", "a", "b"),)
    assert run.scores[0].tolist() == [0.75, 0.5, 0.5]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q Q0 d 1 0.5", "5 columns instead of 6"),
        ("", "0 columns instead of 6"),
        ("q Q0 d 1 0.5 my run", "7 columns instead of 6"),
        ("q Q0 d 1 high x", "score high is not a finite number"),
        ("q Q0 d 1 nan x", "score nan is not a finite number"),
        ("q Q0 d 1 -inf x", "score -inf is not a finite number"),
        ("q Q0 d 1 1e39 x", "score 1e39 is not a finite number"),
        ("q Q0 first 1 0.1 x", "document first occurs twice for query q"),
    ],
)
@pytest.mark.parametrize("name", ["run.trec", "run.trec.gz"])
def test_a_malformed_line_is_reported_with_its_number(tmp_path, line, message, name):
    content = f"q Q0 first 1 0.9 x\n{line}\nq Q0 last 1 0.1 x\n".encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(UserError) as error:
        read_run(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path / name}:2: {message}")


def test_unreadable_files_are_reported_in_one_line(tmp_path):
    write_run(EXAMPLE, tmp_path / "run.trec.gz")
    whole = (tmp_path / "run.trec.gz").read_bytes()
    (tmp_path / "cut.trec.gz").write_bytes(whole[:-12])
    (tmp_path / "plain.trec.gz").write_bytes(b"q Q0 d 1 1 x\n")
    (tmp_path / "spoilt.trec.gz").write_bytes(whole[:14] + bytes(20) + whole[34:])
    (tmp_path / "latin.trec").write_bytes(b"q Q0 d\xe9 1 1 x\n")
    for name, message in [
        ("cut.trec.gz", "damaged gzip"),
        ("plain.trec.gz", "damaged gzip"),
        ("spoilt.trec.gz", "spoilt"),
        ("latin.trec", "not UTF-8"),
        ("none.trec", "no such run file"),
    ]:
        with pytest.raises(UserError, match=message) as error:
            read_run(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["run.trec", "run.trec.gz"])
def test_the_line_that_cannot_be_decoded_is_named(tmp_path, name):
    lines = b"".join(b"q Q0 d%d %d %f t\n" % (number, number, 1 / (number + 1)) for number in range(3000))
    content = lines + b"q Q0 \xff 1 0.0001 t\n"
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(UserError, match=r":3001: not UTF-8"):
        read_run(tmp_path / name)


def test_a_failed_write_keeps_the_existing_file(tmp_path):
    path = tmp_path / "run.trec"
    write_run(EXAMPLE, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="'a b' is empty or contains white space"):
        write_run(run_of({"q": {"a b": 1.0}}), path)
    with pytest.raises(ValueError, match="run tag"):
        write_run(EXAMPLE, path, tag="my run")
    with pytest.raises(UnicodeEncodeError):
        write_run(run_of({"q": {"\ud800": 1.0}}), path)
    assert path.read_bytes() == before
    assert [item.name for item in Path(tmp_path).iterdir()] == ["run.trec"]


@pytest.mark.parametrize(
    ("documents", "scores", "message"),
    [
        (("a", "b"), [1.0], "2 documents but 1 scores"),
        (("a", "a"), [2.0, 1.0], "a document occurs twice"),
        (("a", "b"), [1.0, 2.0], "descending"),
        (("b", "a"), [1.0, 1.0], "not in the order of ids"),
        (("a",), [float("nan")], "not finite"),
        (("a",), [float("-inf")], "not finite"),
    ],
)
def test_invalid_rankings_are_refused(documents, scores, message):
    with pytest.raises(ValueError, match=message):
        RetrievalRun(("q",), (documents,), (np.array(scores, np.float32),))


def test_duplicate_queries_are_refused():
    empty = np.empty(0, np.float32)
    with pytest.raises(ValueError, match="twice"):
        RetrievalRun(("q", "q"), ((), ()), (empty, empty))
