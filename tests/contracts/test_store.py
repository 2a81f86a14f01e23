"""What every online store must do, on each there is: order per key under any interleaving, counts, tables.

A store joins by one entry in ``STORES`` of ``tests/stores.py``.
"""

from __future__ import annotations

import itertools
import pickle
import random
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fstk.columns.instants import FIRST_INSTANT, LAST_INSTANT
from fstk.errors import WriteConflict
from fstk.online.parity import check_parity
from fstk.online.publish import publish
from fstk.online.read import drop_online_table, read_online
from fstk.online.spec import SPECS, OnlineSpec, open_store
from fstk.online.store import Counts, OnlineStore, OnlineTable, Row, Watermark, replaces, verdict
from tests.contracts import publisher
from tests.generated import examples
from tests.online.tables import Made
from tests.stores import PROCESSES, STORES, can, got, parameters

TABLE = OnlineTable(
    name="t",
    generation="",
    source="a-table",
    keys={"id": "bigint", "region": "string"},
    timeseries_column="at",
    layouts=({"x": "double"},),
    ttl=timedelta(days=30, microseconds=1),
    watermark=None,
)
WIDER = replace(TABLE, layouts=({"x": "double"}, {"x": "double", "y": "decimal(10,2)"}))
T0 = datetime(2024, 1, 1, tzinfo=UTC)
MARK = Watermark(7, T0, None, None, 0)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def table(store: OnlineStore) -> OnlineTable:
    return store.put_table(TABLE, None)


def test_every_store_that_a_url_can_name_is_held_to_this() -> None:
    assert set(SPECS) <= set(STORES)


def test_a_table_is_described_by_the_store_alone(spec: OnlineSpec, store: OnlineStore) -> None:
    assert (store.names(), store.table("t")) == ([], None)
    put = store.put_table(TABLE, None)
    assert replace(put, generation="") == TABLE
    with spec.open() as again:
        assert again.table("t") == put
        held = again.table("t")
        assert held is not None
        assert list(held.keys) == ["id", "region"]
        mark = replace(MARK, waiting=T0 + MICROSECOND, filter_condition="x > 1")
        again.complete(put, mark)
    assert store.table("t") == replace(put, watermark=mark)
    assert store.names() == ["t"]


def test_a_static_table_without_ttl_or_features_is_described_too(store: OnlineStore) -> None:
    static = replace(TABLE, name="static", timeseries_column=None, ttl=None, layouts=({},))
    assert replace(store.put_table(static, None), generation="") == static


def test_names_are_in_order_and_tables_apart(store: OnlineStore, table: OnlineTable) -> None:
    other = store.put_table(replace(TABLE, name="a.b"), None)
    store.write(table, [Row(b"k", 1, 1, 0, b"t")])
    store.write(other, [Row(b"k", 1, 1, 0, b"a.b"), Row(b"l", 1, 1, 0, b"")])
    assert store.names() == ["a.b", "t"]
    assert got(store, table, [b"k", b"l"]) == [Row(b"k", 1, 1, 0, b"t"), None]
    assert (store.count(table), store.count(other)) == (1, 2)
    store.drop(other)
    assert store.names() == ["t"]
    assert (store.count(table), store.count(other)) == (1, 0)


def test_its_url_names_it(store: OnlineStore, table: OnlineTable) -> None:
    with open_store(store.url) as same:
        assert same.url == store.url
        assert same.table("t") == table


@pytest.mark.parametrize("older", [{"version": 6}, {"layout": 0}, {"seen_to": T0 - MICROSECOND}])
def test_a_watermark_never_goes_back(store: OnlineStore, older: dict[str, int]) -> None:
    table = store.put_table(WIDER, None)
    newest = replace(MARK, layout=1)
    store.complete(table, newest)
    store.complete(table, replace(newest, **older))
    held = store.table("t")
    assert held is not None
    assert held.watermark == newest


