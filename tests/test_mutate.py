"""The faults that are planted on purpose: each is one change of what a module does, and none of what it says."""

import ast
from pathlib import Path

from tests.mutate import judges, mutants

ROOT = Path(__file__).parents[1]
MODULE = '''
"""Documentation with a > b."""
LIMIT: int = 3

def narrow(count: int = 1) -> bool:
    """Return whether 1 > 2."""
    if count >= LIMIT and not found(count):
        raise ValueError("SELECT x WHERE a > b")
    store.write(count - 1)
    return min(count, 2) is None
'''


def test_every_place_is_broken_once_and_nothing_that_is_only_said(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(MODULE)
    found = list(mutants(file))
    assert sorted((mutant.before, mutant.after) for mutant in found) == sorted(
        [
            ("3", "4"),
            ("1", "2"),
            ("count >= LIMIT and (not found(count))", "count >= LIMIT or not found(count)"),
            ("count >= LIMIT", "count > LIMIT"),
            ("not found(count)", "found(count)"),
            ("raise ValueError('SELECT x WHERE a > b')", "pass"),
            ("SELECT x WHERE a > b", "SELECT x WHERE a >= b"),
            ("store.write(count - 1)", "pass"),
            ("count - 1", "count + 1"),
            ("1", "2"),
            ("min(count, 2) is None", "min(count, 2) is not None"),
            ("min(count, 2)", "max(count, 2)"),
            ("2", "3"),
        ]
    )
    sources = {mutant.source for mutant in found}
    assert len(sources) == len(found)
    assert ast.unparse(ast.parse(MODULE)) not in sources


def test_a_room_is_judged_by_its_own_tests_first_and_by_its_contract() -> None:
    tests = judges(ROOT / "fstk" / "windows" / "spec.py")
    assert tests[0] == "tests/windows/test_spec.py"
    assert tests[-1] == "tests/contracts/test_window_cases.py"
    assert "tests/windows/test_exact.py" in tests
