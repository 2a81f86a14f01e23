"""A reader that stays open: many tables in one round trip, and what changes in the store while it is open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fstk import FeatureEngineeringClient
from fstk.errors import InvalidInput, StoreUnavailable, TypeMismatch, UnknownColumn, UnknownTable, WriteConflict
from fstk.online import reader as module
from fstk.online.publish import publish
from fstk.online.read import drop_online_table
from fstk.online.reader import KeyState, OnlineReader, described
from fstk.online.spec import OnlineSpec
from fstk.online.sqlite import SQLiteStore
from fstk.online.store import OnlineStore, Row, Wanted
from tests.online.tables import Made
from tests.online.test_sqlite import TABLE
from tests.stores import with_ttl

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
SCHEMA = {"id": "bigint", "at": "timestamp", "n": "int", "word": "string"}


class Counted:
    """A store that counts what it is asked, and lets something happen before it answers."""

    def __init__(self, store: OnlineStore) -> None:
        self.asked: list[str] = []
        self.before_get: Callable[[], object] = lambda: None
        self._store = store

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self._store, name)

    def get(self, wanted: Sequence[Wanted]) -> list[list[Row | None]]:
        self.asked.append("get")
        self.before_get()
        return self._store.get(wanted)

    def __exit__(self, *_: object) -> None:
        self._store.__exit__(*_)


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What the reader takes for the time, which stands still."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path / "t", SCHEMA, ("id",), "at")


@pytest.fixture
def plain(tmp_path: Path) -> Made:
    return Made(tmp_path / "plain", {"region": "string", "x": "double"}, ("region",), None, name="s.plain")


@pytest.fixture
def published(made: Made, plain: Made, spec: OnlineSpec) -> OnlineSpec:
    publish(made.append(*({"id": key, "at": NOON, "n": key * 10, "word": "w"} for key in (1, 2))), spec)
    publish(plain.append({"region": "n", "x": 0.5}), spec)
    return spec


def opened(spec: OnlineSpec, *tables: str) -> tuple[OnlineReader, Counted]:
    reader = OnlineReader(tables or ["s.t"], spec)
    assert reader._store is not None
    counted = Counted(reader._store)
    reader._store = counted  # type: ignore[assignment]
    return reader, counted


def test_many_tables_and_keys_are_one_round_trip(published: OnlineSpec, clock: Clock) -> None:
    reader, store = opened(published, "s.t", "S.Plain")
    with reader:
        read = reader.read({"s.t": [{"id": 2}, {"id": 9}, {"id": 2}, {"id": None}], "S.Plain": [{"region": "n"}]})
        assert list(read) == ["s.t", "S.Plain"]
        two, none = {"id": 2, "n": 20, "word": "w"}, {"n": None, "word": None}
        assert read["s.t"] == [two, {"id": 9, **none}, two, {"id": None, **none}]
        assert read["s.t"][0] is not read["s.t"][2]
        assert read["S.Plain"] == [{"region": "n", "x": 0.5}]
        present = KeyState("present", NOON, 1)
        assert read["s.t"].found == [present, KeyState("missing", None), present, KeyState("missing", None)]
        assert read["S.Plain"].found == [KeyState("present", None, 1)]
        assert (read["s.t"].table, read["s.t"].source_version) == ("s.t", 1)
        assert reader.read({"s.t": []}) == {"s.t": []}
        assert reader.read({}) == {}
    assert store.asked == ["get"] * 3
    assert reader.tables["S.Plain"].keys == {"region": "string"}


def test_features_are_chosen_by_table(published: OnlineSpec) -> None:
    with FeatureEngineeringClient().online_reader({"s.t": ["word", "id"], "s.plain": None}, published) as reader:
        read = reader.read({"s.t": [{"id": 1}], "s.plain": [{"region": "n"}]})
        assert read == {"s.t": [{"id": 1, "word": "w"}], "s.plain": [{"region": "n", "x": 0.5}]}
    with pytest.raises(UnknownColumn, match=r"s\.t has no feature wrd\. Nearest: word"):
        OnlineReader({"s.t": ["wrd"]}, published)


def test_what_is_asked_of_it_is_checked_before_the_store_is(published: OnlineSpec, clock: Clock) -> None:
    reader, store = opened(published, "s.t", "s.plain")
    bad: list[tuple[Any, type[Exception], str]] = [
        ({"s.tt": [{"id": 1}]}, UnknownTable, r"made without the table s\.tt\. Nearest: s\.t\."),
        ({"s.plain": [], "s.t": [{"id": 1}, {"id": "1"}]}, TypeMismatch, r"s\.t\[1\]: id is bigint; got '1'"),
        ({"s.t": [{"id": 1.0}]}, TypeMismatch, r"s\.t\[0\]: id is bigint; got 1.0"),
        ({"s.t": {"id": 1}}, InvalidInput, r"s\.t: keys must be a list of dicts, one per row; got dict"),
        ({"s.t": [{}]}, InvalidInput, r"s\.t\[0\]: key id \(bigint\) is missing"),
        ([("s.t", [])], InvalidInput, r"write \{table: keys\}"),
    ]
    with reader:
        for wanted, error, message in bad:
            with pytest.raises(error, match=message):
                reader.read(wanted)
    assert store.asked == []
    with pytest.raises(InvalidInput, match=r"write \['s.t'\]"):
        OnlineReader("s.t", published)


def test_a_table_that_is_not_online_is_told_when_the_reader_is_made(published: OnlineSpec) -> None:
    with pytest.raises(UnknownTable, match=r"no online table s\.tt in .*Nearest: s\.t\."):
        OnlineReader(["s.t", "s.tt"], published)
    with published.open() as store:
        table = store.table("s.t")
        assert table is not None
        store.drop(table)
        store.put_table(table, None)
    with pytest.raises(StoreUnavailable, match="being published for the first time"):
        OnlineReader(["s.t"], published)


def test_a_closed_reader_says_so(published: OnlineSpec) -> None:
    with OnlineReader(["s.t"], published) as reader:
        pass
    reader.close()
    for call in (reader.refresh, lambda: reader.read({"s.t": []})):
        with pytest.raises(InvalidInput, match="this reader is closed"):
            call()


def test_features_added_since_are_no_error_and_then_there(made: Made, published: OnlineSpec, clock: Clock) -> None:
    publish(made.at(), published)
    drop_online_table("s.t", published)
    publish(made.at(), published, features=["n"])
    reader, store = opened(published)
    with reader:
        publish(made.at(), published)
        assert reader.read({"s.t": [{"id": 1}]})["s.t"] == [{"id": 1, "n": 10, "word": "w"}]
        assert store.asked == ["get", "table", "get"]


def test_a_table_that_gets_other_features_at_every_attempt_is_told(
    made: Made, published: OnlineSpec, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, store = opened(published)
    with reader:
        monkeypatch.setattr(module._Table, "knows", lambda self, rows: False)
        with pytest.raises(WriteConflict, match="read again"):
            reader.read({"s.t": [{"id": 1}]})
    assert store.asked.count("get") == 3


def test_what_is_known_of_a_table_is_at_most_a_second_old(made: Made, published: OnlineSpec, clock: Clock) -> None:
    reader, store = opened(published)
    key = {"s.t": [{"id": 1}]}
    with reader:
        drop_online_table("s.t", published)
        publish(made.merge({"id": 1, "at": NOON, "n": 7, "word": "anew"}), published, features=["n"])
        clock.now += 1.0
        reader.read(key)
        assert store.asked == ["get"]
        clock.now += 0.5
        assert reader.read(key)["s.t"] == [{"id": 1, "n": 7}]
        assert reader.read(key)["s.t"].source_version == 2
        assert store.asked == ["get", "table", "get", "get"]
        publish(made.at(), with_ttl(published, timedelta(days=1)), features=["n"])
        assert reader.read(key, now=NOON + timedelta(days=2))["s.t"].found[0].status == "present"
        reader.refresh()
        assert reader.read(key, now=NOON + timedelta(days=2))["s.t"].found[0] == KeyState("expired", NOON, 2)
        drop_online_table("s.t", published)
        clock.now += 2
        with pytest.raises(UnknownTable):
            reader.read(key)


def test_threads_share_a_reader(published: OnlineSpec) -> None:
    """Each gets its own keys' rows, while another refreshes all the time; the reader is closed by none of them."""
    wrong: list[Any] = []
    done = threading.Event()
    with OnlineReader(["s.t", "s.plain"], published) as reader:

        def read(key: int) -> None:
            for _ in range(50):
                found = reader.read({"s.t": [{"id": key}], "s.plain": [{"region": "n"}]})
                if found["s.t"] != [{"id": key, "n": key * 10, "word": "w"}] or found["s.plain"][0]["x"] != 0.5:
                    wrong.append(found)

        def refresh() -> None:
            while not done.is_set():
                reader.refresh()

        threads = [threading.Thread(target=read, args=(key,)) for key in (1, 2, 1, 2)]
        other = threading.Thread(target=refresh)
        for thread in (*threads, other):
            thread.start()
        for thread in threads:
            thread.join(60)
        done.set()
        other.join(60)
        assert not any(thread.is_alive() for thread in (*threads, other))
    assert wrong == []


def test_a_table_of_unity_catalog_is_found_without_its_catalog_where_that_is_clear(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path / "online.db") as store:
        store.put_table(replace(TABLE, name="prod.shop.spend"), None)
        assert described(store, "shop.spend").name == described(store, "prod.shop.spend").name == "prod.shop.spend"
        for unclear in ("op.spend", "spend", "test.shop.spend"):
            with pytest.raises(UnknownTable, match="no online table"):
                described(store, unclear)
        store.put_table(replace(TABLE, name="test.shop.spend"), None)
        with pytest.raises(UnknownTable, match="no online table shop.spend in .*Nearest: "):
            described(store, "shop.spend")
        store.put_table(replace(TABLE, name="shop.spend"), None)
        assert described(store, "shop.spend").name == "shop.spend"