@pytest.mark.parametrize(
    "later", [{"version": 8, "layout": 0}, {"layout": 1, "seen_to": T0 - MICROSECOND}, {"filter_condition": "x > 2"}]
)
def test_a_watermark_goes_on_and_the_last_of_equals_counts(store: OnlineStore, later: dict[str, int]) -> None:
    table = store.put_table(WIDER, None)
    store.complete(table, MARK)
    store.complete(table, replace(MARK, **later))
    held = store.table("t")
    assert held is not None
    assert held.watermark == replace(MARK, **later)


def test_describing_a_table_anew_leaves_its_watermark(store: OnlineStore, table: OnlineTable) -> None:
    store.complete(table, MARK)
    put = store.put_table(replace(table, ttl=None, watermark=None), table)
    assert put == replace(table, ttl=None, watermark=MARK)
    assert store.table("t") == put


_ORDERS = st.tuples(st.integers(-3, 3), st.integers(0, 3), st.integers(0, 1), st.sampled_from([b"a", b"b"]))
_BATCHES = st.lists(st.dictionaries(st.sampled_from([b"i1", b"i2", b"i3"]), _ORDERS, max_size=3), max_size=8)
_NUMBERS = itertools.count()


def _said(row: Row, old: Row | None) -> tuple[str, bool]:
    """How a row offered is counted, and whether it is kept: docs/rules.md#online-1, written once more."""
    if old is None:
        return "written", True
    if (row.event_time, row.version, row.layout) == (old.event_time, old.version, old.layout):
        return "unchanged", False
    if (row.event_time, row.version, row.layout) < (old.event_time, old.version, old.layout):
        return "stale", False
    moved = row.event_time != old.event_time or row.layout != old.layout or row.value != old.value
    return "written" if moved else "unchanged", True


@given(_ORDERS, _ORDERS)
def test_the_rule_by_which_a_store_decides(one: tuple, two: tuple) -> None:
    row, old = Row(b"k", *one), Row(b"k", *two)
    assert (verdict(row, old), replaces(row, old)) == _said(row, old)
    assert (verdict(row, None), replaces(row, None)) == ("written", True)


def test_any_sequence_of_batches_is_decided_by_the_rule(store: OnlineStore, share: float) -> None:
    @settings(max_examples=round(examples(50) * share), deadline=None)
    @given(_BATCHES)
    def check(batches: list[dict[bytes, tuple]]) -> None:
        table = store.put_table(replace(WIDER, name=f"t{next(_NUMBERS)}"), None)
        held: dict[bytes, Row] = {}
        for batch in batches:
            rows = [Row(key, *order) for key, order in batch.items()]
            said = [_said(row, held.get(row.key)) for row in rows]
            words = [word for word, _ in said]
            expected = Counts(words.count("written"), words.count("unchanged"), words.count("stale"), 0)
            assert store.write(table, rows) == expected
            held |= {row.key: row for row, (_, kept) in zip(rows, said, strict=True) if kept}
        keys = [b"i3", b"i0", b"i1", b"i2", b"i3"]
        assert got(store, table, keys) == [held.get(key) for key in keys]
        assert store.count(table) == len(held)

    check()


def test_equal_event_time_and_newer_version_wins(store: OnlineStore, table: OnlineTable) -> None:
    assert store.write(table, [Row(b"k", 5, 1, 0, b"one")]) == Counts(written=1)
    assert store.write(table, [Row(b"k", 5, 2, 0, b"two")]) == Counts(written=1)
    assert store.write(table, [Row(b"k", 5, 1, 0, b"one")]) == Counts(stale=1)
    assert got(store, table, [b"k"]) == [Row(b"k", 5, 2, 0, b"two")]


def test_of_equal_order_what_is_there_stays(store: OnlineStore, table: OnlineTable) -> None:
    store.write(table, [Row(b"k", 5, 1, 0, b"first")])
    assert store.write(table, [Row(b"k", 5, 1, 0, b"other")]) == Counts(unchanged=1)
    assert got(store, table, [b"k"]) == [Row(b"k", 5, 1, 0, b"first")]


