"""Does the store hold what the feature table held at the version that was published last?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from fstk.columns.instants import instant
from fstk.display import Displayed, Sheet
from fstk.engines.base import Engine
from fstk.errors import StoreUnavailable
from fstk.online.codec import RowCodec
from fstk.online.keys import KeyCodec
from fstk.online.reader import described
from fstk.online.source import Source, engine_for
from fstk.online.spec import OnlineSpec, open_store
from fstk.online.store import OnlineTable, Row
from fstk.tables.spec import FeatureTable

_SHOWN = 10


@dataclass(frozen=True)
class Difference:
    """One value that differs; ``feature`` None where there is no online row, ``key`` spelled ``customer_id=17``."""

    key: str
    feature: str | None
    offline: Any
    online: Any


@dataclass(frozen=True, repr=False)
class ParityReport(Displayed):
    """Keys of the feature table at ``source_version`` beside the online rows.

    ``equal`` keys hold the same values of the same types, ``different`` do not, ``missing`` have no online row;
    ``kept`` online rows have a key that the feature table lacks (published earlier, and never removed).
    ``differences`` names the first few.
    """

    table: str
    store: str
    source_version: int
    equal: int
    different: int
    missing: int
    kept: int
    differences: tuple[Difference, ...]

    @property
    def ok(self) -> bool:
        """Whether every key of the feature table reads online as it is offline."""
        return not self.different and not self.missing

    def display(self) -> Sheet:
        """Return the differences, the bad news first."""
        counts = f"{self.equal:,} equal · {self.different:,} different · {self.missing:,} missing online"
        kept = [f"{self.kept:,} online rows have a key that is not offline; merge keeps them."] if self.kept else []
        title = f"{self.table} at version {self.source_version} against {self.store}\n{counts}"
        columns = ("key", "feature", "offline", "online") if self.differences else ()
        rows = [(d.key, d.feature or "the whole row", d.offline, d.online) for d in self.differences]
        return Sheet(title, columns, rows, kept)


def check_parity(
    table: FeatureTable, store: str | OnlineSpec | None = None, *, engine: Engine | None = None
) -> ParityReport:
    """Compare every online row with the feature table at the version last published, value and type, TTL aside.

    Args:
        table: the feature table.
        store: a spec or URL; None is the setting ``FSTK_ONLINE_STORE``.
        engine: as in :func:`fstk.online.publish.publish`.

    Raises:
        UnknownTable: it was never published there.
        ExpiredSnapshot: the published version is no longer kept offline.
        StoreUnavailable: the store did not answer, or no publication was completed.

    >>> from fstk.online.parity import check_parity
    >>> report = fe.publish_table(source_table_name="shop.spend")
    >>> parity = check_parity(fe.get_table(name="shop.spend"))
    >>> parity.ok, parity.equal, parity.different, parity.missing
    (True, 2, 0, 0)
    """
    with open_store(store) as online:
        target = described(online, table.name)
        mark = target.watermark
        if mark is None:
            raise StoreUnavailable(f"no publication of {target.name} to {online.url} was completed; publish again.")
        at_mark = replace(table, version=mark.version)
        reader = engine_for(at_mark, mark.filter_condition) if engine is None else engine
        source = Source(at_mark, reader, target, mark.filter_condition, mark.seen_to)
        equal = different = missing = 0
        shown: list[Difference] = []
        for portion in source.everything():
            (stored,) = online.get([(target, [row.key for row in portion.rows])])
            for offered, held in zip(portion.rows, stored, strict=True):
                found = list(_differences(target, offered, held))
                shown += found[: _SHOWN - len(shown)]
                equal += not found
                missing += held is None
                different += bool(found) and held is not None
        kept = online.count(target) - equal - different
        return ParityReport(target.name, online.url, mark.version, equal, different, missing, kept, tuple(shown))


def _differences(target: OnlineTable, offered: Row, held: Row | None) -> Iterator[Difference]:
    if held is not None and offered._replace(version=0) == held._replace(version=0):
        return
    key = KeyCodec(target.keys).spelled(offered.key)
    if held is None:
        yield Difference(key, None, "there", None)
        return
    if offered.event_time != held.event_time:
        yield Difference(key, target.timeseries_column, instant(offered.event_time), instant(held.event_time))
    offline = RowCodec(target.layouts[offered.layout]).decode(offered.value)
    online = RowCodec(target.layouts[held.layout]).decode(held.value)
    for feature, value in offline.items():
        if repr(value) != repr(online.get(feature)):  # repr, so that types, NaN and −0.0 count
            yield Difference(key, feature, value, online.get(feature))
