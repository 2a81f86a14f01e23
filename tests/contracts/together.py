"""Many cases in one Spark job: one frame, with a column that names the case and a struct for the rows of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from fstk.engines.base import Engine
from fstk.engines.spark_errors import translated
from fstk.errors import FstkError

_AT_ONCE = 8  # a plan of all of them takes longer to make than the jobs that it saves
_known: dict[str, pa.Table] = {}


def together(request: pytest.FixtureRequest, engine: Engine, frame: Callable[[Mapping[str, Any]], Any]) -> pa.Table:
    """Return the rows of this test's case; ``frame`` says what is to be run for a case.

    With it, the cases of the tests that come next on this engine are run, those alone that end in rows. When that
    fails, this case is run by itself, so that the one that is at fault is the one that fails.
    """
    mine: Any = request.node
    if mine.nodeid not in _known:
        items: list[Any] = [item for item in request.session.items if _alike(item, mine)]
        items = items[items.index(mine) :][:_AT_ONCE]
        with suppress(FstkError), translated():
            _known.update(_run({item.nodeid: frame(item.callspec.params["case"]) for item in items}, engine))
    if mine.nodeid not in _known:
        _known[mine.nodeid] = engine.arrow(frame(mine.callspec.params["case"]))
    return _known.pop(mine.nodeid)


def _alike(item: Any, mine: Any) -> bool:
    if getattr(item, "originalname", None) != mine.originalname or item.path != mine.path:
        return False
    params = item.callspec.params
    return params["engine"] == mine.callspec.params["engine"] and "error" not in params["case"]


def _run(frames: Mapping[str, Any], engine: Engine) -> dict[str, pa.Table]:
    # SQL text, and plain names: functions of pyspark.sql are of one session, and columns here of any name.
    plain = [frame.toDF(*(f"c{number}" for number in range(len(frame.columns)))) for frame in frames.values()]
    types = [", ".join(f"{name}: {kind}" for name, kind in engine.schema(frame).items()) for frame in plain]
    parts = [
        frame.selectExpr(
            f"{case} AS which",
            *(
                f"{'struct(*)' if other == case else f'CAST(NULL AS STRUCT<{kinds}>)'} AS rows{other}"
                for other, kinds in enumerate(types)
            ),
        )
        for case, frame in enumerate(plain)
    ]
    rows = engine.arrow(reduce(lambda one, other: one.union(other), parts))
    found = {}
    for case, (name, frame) in enumerate(frames.items()):
        own = rows.filter(pc.equal(rows["which"], case))[f"rows{case}"].combine_chunks()
        found[name] = pa.Table.from_arrays(own.flatten(), names=frame.columns)
    return found
