"""Mutation testing of one file: `make mutants FILE=optical_sweeps/training/optimiser.py`.

cosmic-ray's operators, and three of our own, change one place of the file at a time. The tests that import the
file must fail. The changes are made in a copy of the checkout. For each of them, a process is forked from one
that has imported the libraries.
"""

import argparse
import ast
import contextlib
import difflib
import gc
import importlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[1]
ARITHMETIC = {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"}
ORDER = {"Eq", "NotEq", "Lt", "LtE", "Gt", "GtE"}
EXCHANGED = (ARITHMETIC, {"BitAnd", "BitOr"}, ORDER, {"Is", "IsNot"}, {"In", "NotIn"})
"""Operators are exchanged within a kind. Others, such as `<<` between floats, only raise a TypeError."""
LEFT_OUT = ("RemoveDecorator", "VariableReplacer", "VariableInserter")
"""Decorators declare settings and kernels: without them nothing can be imported."""
LIBRARIES = (
    "beartype", "hydra", "hypothesis", "hypothesis.extra.numpy", "jaxtyping", "lightning", "numba", "pandas",
    "pyarrow.parquet", "pydantic", "pytest", "ranx", "rich.table", "safetensors.torch", "scipy.optimize",
    "scipy.stats", "tokenizers", "torch", "transformers", "wandb", "yaml", "zstandard",
)  # fmt: skip


class Change(NamedTuple):
    """A kind of change at a line; `number` counts the changes of this kind in the file."""

    line: int
    kind: str
    number: int


class Mutant(NamedTuple):
    """A change and the changed source."""

    line: int
    kind: str
    source: str


def sample(source: str, count: int | None, seed: int) -> list[Mutant]:
    """At most `count` mutants in the order of the file; a line has one change of a kind before another has two.

    Every mutant differs from the source and from the others in more than docstrings and types.
    """
    changes = [*_changes_by_cosmic_ray(source), *_changes_of_parts(ast.parse(source))]
    random.Random(seed).shuffle(changes)
    kinds: Counter[tuple[int, str]] = Counter()
    ranked = []
    for change in changes:
        place = (change.line, change.kind.split("_")[0])
        kinds[place] += 1
        ranked.append((kinds[place], change))
    ranked.sort(key=lambda pair: pair[0])
    seen, mutants = {_meaning(source)}, []
    for _, change in ranked:
        changed = _changed(source, change)
        meaning = _meaning(changed)
        if meaning is not None and meaning not in seen:
            seen.add(meaning)
            mutants.append(Mutant(change.line, change.kind, changed))
        if len(mutants) == count:
            break
    return sorted(mutants)


def _changed(source: str, change: Change) -> str:
    if change.kind.startswith("Without_"):
        tree = ast.parse(source)
        parts, index, substitute = list(_parts(tree))[change.number][2:]
        parts[index : index + 1] = substitute
        return ast.unparse(ast.fix_missing_locations(tree))
    return mutate_code(source, get_operator(f"core/{change.kind}")(), change.number) or source


def _changes_by_cosmic_ray(source: str) -> Iterator[Change]:
    nodes = list(ast_nodes(get_ast(source)))
    places: dict[str, list[int]] = {}
    for name in operator_names():
        kind = name.partition("/")[2]
        family, *operands = kind.split("_")
        if family in LEFT_OUT or (len(operands) == 2 and not any({*operands} <= group for group in EXCHANGED)):
            continue
        key = "_".join([family, *operands[:1]])  # all that replace an operator change the same places
        if key not in places:
            operator = get_operator(name)()
            places[key] = [place[0][0] for node in nodes for place in operator.mutation_positions(node)]
        yield from (Change(line, kind, number) for number, line in enumerate(places[key]))


def _changes_of_parts(tree: ast.AST) -> Iterator[Change]:
    for number, (kind, line, *_) in enumerate(_parts(tree)):
        yield Change(line, f"Without_{kind}", number)


def _parts(tree: ast.AST) -> Iterator[tuple[str, int, list[ast.AST], int, list[ast.AST]]]:
    """Statements, keyword arguments and elements: kind, line, list with the part, its place, its substitute."""
    # the targets of assignments, and the parameters of types
    kept = {node for node in ast.walk(tree) if isinstance(getattr(node, "ctx", None), ast.Store)}
    kept |= {node.slice for node in ast.walk(tree) if isinstance(node, ast.Subscript)}
    for node in ast.walk(tree):
        for block in ("body", "orelse", "finalbody"):
            statements = getattr(node, block, None)
            for i, part in enumerate(statements if isinstance(statements, list) else []):
                if _acts(part):
                    yield "statement", part.lineno, statements, i, [ast.Pass()]
        if isinstance(node, ast.Call):
            for i, part in enumerate(node.keywords):
                if part.arg:
                    yield "keyword", part.lineno, node.keywords, i, []
        if isinstance(node, ast.Tuple | ast.List | ast.Set) and len(node.elts) > 1 and node not in kept:
            for i, part in enumerate(node.elts):
                yield "element", part.lineno, node.elts, i, []


def _acts(statement: ast.AST) -> bool:
    """Whether a statement has an effect and binds no name, so that the rest can run without it."""
    match statement:
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Raise() | ast.Delete() | ast.Assert():
            return True
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]):
            return True
        case ast.Return(value=None) | ast.Continue() | ast.Break():
            return True
    return False


