"""Gold alignments in the Pharaoh format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.corpora.readers.alignments import GoldAlignment, read_alignments
from optical_sweeps.errors import UserError

links = st.frozensets(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8)


@given(st.lists(st.tuples(links, links), min_size=1, max_size=5))
def test_links_are_read_as_written(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("gold") / "fi.txt"
    lines = [
        " ".join([*(f"{i}-{j}" for i, j in sorted(sure)), *(f"{i}p{j}" for i, j in sorted(possible))])
        for sure, possible in pairs
    ]
    path.write_text("\n".join(lines) + "\n")
    assert list(read_alignments(path)) == [GoldAlignment(sure, possible - sure) for sure, possible in pairs]


@pytest.mark.parametrize("line", ["0", "0-", "-1-2", "0 - 1", "a-b", "0-1,2-3", "0–1"])
def test_a_word_that_is_not_a_link_is_named(tmp_path, line):
    path = tmp_path / "fi.txt"
    path.write_text(f"0-0\n{line}\n")
    with pytest.raises(UserError, match=r"fi\.txt:2: .* is not a link; write links as"):
        list(read_alignments(path))
