"""Signals: noted, acted on where no work is lost, handlers restored."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from optical_sweeps.interruption import (
    SIGNALS,
    Interrupted,
    Interruption,
    call_in_thread,
    interruptible,
    stopping,
)


def test_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible() as interruption:
        signal.raise_signal(signal.SIGINT)
        interruption.check()
    signal.signal(signal.SIGINT, before)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in SIGNALS]


def test_without_a_signal_nothing_happens():
    before = handlers()
    ticks = []
    with interruptible() as interruption:
        assert handlers() != before
        interruption.checked(lambda done, total: ticks.append((done, total)))(1, 2)
    assert ticks == [(1, 2)]
    assert handlers() == before


@pytest.mark.parametrize("number", SIGNALS[:3])
def test_a_signal_is_raised_at_the_next_progress_tick(number):
    before = handlers()
    reached = []

    def work() -> None:
        with interruptible() as interruption:
            tick = interruption.checked(lambda done, total: None)
            tick(1, 3)
            signal.raise_signal(number)
            reached.append("after the signal")
            tick(2, 3)
            reached.append("after the tick")

    with pytest.raises(Interrupted) as raised:
        work()
    assert reached == ["after the signal"]
    assert raised.value.signal == number
    assert not raised.value.at_once
    assert handlers() == before


def test_ctrl_c_stays_a_keyboard_interrupt():
    def work() -> None:
        with interruptible() as interruption:
            signal.raise_signal(signal.SIGINT)
            interruption.check()

    with pytest.raises(KeyboardInterrupt):
        work()


def test_a_second_signal_raises_immediately():
    def work() -> None:
        with interruptible():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGUSR1)
            pytest.fail("went on")

    with pytest.raises(Interrupted) as raised:
        work()
    assert raised.value.at_once
    assert raised.value.signal == signal.SIGUSR1


def test_the_previous_handler_gets_the_signal_after_the_work():
    """Such as submitit's handler, which requeues the job."""
    received = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: received.append(number))

    def work() -> None:
        with interruptible() as interruption:
            signal.raise_signal(signal.SIGUSR2)
            assert received == []
            interruption.check()

    try:
        with pytest.raises(Interrupted):
            work()
        assert received == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_a_signal_that_comes_too_late_for_a_block_reaches_the_enclosing_one():
    """A run that writes its results completes; the next run must not start."""
    with interruptible() as outer:
        with interruptible():
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted):
            outer.check()
        outer.received = None


@pytest.mark.parametrize("number", SIGNALS)
def test_a_sweep_stops_after_the_run_that_completed_in_spite_of_a_signal(number):
    before, stops, reached = handlers(), [], []

    def work() -> None:
        with stopping(stops.append):
            with interruptible():
                signal.raise_signal(number)
                reached.append("results written")
            reached.append("the next run")

    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else Interrupted):
        work()
    assert reached == ["results written"]
    assert stops == ([] if number == signal.SIGINT else [number])
    assert handlers() == before


def test_a_complete_job_is_not_handed_to_another_librarys_handler():
    """Submitit's would requeue it."""
    received = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: received.append(number))
    with interruptible():
        signal.raise_signal(signal.SIGUSR2)
    signal.signal(signal.SIGUSR2, before)
    assert received == []


def test_between_runs_a_signal_stops_a_sweep_at_once():
    def work() -> None:
        with stopping(lambda number: None):
            signal.raise_signal(signal.SIGTERM)
            pytest.fail("went on")

    with pytest.raises(Interrupted) as raised:
        work()
    assert raised.value.signal == signal.SIGTERM


def test_other_threads_leave_the_handlers_alone():
    seen = []

    def work() -> None:
        with interruptible() as interruption:
            seen.append((interruption.received, handlers()))

    before = handlers()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, before)]


def test_interrupted_can_be_pickled():
    again = pickle.loads(pickle.dumps(Interrupted(signal.SIGTERM, at_once=True)))
    assert (again.signal, again.at_once, again.code) == (signal.SIGTERM, True, 75)


def test_uncaught_it_ends_the_process_with_75_and_no_traceback():
    program = """
        import os, signal
        from optical_sweeps.interruption import interruptible
        with interruptible() as interruption:
            os.kill(os.getpid(), signal.SIGTERM)
            interruption.check()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (75, "", "")


def test_check_passes_without_a_signal():
    Interruption().check()


def sleep_raising(signalled_before: bool) -> None:
    """Receive SIGTERM before a block that raises, or within it, and sleep."""
    with interruptible() as interruption:
        with interruption.raising():
            pass
        if signalled_before:
            os.kill(os.getpid(), signal.SIGTERM)
        with interruption.raising():
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
            call_in_thread(lambda: time.sleep(20))


@pytest.mark.parametrize("before", [True, False])
def test_a_signal_is_raised_at_once_where_nothing_is_left_half_done(before):
    """Even during a long call of a compiled library, if it runs in a thread."""
    start = time.monotonic()
    with pytest.raises(Interrupted) as error:
        sleep_raising(before)
    assert not error.value.at_once
    assert time.monotonic() - start < 10


def test_a_call_in_a_thread_returns_and_raises_like_the_function():
    assert call_in_thread(lambda: 1 + 1) == 2
    with pytest.raises(ZeroDivisionError):
        call_in_thread(lambda: 1 / 0)
