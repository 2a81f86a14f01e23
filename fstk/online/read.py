"""Online rows by key, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from fstk.online.reader import OnlineReader, OnlineRows, described
from fstk.online.spec import OnlineSpec, open_store


def read_online(
    name: str,
    keys: Sequence[Mapping[str, Any]],
    features: Sequence[str] | None = None,
    *,
    store: str | OnlineSpec | None = None,
    now: datetime | date | None = None,
) -> OnlineRows:
    """Return the online rows of ``keys``, in their order; a key with a None equals nothing.

    See ``FeatureEngineeringClient.read_online`` for arguments and errors. ``now`` decides what is expired: a datetime
    with a time zone or a date (its midnight UTC).

    >>> from fstk.online.read import read_online
    >>> report = fe.publish_table(source_table_name="shop.spend")
    >>> read_online("shop.spend", [{"customer_id": 1}, {"customer_id": 9}], ["spend_30d"])[:]
    [{'customer_id': 1, 'spend_30d': 25.0}, {'customer_id': 9, 'spend_30d': None}]
    """
    with OnlineReader({name: features}, store) as reader:
        return reader.read({name: keys}, now=now)[name]


def drop_online_table(name: str, store: str | OnlineSpec | None = None) -> None:
    """Remove a table and its rows from an online store; see ``FeatureEngineeringClient.drop_online_table``."""
    with open_store(store) as online:
        online.drop(described(online, name))
