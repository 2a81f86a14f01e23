"""What the user says: which features of which table, found by which columns of the labels."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from fstk.columns.length import read_age
from fstk.columns.typing import Nulls
from fstk.columns.values import decoded, encoded, plain
from fstk.errors import InvalidInput, NameCollision
from fstk.warehouse import table_name as canonical

MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True, init=False)
class FeatureLookup:
    """Features of one feature table, looked up by columns of the labels.

    Args:
        table_name: the feature table, one to three parts; lower-cased.
        lookup_key: the labels' column, or columns, that hold the table's keys, mapped by position.
        feature_names: one column of the table, a list of them, or None for all features (neither keys nor time).
        rename_outputs: feature → name of its column in the training set; the others keep theirs.
        timestamp_lookup_key: the labels' time column (a name or a list of one), required for a table with a time
            column: a feature row is seen when its time is not after this one.
        lookback_window: how old a feature row may be at most, inclusive: a ``timedelta``, a length such as ``"14d"``
            or ``"36h"``; None for no limit, zero for equal times only.
        default_values: output name → value that stands for its nulls, missing or stored.
        nulls: ``"keep"`` takes the newest row that a label may see whole, nulls and all; ``"skip"`` takes of each
            feature the newest value that is not null among the rows that the label may see, each with its own time
            (docs/rules.md#join-11).

    Raises:
        InvalidInput: an argument of another shape than described.
        InvalidName: ``table_name`` is not a table name.
        NameCollision: two features of this lookup would carry one name.

    The argument names and shapes are those of the public Databricks Feature Engineering API.

    >>> from datetime import timedelta
    >>> lookup = FeatureLookup(
    ...     "shop.spend",
    ...     "customer_id",
    ...     timestamp_lookup_key="at",
    ...     lookback_window=timedelta(days=5),
    ...     default_values={"spend_30d": 0.0},
    ... )
    >>> labels = training_set.labels  # customer 1 at 3 and 9 January, customer 9 at 9 January
    >>> fe.create_training_set(df=labels, feature_lookups=[lookup], label=None).to_pandas()["spend_30d"].tolist()
    [10.0, 25.0, 0.0]
    """

    table_name: str
    lookup_key: tuple[str, ...]
    feature_names: tuple[str, ...] | None
    rename_outputs: dict[str, str]
    timestamp_lookup_key: str | None
    lookback_window: dt.timedelta | None
    default_values: dict[str, Any]
    nulls: Nulls

    def __init__(
        self,
        table_name: str,
        lookup_key: str | Sequence[str],
        *,
        feature_names: str | Sequence[str] | None = None,
        rename_outputs: Mapping[str, str] | None = None,
        timestamp_lookup_key: str | Sequence[str] | None = None,
        lookback_window: dt.timedelta | str | None = None,
        default_values: Mapping[str, Any] | None = None,
        nulls: Nulls = "keep",
    ) -> None:
        name = canonical(table_name)
        times = _names(timestamp_lookup_key, "timestamp_lookup_key", name)
        if times is not None and len(times) > 1:
            raise InvalidInput(f"timestamp_lookup_key of {name} must be one column; got {', '.join(times)}.")
        lookback = _lookback(lookback_window, times, name)
        _check_nulls(nulls, times, name)
        names = _names(feature_names, "feature_names", name)
        renames = _mapping(rename_outputs, "rename_outputs", name)
        for old, new in renames.items():
            if not isinstance(new, str) or not new:
                raise InvalidInput(f"rename_outputs of {name}: {old} must map to a column name; got {new!r}.")
        if names is not None:
            _check_outputs(names, renames, name)
        values = {
            "table_name": name,
            "lookup_key": _names(lookup_key, "lookup_key", name) or (),
            "feature_names": names,
            "rename_outputs": renames,
            "timestamp_lookup_key": times[0] if times else None,
            "lookback_window": lookback,
            "default_values": {k: plain(v) for k, v in _mapping(default_values, "default_values", name).items()},
            "nulls": nulls,
        }
        if not values["lookup_key"]:
            raise InvalidInput(f"lookup_key of {name} must be a column of the labels or a list of columns; got None.")
        for field, value in values.items():
            object.__setattr__(self, field, value)

    @property
    def lookback(self) -> int | None:
        """The look-back window in whole microseconds."""
        return None if self.lookback_window is None else self.lookback_window // MICROSECOND

    def to_json(self) -> dict[str, Any]:
        """Return the lookup as JSON values, without loss; :meth:`from_json` turns them back.

        >>> FeatureLookup("shop.spend", "customer_id", timestamp_lookup_key="at").to_json()["lookup_key"]
        ['customer_id']
        """
        return {
            "table_name": self.table_name,
            "lookup_key": list(self.lookup_key),
            "feature_names": None if self.feature_names is None else list(self.feature_names),
            "rename_outputs": dict(self.rename_outputs),
            "timestamp_lookup_key": self.timestamp_lookup_key,
            "lookback_microseconds": self.lookback,
            "default_values": {name: encoded(value) for name, value in self.default_values.items()},
            "nulls": self.nulls,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FeatureLookup:
        """Return the lookup that :meth:`to_json` described.

        >>> lookup = FeatureLookup("shop.spend", "customer_id", timestamp_lookup_key="at")
        >>> FeatureLookup.from_json(lookup.to_json()) == lookup
        True
        """
        given = dict(data)
        lookback = given.pop("lookback_microseconds")
        window = None if lookback is None else lookback * MICROSECOND
        values = {name: decoded(value) for name, value in given.pop("default_values").items()}
        return cls(**given, lookback_window=window, default_values=values)


def _names(value: Any, argument: str, table: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Sequence) else (value,)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise InvalidInput(f"{argument} of {table} must be a column name or a list of column names; got {value!r}.")
    return names


def _mapping(value: Any, argument: str, table: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise InvalidInput(f"{argument} of {table} must map column names; got {value!r}.")
    return dict(value)


def _lookback(window: Any, times: tuple[str, ...] | None, table: str) -> dt.timedelta | None:
    if window is None:
        return None
    if times is None:
        raise InvalidInput(f"lookback_window of {table} needs a timestamp_lookup_key to look back from.")
    if not isinstance(window, dt.timedelta | str):
        raise InvalidInput(
            f"lookback_window of {table} must be a datetime.timedelta or a length such as '14d'; got {window!r}."
        )
    return read_age(window, f"lookback_window of {table}")


def _check_nulls(nulls: str, times: tuple[str, ...] | None, table: str) -> None:
    if nulls not in get_args(Nulls):
        raise InvalidInput(f"nulls of {table} must be 'keep' or 'skip'; got {nulls!r}.")
    if nulls == "skip" and times is None:
        raise InvalidInput(
            f"nulls='skip' of {table} needs a timestamp_lookup_key: only rows of several times have an older value."
        )


def _check_outputs(names: tuple[str, ...], renames: dict[str, str], table: str) -> None:
    seen: dict[str, str] = {}
    for name in names:
        output = renames.get(name, name)
        if output.lower() in seen:
            raise NameCollision(
                f"{table}: features {seen[output.lower()]} and {name} would both be called {output}. "
                "Use rename_outputs."
            )
        seen[output.lower()] = name
