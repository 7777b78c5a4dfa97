"""A reader that ends first, such as `head`, ends a command quietly."""

import pytest

from tests.support.command_line import with_closed_output
from tests.support.finished_sweeps import write_sweep

BY_SIGNAL = (141, "")
"""The exit code of a program that SIGPIPE ends, and no traceback."""


@pytest.mark.parametrize(
    "line", ["--help", "train --help", "curves --help", "search --help", "train --cfg job", "search --cfg job"]
)
def test_help_and_configs_end_quietly(line, tmp_path):
    assert with_closed_output(tmp_path, *line.split()) == BY_SIGNAL


def test_the_status_of_a_sweep_ends_quietly(tmp_path):
    write_sweep(tmp_path / "sweep")
    code, err = with_closed_output(tmp_path, "sweep", "status", "sweep")
    assert (code in (1, 141), err) == (True, "")
    code, err = with_closed_output(tmp_path, "sweep", "status", "sweep", "--json")
    assert (code in (1, 141), err) == (True, "")


def test_an_error_ends_quietly_if_its_reader_has_left(tmp_path):
    assert with_closed_output(tmp_path, "frob", both=True) == BY_SIGNAL
