"""A name that a statement binds in its midst and gives back at its end is seen in between; other code stays."""

from __future__ import annotations

import ast
import builtins
import sys
from types import ModuleType
from typing import Any

import pytest

from fstk.jobs.bindings import Watched

PASSING = {
    "a loop's target": "for day in [1]: pass\nelse: day = 0",
    "a loop's body": "for _ in [1]:\n    day = 1\n    day = 0",
    "a loop's end": "for _ in []: pass\nelse:\n    day = 1\n    day = 0",
    "another loop": "while day == 0:\n    day = 1\n    run(day)\n    day = 0\n    break",
    "a choice": "if True:\n    day = 1\n    day = 0",
    "the other choice": "if False: pass\nelse:\n    day = 1\n    day = 0",
    "a first line": "for day, day2 in [(1, 2), (0, 0)]: run(day)",
    "a context": "with opened(1) as day:\n    run(day)\n    back()",
    "an error": "try: raise ValueError\nexcept ValueError as day:\n    run(day)\nfinally: back()",
    "an attempt": "try:\n    day = 1\n    raise ValueError\nexcept ValueError: day = 0",
    "no error": "try: pass\nexcept ValueError: pass\nelse:\n    day = 1\n    day = 0",
    "an end": "try: pass\nfinally:\n    day = 1\n    day = 0",
    "a pattern": "match 1:\n    case day:\n        run(day)\n        back()",
    "a pattern's rest": "match {'a': 1}:\n    case {**day}:\n        run(day)\n        back()",
    "a pattern's items": "match [1]:\n    case [*day]:\n        run(day)\n        back()",
    "an import": "if True:\n    import ast as day\n    back()",
    "an import of a package": "if True:\n    import day.part\n    back()",
    "a class": "if True:\n    class day: pass\n    back()",
    "an expression": "if True:\n    run(day := 1)\n    back()",
    "one that is removed": "if True:\n    old = day\n    del day\n    run(1)\n    day = old",
    "a function of the notebook's name": "def change():\n    global day\n    day = 1\n    day = 0\nchange()",
    "a function in a function": (
        "def outer():\n    def inner():\n        global day\n        day = 1\n        day = 0\n    inner()\nouter()"
    ),
    "a function in a class": (
        "class A:\n    def change(self):\n        global day\n        day = 1\n        day = 0\nA().change()"
    ),
}
UNTOUCHED = {
    "a look": "for one in [1]:\n    run(day)",
    "other names": "for days in [1]:\n    day2 = days",
    "a function's own": "def change(day):\n    day = 1\n    return day",
    "a function's own in a block": "if True:\n    def change():\n        day = 1",
    "an argument": "change = lambda day: day",
    "an attribute": "for one in [1]:\n    one.day = 1",
    "statements side by side": "day = 1\nday = 0",
}


def watched(code: str) -> ast.Module:
    tree = Watched({"day"}, "check").visit(ast.parse(code))
    assert isinstance(tree, ast.Module)
    return tree


@pytest.mark.parametrize("code", PASSING.values(), ids=PASSING)
def test_a_value_that_is_gone_when_the_statement_ends_is_seen(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Opened:
        def __init__(self, value: int) -> None:
            self.value = value

        def __enter__(self) -> int:
            return self.value

        def __exit__(self, *_: object) -> None:
            pass

    notebook: dict[str, Any] = {"day": 0, "run": lambda _: None, "opened": Opened}
    notebook["back"] = lambda: notebook.update(day=0)  # which binds it without a word of the name
    for module in ("day", "day.part"):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
    seen: list[Any] = []
    monkeypatch.setattr(builtins, "check", lambda: seen.append(notebook.get("day", "removed")), raising=False)
    exec(compile(watched(code), "cell", "exec"), notebook)
    assert notebook["day"] == 0
    assert any(value != 0 for value in seen)


@pytest.mark.parametrize("code", UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_binds_no_watched_name_runs_as_it_is_written(code: str) -> None:
    assert ast.dump(watched(code), include_attributes=True) == ast.dump(ast.parse(code), include_attributes=True)


def test_documentation_stays_and_every_line_keeps_its_number() -> None:
    code = 'class A:\n    """Of A."""\n    day = 1\ndef f():\n    """Of f."""\n    global day\n    day = 1\n'
    tree = watched(code)
    documented = [ast.get_docstring(node) for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    assert documented == ["Of A.", "Of f."]
    lines = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt)}
    assert lines == {node.lineno for node in ast.walk(ast.parse(code)) if isinstance(node, ast.stmt)}