def _meaning(source: str) -> str | None:
    """The program without docstrings, annotations of functions and unions of types; None if it is none."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_text(each)] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign) and "|" in ast.unparse(node.annotation):
            node.annotation = ast.Constant(None)
    return ast.dump(tree)


def _is_text(statement: ast.AST) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def mirroring_tests(file: Path) -> list[str]:
    """Test files with the module's name in its room or with an import of it; or else all tests of the room."""
    module = ".".join(file.with_suffix("").parts)
    package, _, name = module.rpartition(".")
    room = ROOT / "tests" / Path(*file.parts[1:-1])
    names = (f"from {module} import", f"import {module}", f"from {package} import {name}")
    tests = [
        path
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if path == room / f"test_{name}.py"
        or ("integration" not in path.parts and any(text in path.read_text("utf-8") for text in names))
    ]
    return [str(path.relative_to(ROOT)) for path in tests or [room]]


def run_tests(
    folder: Path, tests: list[str], cpu_seconds: float, profile: str, *, mutated: bool
) -> tuple[bool, str, float]:
    """Run the tests in a forked process; returns whether they pass, the failed test, and their CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    log = folder / ".mutant.log"
    child = os.fork()
    if child == 0:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        _test_here(folder, tests, cpu_seconds, profile, mutated)
    deadline = time.monotonic() + 20 * cpu_seconds
    while not (waited := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.02)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime
    lines = log.read_text(errors="replace").splitlines()
    reason = next((line for line in lines if line.startswith(("FAILED", "ERROR"))), "stopped or out of time")
    return waited[1] == 0, reason, spent


def _test_here(folder: Path, tests: list[str], cpu_seconds: float, profile: str, mutated: bool) -> None:
    try:
        os.chdir(folder)
        sys.path[:] = [str(folder), *(path for path in sys.path if Path(path or ".").resolve() != ROOT)]
        os.environ["PYTHONPATH"] = str(folder)  # for the processes that tests start
        os.environ["HYPOTHESIS_PROFILE"] = profile
        if mutated:  # bytecode of an unchanged file is written, and used for the mutants of others
            sys.dont_write_bytecode = True
            os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_seconds) + 1, int(cpu_seconds) + 2))
        import pytest

        plugins = ["-p", "no:cacheprovider", "-p", "no:unraisableexception"]  # the latter collects garbage
        code = pytest.main(["-x", "-q", "--assert=plain", "--durations=0", *plugins, *tests])
        sys.stdout.flush()
        os._exit(int(code))
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(99)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="a file of the package")
    parser.add_argument("--tests", nargs="*", help="test files; default: those that import the file")
    parser.add_argument("--count", type=int, help="number of mutants; default: all")
    parser.add_argument("--seed", type=int, default=13, help="seed of the choice")
    parser.add_argument("--lines", type=int, nargs="*", help="only mutants of these lines")
    options = parser.parse_args()
    import_libraries()
    with checkout() as folder:
        file = options.file.resolve().relative_to(ROOT)
        judge(folder, file, options.tests or mirroring_tests(file), options.count, options.seed, options.lines)


def import_libraries() -> None:
    """Import what tests import, so that forked processes need not."""
    for library in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    gc.freeze()


@contextlib.contextmanager
def checkout() -> Iterator[Path]:
    """A temporary copy of the files that git knows or would add."""
    command = ["git", "ls-files", "-z", "-co", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    with tempfile.TemporaryDirectory() as place:
        for name in names:
            if name and (ROOT / name).is_file():
                target = Path(place, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)
        yield Path(place)


def judge(
    folder: Path,
    file: Path,
    tests: list[str],
    count: int | None = None,
    seed: int = 13,
    lines: list[int] | None = None,
) -> list[dict[str, object]]:
    """Run the tests on every mutant of a sample and print the results; survivors are run with all examples."""
    source, original = (folder / file).read_text("utf-8"), (folder / file).stat()
    chosen = [mutant for mutant in sample(source, count, seed) if not lines or mutant.line in lines]
    print(f"{file}: {len(chosen)} mutants; tests: {' '.join(tests)}", flush=True)
    passed, reason, spent = run_tests(folder, tests, 600, "unshrunk", mutated=False)
    if not passed:
        sys.exit(f"{(folder / '.mutant.log').read_text()}\nerror: the tests fail without a mutant: {reason}")
    rows: list[dict[str, object]] = []
    for number, mutant in enumerate(chosen, 1):
        (folder / file).write_text(mutant.source, "utf-8")
        for profile in ("few", "unshrunk"):
            passed, reason, cpu = run_tests(folder, tests, 3 * spent + 10, profile, mutated=True)
            if not passed:
                break
        differences = difflib.unified_diff(_plain(source), _plain(mutant.source), lineterm="", n=0)
        change = [line for line in differences if not line.startswith(("---", "+++", "@@"))]
        verdict = "SURVIVED" if passed else "killed"
        print(f"{number}/{len(chosen)} {verdict} {file}:{mutant.line} {mutant.kind} ({cpu:.1f} s)", flush=True)
        print("\n".join(f"    {line}" for line in (change if passed else [reason])), flush=True)
        rows.append(
            {"file": str(file), "line": mutant.line, "kind": mutant.kind, "change": change, "survived": passed}
        )
    (folder / file).write_text(source, "utf-8")
    os.utime(folder / file, ns=(original.st_atime_ns, original.st_mtime_ns))
    killed = sum(not row["survived"] for row in rows)
    print(f"{file}: {killed} of {len(chosen)} killed", flush=True)
    return rows


def _plain(source: str) -> list[str]:
    """The lines of a program, written in one way."""
    return ast.unparse(ast.parse(source)).splitlines()


if __name__ == "__main__":
    main()
