"""Every error fstk raises, in one tree, each a sentence that says what was asked, what exists and what to type next.

In IPython an error renders as that sentence alone; showing it again (``%tb``) gives the whole traceback with its cause.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable

_SHOWN = 60  # letters of a value in a sentence


class FstkError(Exception):
    """Base of all errors of fstk; ``exit_code`` is what the ``fstk`` command ends with when one reaches it: 0 done,
    1 the job's own error, 2 bad arguments (nothing was started), 3 a gate said no, 4 infrastructure, 138 the kernel
    died."""

    exit_code = 1
    _rendered = False

    def _render_traceback_(self) -> list[str]:
        # IPython calls this for the cell that failed and again for %tb; only the second wants the stack.
        if self._rendered:
            return traceback.format_exception(self)
        self._rendered = True
        return [f"{type(self).__name__}: {self}"]


class InvalidInput(FstkError, ValueError):
    """What the caller gave cannot be used; nothing was started or written."""

    exit_code = 2


class InvalidName(InvalidInput):
    """A table or column name outside the rules of names."""


class UnknownName(InvalidInput):
    """Something was named that does not exist; the message gives the nearest names."""


class UnknownTable(UnknownName):
    """No such feature table."""


class UnknownColumn(UnknownName):
    """No such column."""


class UnknownModel(UnknownName):
    """No such model, model version or alias."""


class UntrustedModel(InvalidInput):
    """A model that would run code when it is loaded, and that neither fstk logged nor the settings name."""


class UnsupportedType(InvalidInput):
    """A column type that this operation cannot hold without loss."""


class UnsupportedTable(InvalidInput):
    """A Delta table with a feature that only Spark reads, asked for without it."""


class Redefined(InvalidInput):
    """A write would give features of ``table`` another meaning; the message tells which, and how values differ."""

    def __init__(self, message: str, table: str) -> None:
        super().__init__(message)
        self.table = table


class TypeMismatch(InvalidInput):
    """Two types that must agree do not; the message gives both."""


class NaiveDatetime(InvalidInput):
    """A datetime without a time zone reached the border of fstk."""


class DuplicateKeys(InvalidInput):
    """Rows that share keys which must be unique; the message counts them and shows up to five."""


class NullKeys(InvalidInput):
    """Rows with a null in a key column; the message counts them and shows up to five."""


class NameCollision(InvalidInput):
    """Two output columns would carry one name."""


class SchemaChange(InvalidInput):
    """A write would change a feature table in a way that is not allowed."""


class TableExists(InvalidInput):
    """A feature table of that name is already there, with other keys or columns."""


class BadParameter(InvalidInput):
    """A job parameter is unknown, missing or of the wrong type."""


class BadExpression(InvalidInput):
    """An aggregate expression outside what a windowed feature may use."""


class NumericOverflow(InvalidInput, ArithmeticError):
    """A number beyond its type, found while rows are computed: a sum over a window, a result of arithmetic; the message
    names the expression."""

    exit_code = 1


class GateRefused(FstkError):
    """A data or drift gate said no."""

    exit_code = 3


class Infrastructure(FstkError):
    """Something outside fstk failed; the same call may succeed later."""

    exit_code = 4


class EngineUnavailable(Infrastructure):
    """No Spark session can be had as asked (Java, package pair, jars, server); the message says how to mend it."""


class LeaseHeld(Infrastructure):
    """The same job runs already for the same logical date; nothing was started."""


class StoreUnavailable(Infrastructure):
    """The online store did not answer; never to be read as a missing row."""


class WriteConflict(Infrastructure):
    """Another writer changed the table first; the same write may be tried again."""


class DamagedTable(Infrastructure):
    """A table's log, files or online rows cannot be read."""


class AccessDenied(Infrastructure):
    """A file or folder that this user may not read or write."""


class MissingPackage(FstkError):
    """An optional package is not installed; the message gives the pip line."""

    exit_code = 4


class ExpiredSnapshot(FstkError):
    """A table version that is no longer kept."""


class IncompatibleChanges(FstkError):
    """The changes asked for span one of the table's columns, over which Delta does not read them."""


class JobFailed(FstkError):
    """A notebook job did not succeed; ``exit_code`` follows its cause."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def shown(value: object) -> str:
    """Return a value as a sentence shows it: 60 letters of it at most.

    >>> shown("a" * 100)[-3:]
    'aa…'
    """
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def nearest(name: str, known: Iterable[str], *, what: str = "Nearest", or_all: bool = True) -> str:
    """Return ``" Nearest: a, b."`` for the names closest to ``name``; when none is close what there is, or with
    ``or_all=False`` nothing."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f" {what}: {', '.join(close)}."
    if names and or_all:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        return f" There is: {', '.join(names[:5])}{more}."
    return ""
