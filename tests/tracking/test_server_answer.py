"""Servers that do not answer, and the line for users who wait."""

import socket
import threading
from collections.abc import Iterator

import pytest

from optical_sweeps.console import echo, json_alone
from optical_sweeps.tracking.server_answer import announced_wait, no_answer_reason
from tests.support.wandb_server import Fault, WandbServer


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_reasons(silent: str) -> None:
    with WandbServer() as server:
        assert no_answer_reason(server.url) is None  # it refuses a request without a key: an answer
        server.inject(Fault("root", status=503))
        assert no_answer_reason(server.url) == "HTTP 503"
        server.heal()
        server.inject(Fault("root", disconnect="before"))
        assert "without response" in str(no_answer_reason(server.url))
        url = server.url
    assert no_answer_reason(url) == "Connection refused"
    assert no_answer_reason(silent, timeout=0.2) == "no answer within 0.2 s"
    assert no_answer_reason("no address") is not None


def test_a_long_wait_is_announced_once_with_the_reason() -> None:
    with WandbServer() as server:
        url = server.url
    told, announced = [], threading.Event()
    with announced_wait(url, 30.0, lambda line: (told.append(line), announced.set()), 0.0):  # type: ignore[func-returns-value]
        assert announced.wait(60)
    assert [line.partition("; retrying")[0] for line in told] == [
        f"W&B does not answer at {url} (Connection refused)"
    ]


def test_with_json_the_line_is_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with WandbServer() as server:
        url = server.url
    announced = threading.Event()
    with json_alone(), announced_wait(url, 30.0, lambda line: [echo(line), announced.set()], 0.0):  # type: ignore[func-returns-value]
        assert announced.wait(60)
    out, err = capsys.readouterr()
    assert (out, "W&B does not answer" in err) == ("", True)


def test_a_short_wait_is_silent() -> None:
    told: list[str] = []
    before = threading.active_count()
    with announced_wait("http://127.0.0.1:1", 30.0, told.append, 3600.0):
        pass
    while threading.active_count() > before:
        pass
    assert told == []
