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
from fstk.errors import FstkError

_AT_ONCE = 16  # a plan of all of them takes longer to make than the jobs that it saves
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
        with suppress(FstkError):
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
    from pyspark.sql import functions as F

    structs = {case: F.struct(*map(_quoted, frame.columns)) for case, frame in frames.items()}
    types = {case: frame.select(structs[case].alias("rows")).schema["rows"].dataType for case, frame in frames.items()}
    parts = [
        frame.select(
            F.lit(case).alias("case"),
            *(
                (structs[case] if other == case else F.lit(None).cast(types[other])).alias(f"rows {number}")
                for number, other in enumerate(frames)
            ),
        )
        for case, frame in frames.items()
    ]
    rows = engine.arrow(reduce(lambda one, other: one.union(other), parts))
    found = {}
    for number, case in enumerate(frames):
        own = rows.filter(pc.equal(rows["case"], case))[f"rows {number}"].combine_chunks()
        found[case] = pa.Table.from_arrays(own.flatten(), names=[field.name for field in own.type])
    return found


def _quoted(name: str) -> Any:
    from pyspark.sql import functions as F

    return F.col("`{}`".format(name.replace("`", "``"))).alias(name)
