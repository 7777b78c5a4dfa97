"""Packed per-query scores are restored up to the rounding."""

import base64
import json
import zlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from optical_sweeps.report.query_scores import ABSENT, STEPS, QueryScores, packed, quantised

TABLES = arrays.arrays(
    float,
    st.tuples(st.integers(1, 6), st.integers(1, 8)),
    elements=st.one_of(st.floats(0, 1), st.just(float("nan"))),
)


def _scores(values) -> QueryScores:
    runs, queries = values.shape
    return QueryScores(
        tuple(f"r{n}" for n in range(runs)), tuple(("ar", f"q{n}") for n in range(queries)), values
    )


def _unpacked(pack) -> np.ndarray:
    flat = np.frombuffer(zlib.decompress(base64.b64decode(pack["rows"])), dtype=np.uint8)
    return flat.reshape(-1, pack["count"]).T[list(pack["runs"].values())]


@settings(deadline=None)
@given(TABLES)
def test_scores_are_restored(values):
    pack, left_out = packed(_scores(values), {}, room=10**6)
    bytes_ = _unpacked(pack)
    assert not left_out
    assert ((bytes_ == ABSENT) == np.isnan(values)).all()
    known = ~np.isnan(values)
    assert (np.abs(bytes_[known] / STEPS - values[known]) <= 0.5 / STEPS + 1e-12).all()


def test_equal_runs_share_a_row():
    pack, _ = packed(_scores(np.tile([[0.2, 0.7]], (5, 1))), {}, room=10**6)
    assert pack["count"] == 1


def test_texts_are_packed_with_their_queries():
    texts = {("ar", "q0"): ("<script>", "x" * 1000)}
    pack, _ = packed(_scores(np.array([[0.5, 1.0]])), texts, room=10**6)
    rows = json.loads(zlib.decompress(base64.b64decode(pack["texts"])))["ar"]
    assert rows[0][:2] == ["q0", "<script>"]
    assert len(rows[0][2]) == 200
    assert rows[1] == ["q1"]


def test_scores_that_do_not_fit_are_sampled_and_reported():
    values = np.random.default_rng(0).random((20, 2000))
    pack, left_out = packed(_scores(values), {}, room=20_000)
    assert len(pack["rows"]) + len(pack["texts"]) <= 20_000
    (line,) = left_out
    kept = _unpacked(pack).shape[1]
    assert f"{kept:,} of 2,000 queries" in line
    ids = [row[0] for row in json.loads(zlib.decompress(base64.b64decode(pack["texts"])))["ar"]]
    places = [int(name[1:]) for name in ids]
    assert (_unpacked(pack) == quantised(values[:, places])).all()
