"""An example of every class that is shown, made from its type hints and filled with hostile text.

A class that cannot be made from its hints alone has a line in ``_BY_HAND``; a new one is found by itself.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import importlib
import pkgutil
import types
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pyarrow as pa

import fstk
from fstk.demo.churn import Demo
from fstk.display import Displayed, Stacked
from fstk.errors import FstkError, UnknownTable
from fstk.jobs.job import Job
from fstk.jobs.parameters import Declaration
from fstk.jobs.runner import JobRun
from fstk.jobs.scrubber import Scrubber
from fstk.models.spec import ModelRecord
from fstk.monitoring.evidently import Answers
from fstk.online.reader import KeyState, OnlineRows
from fstk.previews.loaded import LoadedJoin, LoadedRows
from fstk.previews.timeline import Timeline
from fstk.tables.spec import FeatureTable
from fstk.training.explain import STATUSES
from fstk.training.functions import FeatureFunction
from fstk.training.plan import TrainingPlan, plan_training_set
from fstk.training.rows import Rows
from fstk.training.spec import FeatureLookup
from fstk.training.summary import Summary
from fstk.training.training_set import Explanation, TrainingSet
from fstk.verbs.explain import LabelExplanation
from fstk.verbs.tables import TableList
from fstk.windows.features import WindowedFeatures
from fstk.windows.spec import Aggregate

HOSTILE = "<script>alert('x')</script> \x1b[31m<style>*{}</style> & https://evil.example/" + "é東" * 40
AT = datetime(1998, 3, 31, 23, 59, 59, 999_999, tzinfo=UTC)
LABELS = pa.table({"customer_id": pa.array([1, 2], pa.int64()), "event_ts": [AT, None], "<b>label</b>": [True, False]})
_ABSTRACT = {Stacked, Rows}


@cache
def shown_classes() -> tuple[type, ...]:
    """Return every class of fstk that is shown, from all its modules."""
    for module in pkgutil.walk_packages(fstk.__path__, "fstk."):
        importlib.import_module(module.name)
    found: list[type] = []
    waiting: list[type] = [Displayed]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if kind.__module__.startswith("fstk.") and kind not in _ABSTRACT and kind not in found:
                found.append(kind)
    return tuple(sorted(found, key=lambda kind: (kind.__module__, kind.__name__)))


def example(kind: type) -> Any:
    """Return an instance of a class that is shown."""
    return _made(kind)


def _made(hint: Any) -> Any:
    if hint in _BY_HAND:
        return _BY_HAND[hint]()
    if hint in _ATOMS:
        return _ATOMS[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return inner[0]
    if origin in (Union, types.UnionType):
        return _made(next(one for one in inner if one is not type(None)))
    if origin is tuple:
        return tuple(_made(one) for one in inner if one is not Ellipsis) * (2 if Ellipsis in inner else 1)
    if origin is collections.abc.Callable:
        return str
    if origin in (list, collections.abc.Sequence):
        return [_made(inner[0])] * 2
    if origin in (dict, collections.abc.Mapping):
        return {_made(inner[0]): _made(inner[1])}
    if isinstance(hint, type) and issubclass(hint, FstkError):
        return UnknownTable(HOSTILE)
    if dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(**{field.name: _made(hints[field.name]) for field in dataclasses.fields(hint) if field.init})  # type: ignore[operator]
    if isinstance(hint, type) and (issubclass(hint, msgspec.Struct) or hasattr(hint, "_fields")):
        return hint(**{name: _made(kind) for name, kind in get_type_hints(hint).items()})
    raise AssertionError(f"no example of {hint}: add one to _BY_HAND in {__file__}")


def _table() -> FeatureTable:
    return FeatureTable(
        "feature_store.customer_features",
        ("customer_id",),
        "as_of",
        {"customer_id": "bigint", "as_of": "timestamp", **{f"feature_{n}": "double" for n in range(300)}},
        ("customer_id",),
        HOSTILE,
        {HOSTILE: HOSTILE},
        version=3,
        rows=1_374_281,
        location=HOSTILE,
    )


def _plan() -> TrainingPlan:
    table = _table()
    lookup = FeatureLookup(table.name, "customer_id", timestamp_lookup_key="event_ts", lookback_window=timedelta(30))
    schema = {"customer_id": "bigint", "event_ts": "timestamp", "<b>label</b>": "boolean"}
    ratio = FeatureFunction("feature_1 * 2", HOSTILE)
    return plan_training_set(schema, [ratio, lookup], {table.name: table}, "<b>label</b>")


def _explanation() -> Explanation:
    explanation = Explanation(_plan(), LABELS, True)
    vars(explanation)["summary"] = _made(Summary)  # what is computed of a real table elsewhere
    return explanation


def _demo() -> Demo:
    row = {"txn_count_30d": 2, "total_spend_30d": 41.98}
    customer = OnlineRows(HOSTILE, [row], [KeyState("present", AT)], 3, AT)
    return Demo(_made(JobRun), {HOSTILE: _STATUSES}, customer)


def _timeline() -> Timeline:
    days = [AT + timedelta(day) for day in range(-400, 400)]
    return Timeline.of(
        entity=HOSTILE,
        at=AT,
        lookup=HOSTILE,
        status="matched",
        times=days,
        used=AT,
        events=days,
        lookback=timedelta(30),
    )


_STATUSES = dict.fromkeys(STATUSES, 12_345)
_ATOMS: dict[Any, Any] = {
    str: HOSTILE,
    int: 12_345_678,
    float: 1234.56789,
    bool: True,
    bytes: b"\x00",
    datetime: AT,
    date: date(1998, 3, 31),
    timedelta: timedelta(days=3),
    Path: Path("runs") / "<b>churn",
    Any: HOSTILE,
    object: HOSTILE,
}
_BY_HAND: dict[Any, Any] = {
    FeatureTable: _table,
    TrainingPlan: _plan,
    ModelRecord: lambda: ModelRecord(_plan(), True, {}),
    dict[str, int]: lambda: _STATUSES,
    Answers: lambda: Answers.__new__(Answers),  # shown only in a file of its own
    Demo: _demo,
    LabelExplanation: lambda: LabelExplanation(
        HOSTILE, ((AT, HOSTILE, HOSTILE, None, timedelta(3), 12_345, AT),) * 300, (_timeline(),)
    ),
    Explanation: _explanation,
    LoadedJoin: lambda: LoadedJoin(_plan(), LABELS, True, LoadedRows({}), {}, {}, {}),
    Job: lambda: Job(HOSTILE, _made(Declaration), {HOSTILE: HOSTILE}, None),
    OnlineRows: lambda: OnlineRows(HOSTILE, [{HOSTILE: HOSTILE}] * 300, [KeyState("present", AT)] * 300, 3, AT),
    Scrubber: lambda: Scrubber([]),
    TableList: lambda: TableList((_table(),) * 300),
    Timeline: _timeline,
    FeatureLookup: lambda: FeatureLookup("a.b", "k"),
    TrainingSet: lambda: TrainingSet(_plan(), LABELS, True),
    WindowedFeatures: lambda: WindowedFeatures(
        LABELS, "customer_id", "event_ts", [Aggregate("sum(a) FILTER (WHERE b = '<script>')", "n")], ["7d", None]
    ),
    Aggregate: lambda: Aggregate("count(*)", "n"),
    pa.Table: lambda: LABELS,
    pa.Scalar: lambda: pa.scalar(HOSTILE),
}
