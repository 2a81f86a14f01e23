"""A few rows, as Python values, → the frames that a model takes, without a table between: what an endpoint does for
every request. The frames are those that :class:`Scorer` makes of the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from fstk.engines.types import arrow_type
from fstk.errors import TypeMismatch
from fstk.models.kernel import Scorer
from fstk.training.dtypes import Dtype

if TYPE_CHECKING:
    import pandas

Columns = Mapping[str, Sequence[Any]]


class RowFrames:
    """Called with values by column, the model's among them, yields frames, each with the places of its rows.

    Where all columns are numbers, booleans and strings in the dtypes that hold them as they are, the frame is built of
    one block for each dtype; pandas itself would take a step for every column. All else goes by Arrow. TypeMismatch: a
    value that the column's type does not hold.
    """

    def __init__(self, scorer: Scorer) -> None:
        import pandas

        record = scorer.record
        self._scorer = scorer
        self._kinds = {name: arrow_type(spark) for name, spark in record.inputs.items()}
        self._index = pandas.Index(list(self._kinds))
        plain = all(_plain(kind, record.dtypes[name]) for name, kind in self._kinds.items())
        names: dict[str, list[str]] = {}
        for name in self._kinds if plain else ():
            names.setdefault(record.dtypes[name].name, []).append(name)
        self._blocks = [(dtype, held, self._index.get_indexer(held)) for dtype, held in names.items()]

    def __call__(self, columns: Columns, number: int) -> Iterator[tuple[np.ndarray, pandas.DataFrame]]:
        frame = self._frame(columns, number) if self._blocks else None
        if frame is not None:
            yield np.arange(number), frame
            return
        try:
            rows = pa.table({name: pa.array(columns[name], kind) for name, kind in self._kinds.items()})
        except (pa.ArrowException, OverflowError) as error:
            raise TypeMismatch(
                f"a stored value does not fit the type that {self._scorer.name} was trained on"
            ) from error
        yield from self._scorer.frames(rows)

    def _frame(self, columns: Columns, number: int) -> pandas.DataFrame | None:
        """Return the rows in one frame, None where they are for Arrow: a null where the dtype has none."""
        import pandas
        from pandas.core.internals import api, managers

        made = []
        for dtype, held, places in self._blocks:
            values = [columns[name] for name in held]
            if dtype not in ("float64", "object") and any(None in one for one in values):
                return None
            try:
                block = np.empty((len(held), number), dtype)
                block[:] = values
            except OverflowError:
                return None
            made.append(api.make_block(block, places))
        manager = managers.BlockManager(made, [self._index, pandas.RangeIndex(number)])
        return pandas.DataFrame._from_mgr(manager, manager.axes)


def _plain(kind: pa.DataType, dtype: Dtype) -> bool:
    if pa.types.is_string(kind):
        return dtype.name == "object"
    if pa.types.is_boolean(kind):
        return dtype.name in ("bool", "object")
    if pa.types.is_integer(kind):
        return dtype.name in ("float64", str(np.dtype(kind.to_pandas_dtype())))
    return pa.types.is_float64(kind) and dtype.name == "float64"
