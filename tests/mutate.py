"""Break code on purpose and see whether a test says so: ``python -m tests.mutate fstk/online --seconds 600``.

Every place where the named files compare, count, decide, raise or call is broken once, in a copy of the project, and
the fast tests of the same room are run on it. What no test notices is printed: either a test is missing, or the code is
not needed, or the change changes nothing, which the reader decides.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import importlib.util
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FAST = "not spark and not server and not browser"
SHARED = {"online": "test_store.py", "training": "test_pit_cases.py", "windows": "test_window_cases.py"}
"""What of ``tests/contracts`` judges a room, too."""
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
SIGNS: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add}
WORDS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "AND": "OR", "OR": "AND", "NOT NULL": "NULL"}
WORD = re.compile(r"(?<=\s)(<=|>=|<|>|AND|OR|NOT NULL)(?=\s|$)")
"""What decides in a statement of SQL or a script of a store, which Python holds as text."""
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """One place of one file, and the module's text with that place broken."""

    file: Path
    line: int
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}   {self.before}   →   {self.after}"


def mutants(file: Path) -> Iterator[Mutant]:
    """Yield every mutant of a file."""
    tree = ast.parse(file.read_text())
    for parent, field, place, node in list(_nodes(tree)):
        for broken in _broken(node):
            before, after = _shown(node, broken), _shown(broken, node)
            _put(parent, field, place, broken)
            source = ast.unparse(ast.fix_missing_locations(tree))
            _put(parent, field, place, node)
            yield Mutant(file, getattr(node, "lineno", 0), before, after, source)


def _nodes(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Yield what a module executes, and where it hangs: neither documentation nor annotations."""
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list", "type_params"}:
            continue
        for place, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not _told(child):
                yield node, field, place, child
                yield from _nodes(child)


def _told(node: ast.AST) -> bool:
    """Whether a node says and does nothing, or is for type checkers alone, or asks what never happens."""
    if isinstance(node, ast.keyword):
        return node.arg == "strict"
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _broken(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node's mutants."""
    match node:
        case ast.Compare():
            for number, operator in enumerate(node.ops):
                broken = copy.deepcopy(node)
                broken.ops[number] = COMPARISONS[type(operator)]()
                yield broken
        case ast.BoolOp():
            yield ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.BinOp() if type(node.op) in SIGNS:
            yield ast.BinOp(node.left, SIGNS[type(node.op)](), node.right)
        case ast.If() | ast.IfExp() | ast.While() if isinstance(node.test, ast.Name | ast.Call | ast.Attribute):
            broken = copy.copy(node)
            broken.test = ast.UnaryOp(ast.Not(), node.test)
            yield broken
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int() | float() as number):
            yield ast.Constant(number + 1)
        case ast.Constant(value=str() as text):
            for found in WORD.finditer(text):
                yield ast.Constant(text[: found.start()] + WORDS[found[0]] + text[found.end() :])
        case ast.Call(func=ast.Name(id=name)) if name in NAMES:
            yield ast.Call(ast.Name(NAMES[name]), node.args, node.keywords)
        case ast.Raise() | ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case _:
            return


def _put(parent: ast.AST, field: str, place: int | None, node: ast.AST) -> None:
    if place is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[place] = node


def _shown(node: ast.AST, other: ast.AST) -> str:
    """Return the first line of what a node says; of a long text, the part in which it differs from the other."""
    if isinstance(node, ast.Constant) and isinstance(other, ast.Constant) and isinstance(node.value, str):
        pairs = zip(node.value, str(other.value), strict=False)
        start = max(0, next((n for n, (one, two) in enumerate(pairs) if one != two), 0) - 30)
        return " ".join(node.value[start : start + 60].split())
    first, *more = ast.unparse(node).splitlines()
    return f"{first} …" if more else first


def judges(file: Path) -> list[str]:
    """Return the test files that judge a file of ``fstk``: the one of its name, its room's, and its contract."""
    room = file.relative_to(ROOT / "fstk").parts[0]
    own = ROOT / "tests" / room / f"test_{file.stem}.py"
    found = [own, *sorted((ROOT / "tests" / room).glob("test_*.py"))]
    found += [ROOT / "tests" / "contracts" / SHARED[room]] if room in SHARED else []
    return [str(path.relative_to(ROOT)) for path in dict.fromkeys(found) if path.exists()]


def run(copied: Path, tests: Sequence[str], marks: str, seconds: float | None = None) -> int | None:
    """Run tests in the copy until one fails; return pytest's exit code, None when it did not end in time."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=line", "--hypothesis-profile=mutants", "-m", marks]
    process = subprocess.Popen(
        [*command, *tests],
        cwd=copied,
        env=os.environ | {"PYTHONPATH": str(copied)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):  # whatever a test has started ends with it
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode in (4, 5):
        raise SystemExit(f"pytest ran nothing of {', '.join(tests)}:\n{said[-2000:]}")
    return process.returncode


def survives(copied: Path, mutant: Mutant, marks: str, seconds: float) -> bool:
    """Whether every test of the room still passes with the mutant in the file's place."""
    target = copied / mutant.file.relative_to(ROOT)
    text = target.read_text()
    try:
        target.write_text(mutant.source)
        # Two texts of one length within one second are one file to Python.
        Path(importlib.util.cache_from_source(str(target))).unlink(missing_ok=True)
        return run(copied, judges(mutant.file), marks, seconds) == 0
    finally:
        target.write_text(text)


def main() -> None:
    """Read the command line, break what it names until the time is over, print what survived."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path, help="files or folders under fstk/")
    parser.add_argument("--seconds", type=float, default=600, help="stop after these (default: 600)")
    parser.add_argument("--seed", type=int, default=0, help="another order, and so another part where time is short")
    parser.add_argument("--spark", action="store_true", help="with the tests that start a JVM, a minute a mutant")
    given = parser.parse_args()
    marks = "not browser" if given.spark else FAST
    files = [file for path in given.paths for file in ([path] if path.is_file() else sorted(path.rglob("*.py")))]
    found = [mutant for file in files for mutant in mutants(file.resolve())]
    random.Random(given.seed).shuffle(found)
    survivors: list[Mutant] = []
    tried = 0
    with tempfile.TemporaryDirectory(prefix="fstk-mutants-") as folder:
        copied = Path(folder) / "copy"
        shutil.copytree(
            ROOT, copied, ignore=shutil.ignore_patterns(".*", "__pycache__", "*warehouse", "mlruns", "runs")
        )
        limits: dict[str, float] = {}
        end = time.monotonic() + given.seconds
        for mutant in found:
            room = mutant.file.relative_to(ROOT / "fstk").parts[0]
            if room not in limits:
                begun = time.monotonic()
                if run(copied, judges(mutant.file), marks) != 0:
                    raise SystemExit(f"The tests of {room} fail before anything is broken.")
                limits[room] = 10 + 4 * (time.monotonic() - begun)
            if time.monotonic() > end:
                break
            tried += 1
            if survives(copied, mutant, marks, limits[room]):
                survivors.append(mutant)
                print(f"survived   {mutant}", flush=True)
    print(f"{tried} of {len(found)} mutants tried, {len(survivors)} survived.")
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
