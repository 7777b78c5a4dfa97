import os
import subprocess
import sys
import textwrap
import threading

import pytest
import torch

from optical_sweeps.transport import Exact, Sinkhorn
from optical_sweeps.transport._threads import over_problems
from tests.support.transport_problems import random_problem


@pytest.mark.parametrize(("problems", "threads"), [(1, 4), (7, 2), (100, 3), (5, 50)])
def test_every_problem_is_solved_once(problems, threads):
    seen = []
    over_problems(lambda start, stop: seen.extend(range(start, stop)), problems, 1 << 20, threads)
    assert sorted(seen) == list(range(problems))


def test_an_exception_in_a_thread_reaches_the_caller():
    def fail(start, stop):
        raise ArithmeticError(start)

    with pytest.raises(ArithmeticError):
        over_problems(fail, 100, 1 << 20, 3)


@pytest.mark.parametrize("solver", [Exact(threads=2), Sinkhorn()])
def test_callers_in_several_threads_at_once(solver):
    problem = random_problem(64, 24, 24, dtype=torch.float32)
    expected = solver(problem).matrix
    results = {}

    def call(name):
        results[name] = solver(problem).matrix

    callers = [threading.Thread(target=call, args=(name,)) for name in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all(torch.equal(results[name], expected) for name in range(4))


def test_works_without_a_writable_cache_folder(tmp_path):
    """As in a read-only installation, for a user without a writable home folder."""
    script = textwrap.dedent("""
        import numba.core.caching as caching
        for locator in list(caching.CacheImpl._locator_classes):
            locator.from_function = classmethod(lambda cls, function, path: None)
        import torch
        from optical_sweeps.transport import TransportProblem, solve
        assert solve(TransportProblem.uniform(torch.rand(1, 2, 2))).converged.all()
    """)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, cwd=tmp_path)