def test_content_that_came_back_shuts_out_a_late_writer_of_the_version_between(
    store: OnlineStore, table: OnlineTable
) -> None:
    store.write(table, [Row(b"k", 5, 13, 0, b"x")])
    assert store.write(table, [Row(b"k", 5, 15, 0, b"x")]) == Counts(unchanged=1)
    assert store.write(table, [Row(b"k", 5, 14, 0, b"y")]) == Counts(stale=1)
    assert got(store, table, [b"k"]) == [Row(b"k", 5, 15, 0, b"x")]


def test_orders_at_the_ends_of_time_and_versions_past_what_a_double_holds(
    store: OnlineStore, table: OnlineTable
) -> None:
    instants = [FIRST_INSTANT, -1, 0, 1, 2**53, 2**53 + 1, LAST_INSTANT]
    versions = [0, 2**53, 2**53 + 1, 2**62]
    orders = list(itertools.product(instants, versions))
    for event_time, version in orders:
        assert store.write(table, [Row(b"k", event_time, version, 0, b"%d" % version)]).written == 1
    for event_time, version in orders[:-1]:
        assert store.write(table, [Row(b"k", event_time, version, 0, b"late")]).stale == 1
    assert got(store, table, [b"k"]) == [Row(b"k", LAST_INSTANT, 2**62, 0, b"%d" % 2**62)]


def test_keys_and_values_are_any_bytes(store: OnlineStore, table: OnlineTable) -> None:
    keys = [b"", b"\x00", b"i1", b"i1 ", b"I1", b"s3:a|b", b"s1:\xc3\xa9", bytes(range(256)), b"k" * 1000]
    rows = [Row(key, 1, 1, 0, value) for key, value in zip(keys, [*keys[1:], b""], strict=True)]
    assert store.write(table, rows) == Counts(written=len(keys))
    assert got(store, table, keys) == rows


def test_rows_come_in_the_order_of_the_keys_however_many(store: OnlineStore, table: OnlineTable) -> None:
    rows = [Row(b"i%d" % i, i, 1, 0, b"%d" % i) for i in range(1201)]
    assert store.write(table, rows) == Counts(written=1201)
    assert store.write(table, rows) == Counts(unchanged=1201)
    assert got(store, table, [row.key for row in reversed(rows)]) == list(reversed(rows))
    assert got(store, table, [b"i1", b"none", b"i1"]) == [rows[1], None, rows[1]]
    assert store.count(table) == 1201


def test_nothing_offered_and_nothing_wanted(store: OnlineStore, table: OnlineTable) -> None:
    assert store.write(table, []) == Counts()
    assert got(store, table, []) == []
    assert (got(store, table, [b"k"]), store.count(table)) == ([None], 0)


def test_a_publisher_of_other_columns_stops(store: OnlineStore, table: OnlineTable) -> None:
    with pytest.raises(WriteConflict):
        store.put_table(TABLE, None)
    wide = store.put_table(replace(table, layouts=WIDER.layouts), table)
    assert (wide.generation, store.table("t")) == (table.generation, wide)
    for stop in (
        lambda: store.put_table(replace(table, layouts=WIDER.layouts), table),
        lambda: store.write(table, [Row(b"k", 1, 9, 0, b"")]),
        lambda: store.complete(table, MARK),
    ):
        with pytest.raises(WriteConflict, match="other features"):
            stop()
    assert (store.table("t"), store.count(wide)) == (wide, 0)


