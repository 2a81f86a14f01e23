"""Values that stand for nulls: fitted to a column's type exactly, and written to JSON and back without loss."""

from __future__ import annotations

import base64
import datetime as dt
import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any

import pyarrow as pa

from fstk.columns.instants import given
from fstk.errors import TypeMismatch, shown

_BITS = {pa.int8().id: 7, pa.int16().id: 15, pa.int32().id: 31, pa.int64().id: 63}
_FLOATS = {pa.float32().id, pa.float64().id}
_THEMSELVES: dict[int, type] = {pa.string().id: str, pa.bool_().id: bool, pa.date32().id: dt.date}
_LARGEST_FLOAT = (2 - 2**-23) * 2.0**127


def plain(value: Any) -> Any:
    """Return a NumPy scalar or array as the Python value it holds; anything else as it is."""
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    return value


def fitted(value: Any, arrow: pa.DataType, argument: str) -> Any:
    """Return ``value`` as the Python value that a column of type ``arrow`` holds, unchanged in meaning.

    A timestamp needs a datetime with a time zone (for TIMESTAMP_NTZ its UTC reading is taken), a decimal an int,
    Decimal or float whose digits fit its scale, an array a list, a struct a dict of exactly its fields, a map a dict.

    Raises TypeMismatch, or NaiveDatetime for a datetime without a time zone; the message names ``argument``.
    """
    result = _fit(value, arrow, argument)
    if result is None:
        raise _mismatch(value, arrow, argument)
    return result


def _fit(value: Any, arrow: pa.DataType, argument: str) -> Any:
    """Return the fitted value, or None when it does not fit."""
    if isinstance(value, dt.datetime):
        return _instant(value, arrow, argument)
    if arrow.id in _BITS:
        bound = 2 ** _BITS[arrow.id]
        return value if _is_int(value) and -bound <= value < bound else None
    if arrow.id in _FLOATS:
        return _float(value, arrow)
    if isinstance(arrow, pa.Decimal128Type):
        return _decimal(value, arrow)
    if isinstance(arrow, pa.ListType):
        return [_part(item, arrow.value_type, argument) for item in value] if isinstance(value, list | tuple) else None
    if isinstance(arrow, pa.StructType):
        names = [field.name for field in arrow]
        if not isinstance(value, Mapping) or set(value) != set(names):
            return None
        return {field.name: _part(value[field.name], field.type, argument) for field in arrow}
    if isinstance(arrow, pa.MapType):
        if not isinstance(value, Mapping):
            return None
        keys, items = arrow.key_type, arrow.item_type
        return [(fitted(key, keys, argument), _part(item, items, argument)) for key, item in value.items()]
    if arrow == pa.binary():
        return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else None
    if not isinstance(value, _THEMSELVES.get(arrow.id, ())):
        return None
    return value if not isinstance(value, str) or _is_text(value) else None


def _part(value: Any, arrow: pa.DataType, argument: str) -> Any:
    return None if value is None else fitted(value, arrow, argument)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which no column can hold
        return False
    return True


def _instant(value: dt.datetime, arrow: pa.DataType, argument: str) -> dt.datetime | None:
    if not isinstance(arrow, pa.TimestampType) or value != value:  # pandas.NaT is a datetime that differs from itself
        return None
    utc = given(value, argument)
    if getattr(value, "nanosecond", 0):
        return None
    exact = dt.datetime.combine(utc.date(), utc.time(), dt.UTC)  # a pandas.Timestamp becomes a plain datetime
    return exact if arrow.tz else exact.replace(tzinfo=None)


def _float(value: Any, arrow: pa.DataType) -> float | None:
    if not (_is_int(value) or isinstance(value, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    if _is_int(value) and int(number) != value:
        return None
    return None if arrow == pa.float32() and _LARGEST_FLOAT < abs(number) < math.inf else number


def _decimal(value: Any, arrow: pa.Decimal128Type) -> Decimal | None:
    if not (_is_int(value) or isinstance(value, float | Decimal)):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)  # 0.1 means 0.1
    if not number.is_finite():
        return None
    with localcontext(prec=76) as context:
        try:
            exact = number.quantize(Decimal(1).scaleb(-arrow.scale), context=context)
        except InvalidOperation:
            return None
    exact = abs(exact) if exact == 0 else exact  # a column has no −0
    return exact if exact == number and len(exact.as_tuple().digits) <= arrow.precision else None


def _mismatch(value: Any, arrow: pa.DataType, argument: str) -> TypeMismatch:
    return TypeMismatch(f"{argument}: {shown(value)} ({type(value).__name__}) does not fit the column's type {arrow}.")


def encoded(value: Any) -> Any:
    """Return a default value as JSON values; what JSON lacks is an object with one ``$`` name."""
    match value:
        case float() if not math.isfinite(value):
            return {"$double": repr(value)}
        case Decimal():
            return {"$decimal": str(value)}
        case bytes() | bytearray():
            return {"$binary": base64.b64encode(value).decode()}
        case dt.datetime():
            return {"$timestamp": value.isoformat()}
        case dt.date():
            return {"$date": value.isoformat()}
        case list():
            return [encoded(item) for item in value]
        case tuple():
            return {"$tuple": [encoded(item) for item in value]}
        case Mapping():
            return {"$entries": [[encoded(key), encoded(item)] for key, item in value.items()]}
        case _:
            return value


def decoded(value: Any) -> Any:
    """Return the default value that :func:`encoded` wrote."""
    match value:
        case {"$double": text}:
            return float(text)
        case {"$decimal": text}:
            return Decimal(text)
        case {"$binary": text}:
            return base64.b64decode(text)
        case {"$timestamp": text}:
            return dt.datetime.fromisoformat(text)
        case {"$date": text}:
            return dt.date.fromisoformat(text)
        case {"$entries": entries}:
            return {decoded(key): decoded(item) for key, item in entries}
        case {"$tuple": items}:
            return tuple(decoded(item) for item in items)
        case list():
            return [decoded(item) for item in value]
        case _:
            return value
