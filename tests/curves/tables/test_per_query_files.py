"""Per-query files of many runs are read and sorted as pandas would."""

from pathlib import Path

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.curves.tables.per_query_files import KEYS, read_per_query, stacked

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["dev", "test", "test+typing@0.1"]),
        st.sampled_from(["ar", "de"]),
        st.sampled_from(["MRR@10", "nDCG@10"]),
        st.sampled_from(["q1", "q10", "q2", "é", "z"]),
    ),
    unique=True,
    max_size=12,
)


@settings(max_examples=30)
@given(st.lists(ROWS, min_size=1, max_size=4), st.permutations(["run-b", "run-a", "run-10", "run-9"]))
def test_rows_equal_those_of_pandas(tmp_path_factory: pytest.TempPathFactory, files, names) -> None:
    folder = tmp_path_factory.mktemp("runs")
    tables, frames = [], []
    for name, rows in zip(names, files, strict=False):
        frame = pandas.DataFrame(rows, columns=list(KEYS), dtype=str)
        frame["value"] = np.arange(len(rows), dtype=float)
        frame.to_parquet(folder / name, index=False)
        tables.append(read_per_query(folder / name, ["test"], ["nDCG@10"]))
        kept = frame[(frame["split"] == "test") & (frame["measure"] == "nDCG@10")]
        frames.append(kept.assign(run=name, ratio=0.5))
    facts = pandas.DataFrame({"run": names[: len(files)], "ratio": 0.5})
    found = stacked(tables, facts)
    expected = pandas.concat(frames).sort_values(["run", *KEYS], ignore_index=True)[list(found.columns)]
    pandas.testing.assert_frame_equal(found, expected, check_dtype=bool(len(expected)))


def test_numeric_keys_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "numbers.parquet"
    frame = pandas.DataFrame(
        {"split": "test", "language": "ar", "measure": "nDCG@10", "query_id": [7, 3], "value": [0.1, 0.2]}
    )
    frame.to_parquet(path, index=False)
    found = stacked([read_per_query(path, ["test"], ["nDCG@10"])], pandas.DataFrame({"run": ["a"]}))
    assert found["query_id"].tolist() == [3, 7]
    assert found["value"].tolist() == [0.2, 0.1]
    assert len(read_per_query(path, ["dev"], ["nDCG@10"])) == 0
