"""Statements that may bind a notebook's name in their midst, as a loop does: a look at the name between their lines."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

_BLOCKS = ("body", "orelse", "finalbody")


class Watched(ast.NodeTransformer):
    """Calls ``function``, a builtin, between the lines of each statement of a cell that may bind one of ``names``.

    Between the statements themselves the shell looks. In a function only what it declares ``global`` is the notebook's.

    >>> import ast
    >>> print(ast.unparse(Watched({"day"}, "check").visit(ast.parse("for day in days:\\n    run(day)"))))
    for day in days:
        check()
        run(day)
        check()
    """

    def __init__(self, names: Iterable[str], function: str) -> None:
        self._names, self._function = frozenset(names), function

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Module):
            for one in node.body:
                if self._names.intersection(_bound(one)):
                    self.visit(one)
            return ast.fix_missing_locations(node)
        if _is_function(node) and not self._names.intersection(_global(node)):
            return node
        self.generic_visit(node)
        for field in _BLOCKS:
            block = getattr(node, field, None)
            if isinstance(block, list) and block:
                before = [] if _is_function(node) or isinstance(node, ast.ClassDef) else [self._call(block[0])]
                setattr(node, field, before + [line for one in block for line in (one, self._call(one))])
        return node

    def _call(self, near: ast.stmt) -> ast.stmt:
        return ast.copy_location(ast.Expr(ast.Call(ast.Name(self._function, ast.Load()), [], [])), near)


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement may bind outside of functions, and those that its functions declare global."""
    if _is_function(node):
        yield from _global(node)
        return
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    for field in ("name", "asname", "rest"):  # of an import, a class, an error that is caught, a pattern
        name = getattr(node, field, None)
        if isinstance(name, str):
            yield name.partition(".")[0]
    for child in ast.iter_child_nodes(node):
        yield from _bound(child)


def _global(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Global):
            yield from part.names


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