def test_a_publisher_of_a_dropped_table_stops(store: OnlineStore, table: OnlineTable) -> None:
    store.write(table, [Row(b"k", 1, 1, 0, b"")])
    store.drop(table)
    assert (store.names(), store.table("t")) == ([], None)
    assert (got(store, table, [b"k"]), store.count(table)) == ([None], 0)

    def stops() -> None:
        for stop in (
            lambda: store.put_table(table, table),
            lambda: store.write(table, [Row(b"k", 1, 2, 0, b"")]),
            lambda: store.complete(table, MARK),
        ):
            with pytest.raises(WriteConflict, match="dropped"):
                stop()

    stops()
    anew = store.put_table(TABLE, None)
    assert anew.generation != table.generation
    assert got(store, anew, [b"k"]) == [None]
    stops()
    store.write(anew, [Row(b"k", 0, 0, 0, b"anew")])
    store.drop(table)
    assert (store.table("t"), store.count(anew)) == (anew, 1)


def test_one_read_is_of_many_tables(store: OnlineStore, table: OnlineTable) -> None:
    other = store.put_table(replace(TABLE, name="other"), None)
    store.write(table, [Row(b"k", 1, 1, 0, b"t"), Row(b"l", 1, 1, 0, b"")])
    store.write(other, [Row(b"k", 2, 2, 0, b"o")])
    mine, none, its = store.get([(table, [b"l", b"x", b"k"]), (table, []), (other, [b"k", b"l"])])
    assert mine == [Row(b"l", 1, 1, 0, b""), None, Row(b"k", 1, 1, 0, b"t")]
    assert (none, its) == ([], [Row(b"k", 2, 2, 0, b"o"), None])
    assert store.get([]) == []


def test_keys_are_those_that_have_a_row(store: OnlineStore, table: OnlineTable, share: float) -> None:
    assert [key for portion in store.keys(table) for key in portion] == []
    rows = [Row(key, 1, 1, 0, b"") for key in [b"", *(b"i%d" % i for i in range(round(12_000 * share)))]]
    other = store.put_table(replace(TABLE, name="other"), None)
    store.write(other, [Row(b"another", 1, 1, 0, b"")])
    store.write(table, rows)
    store.remove(table, [b"i7", b""], 1)
    found = [key for portion in store.keys(table) for key in portion]
    assert len(found) == len(set(found))
    assert set(found) == {row.key for row in rows} - {b"i7", b""}


def test_a_removed_key_comes_back_by_a_newer_version_alone(store: OnlineStore, table: OnlineTable) -> None:
    store.write(table, [Row(b"k", 9, 3, 0, b"three"), Row(b"l", 9, 6, 0, b"six")])
    assert store.remove(table, [b"k", b"l", b"never"], 5) == 1
    assert got(store, table, [b"k", b"l"]) == [None, Row(b"l", 9, 6, 0, b"six")]
    assert store.count(table) == 1
    late = [Row(b"k", 10, 4, 0, b"four"), Row(b"never", 10, 5, 0, b"five")]
    assert store.write(table, late) == Counts(stale=2)
    assert store.write(table, [Row(b"k", 1, 6, 0, b"anew")]) == Counts(written=1)
    assert store.write(table, late) == Counts(stale=2)  # a later event time does not let an older version in
    assert got(store, table, [b"k", b"never"]) == [Row(b"k", 1, 6, 0, b"anew"), None]
    assert store.remove(table, [b"k"], 5) == 0
    assert store.remove(table, [b"k"], 6) == 1
    assert store.remove(table, [b"k"], 2) == 0
    assert store.write(table, [Row(b"k", 9, 6, 0, b"")]) == Counts(stale=1)


def test_a_publisher_of_a_dropped_table_removes_nothing(store: OnlineStore, table: OnlineTable) -> None:
    store.write(table, [Row(b"k", 1, 1, 0, b"")])
    store.remove(table, [b"k"], 7)
    store.drop(table)
    anew = store.put_table(TABLE, None)
    assert store.write(anew, [Row(b"k", 1, 1, 0, b"")]) == Counts(written=1)
    with pytest.raises(WriteConflict, match="dropped"):
        store.remove(table, [b"k"], 7)
    assert store.count(anew) == 1


_STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "write", "remove"]), st.sampled_from([b"i0", b"i1"]), st.integers(0, 3)),
    max_size=8,
)


def test_writes_and_removals_end_the_same_in_any_order(store: OnlineStore, share: float) -> None:
    """A key's floor is the newest version that removed it; of what was offered above it the newest is there."""

    @settings(max_examples=round(examples(60) * share), deadline=None)
    @given(_STEPS, st.randoms(use_true_random=False))
    def check(steps: list[tuple[str, bytes, int]], choose: random.Random) -> None:
        shuffled = list(steps)
        choose.shuffle(shuffled)
        for order in (steps, shuffled):
            table = store.put_table(replace(TABLE, name=f"t{next(_NUMBERS)}"), None)
            for what, key, version in order:
                if what == "remove":
                    store.remove(table, [key], version)
                else:
                    store.write(table, [Row(key, version, version, 0, b"%d" % version)])
            expected = {}
            for key in (b"i0", b"i1"):
                floor = max((version for what, of, version in steps if (what, of) == ("remove", key)), default=-1)
                offered = [version for what, of, version in steps if (what, of) == ("write", key) and version > floor]
                expected[key] = Row(key, max(offered), max(offered), 0, b"%d" % max(offered)) if offered else None
            assert got(store, table, list(expected)) == list(expected.values())
            assert store.count(table) == sum(row is not None for row in expected.values())

    check()


def test_threads_that_publish_at_once_leave_the_newest_rows(spec: OnlineSpec, store: OnlineStore) -> None:
    versions, keys = (1, 2, 3, 4), 200
    table = store.put_table(publisher.TABLE, None)
    threads = [threading.Thread(target=publisher.publish, args=(spec, version, keys, version)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    newest = publisher.newest(versions, keys)
    assert got(store, table, list(newest)) == list(newest.values())


@can(PROCESSES)
@pytest.mark.slow
def test_many_processes_may_make_the_store_at_once(spec: OnlineSpec) -> None:
    names = [f"t{i}" for i in range(4)]
    started = [_process(spec, name) for name in names]
    assert [process.communicate()[0] for process in started] == ["done\n"] * len(names)
    with spec.open() as store:
        assert store.names() == names


@pytest.mark.parametrize("spec", parameters(PROCESSES, lacking=True), indirect=True)
def test_what_another_process_writes_is_not_there(spec: OnlineSpec, store: OnlineStore) -> None:
    assert _process(spec, "t").communicate()[0] == "done\n"
    assert store.names() == []


def _process(spec: OnlineSpec, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.contracts.publisher", pickle.dumps(spec).hex(), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_feature_table_is_published_read_compared_and_dropped(spec: OnlineSpec, tmp_path: Path) -> None:
    made = Made(tmp_path / "source", {"id": "bigint", "at": "timestamp", "x": "double"}, ("id",), "at")
    rows = [{"id": key, "at": T0, "x": key / 3} for key in range(4)]
    feature_table = made.append(*rows)
    assert publish(feature_table, spec, dry_run=True).written == 4
    assert publish(feature_table, spec).written == 4
    later = made.append({"id": 1, "at": T0 + MICROSECOND, "x": None})
    assert publish(later, spec, dry_run=True).unchanged == 3
    report = publish(later, spec)
    assert (report.written, report.unchanged, report.online_version) == (1, 3, feature_table.version)
    read = read_online("s.t", [{"id": 3}, {"id": 9}, {"id": 1}], store=spec)
    assert read == [{"id": 3, "x": 1.0}, {"id": 9, "x": None}, {"id": 1, "x": None}]
    assert [found.status for found in read.found] == ["present", "missing", "present"]
    assert check_parity(later, spec).ok
    drop_online_table("s.t", spec)
    with spec.open() as store:
        assert store.names() == []
