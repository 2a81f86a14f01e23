"""``fstk.finish(value)``: a notebook ends here, well, and says with what."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import msgspec

from fstk import journal
from fstk.errors import GateRefused, InvalidInput, shown


class Finished(BaseException):
    """Ends the notebook; no error, so that ``except Exception`` lets it pass. ``value`` is as JSON has it."""

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.value = value

    def _render_traceback_(self) -> list[str]:
        return ["finished" if self.value is None else f"finished: {self.value}"]  # IPython shows this alone


def finish(value: object = None) -> NoReturn:
    """End the notebook here, as a success; nothing after it runs. After a gate that said no it stays refused, even
    from an ``except`` or a ``finally``.

    Under ``fstk run`` the record keeps the value as its ``result``, whether ``job.done`` was called before or not; on
    Databricks it is what ``dbutils.notebook.exit`` gives to a caller and to later tasks: text as it is, anything else
    as JSON. Jupyter's "run all" stops at this cell. Any other runner of notebooks takes it for an error.

    >>> finish({"rows": 0, "why": "no purchases since yesterday"})
    Traceback (most recent call last):
    fstk.jobs.finish.Finished: {'rows': 0, 'why': 'no purchases since yesterday'}

    Args:
        value: text, numbers, NumPy's too, and lists and dicts of such; whatever else JSON has no form of is kept as it
            prints.

    Raises:
        InvalidInput: JSON cannot hold the value.
    """
    handled = sys.exception()
    if isinstance(handled, GateRefused):
        raise handled
    try:
        text = msgspec.json.encode(value, enc_hook=plain)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"finish takes what JSON can hold; got {shown(value)}: {error}.") from error
    # the notebook's names: Databricks puts dbutils among them; under fstk run they are not asked
    dbutils = None if journal.run_folder() else vars(sys.modules["__main__"]).get("dbutils")
    if dbutils is not None:
        dbutils.notebook.exit(value if isinstance(value, str) else text.decode())
    raise Finished(msgspec.json.decode(text))


def plain(value: Any) -> Any:
    """Return NumPy's scalars and arrays as Python's; whatever else JSON has no form of as it prints."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
