"""Reading by key: order, what is missing, expired or not there at all, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fstk.errors import (
    InvalidInput,
    InvalidName,
    NaiveDatetime,
    StoreUnavailable,
    TypeMismatch,
    UnknownColumn,
    UnknownTable,
)
from fstk.online.publish import publish
from fstk.online.read import drop_online_table, read_online
from fstk.online.reader import KeyState, OnlineRows
from fstk.online.spec import OnlineSpec, SQLiteSpec
from tests.online.tables import Made
from tests.stores import contents, with_ttl

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(
        tmp_path / "t", {"id": "bigint", "region": "string", "at": "timestamp", "n": "int"}, ("id", "region"), "at"
    )


@pytest.fixture
def store(made: Made, spec: OnlineSpec) -> OnlineSpec:
    """A store in which the table is published."""
    rows = [{"id": key, "region": region, "at": NOON, "n": key * 10} for key in (1, 2) for region in ("n", "s")]
    publish(made.append(*rows, {"id": 3, "region": "n", "at": NOON, "n": None}), spec)
    return spec


def test_order_and_repeats_are_kept_and_null_equals_nothing(store: OnlineSpec) -> None:
    keys = [
        {"id": 2, "region": "s"},
        {"region": "n", "id": 1},
        {"id": 9, "region": "n"},
        {"id": 3, "region": "n"},
        {"id": None, "region": "n"},
        {"id": 2, "region": "s"},
    ]
    rows = read_online("S.T", keys, store=store)
    assert rows == [
        {"id": 2, "region": "s", "n": 20},
        {"id": 1, "region": "n", "n": 10},
        {"id": 9, "region": "n", "n": None},
        {"id": 3, "region": "n", "n": None},
        {"id": None, "region": "n", "n": None},
        {"id": 2, "region": "s", "n": 20},
    ]
    assert [found.status for found in rows.found] == ["present", "present", "missing", "present", "missing", "present"]
    assert [found.event_time for found in rows.found[:3]] == [NOON, NOON, None]
    assert read_online("s.t", [], store=store) == []


def test_features_are_chosen_by_name_and_keys_are_always_there(store: OnlineSpec) -> None:
    key = {"id": 1, "region": "n"}
    assert read_online("s.t", [key], ["n", "region"], store=store) == [{**key, "n": 10}]
    assert read_online("s.t", [key], [], store=store) == [key]
    with pytest.raises(UnknownColumn, match=r"online s\.t has no feature m\. There is: n"):
        read_online("s.t", [key], ["m"], store=store)
    with pytest.raises(InvalidInput, match=r"write \['n'\]"):
        read_online("s.t", [key], "n", store=store)


@pytest.mark.parametrize("key", [1.0, True, "1"])
def test_a_key_of_another_type_is_refused_rather_than_missing(store: OnlineSpec, key: Any) -> None:
    with pytest.raises(TypeMismatch, match=r"keys\[1\]: id is bigint; got "):
        read_online("s.t", [{"id": 1, "region": "n"}, {"id": key, "region": "n"}], store=store)


@pytest.mark.parametrize("keys", [{"id": 1, "region": "n"}, "n", 7])
def test_keys_must_be_a_list_of_dicts(store: OnlineSpec, keys: Any) -> None:
    with pytest.raises(InvalidInput, match="keys must be a list of dicts"):
        read_online("s.t", keys, store=store)


def test_a_row_expires_when_now_is_past_event_time_plus_ttl(made: Made, store: OnlineSpec) -> None:
    ttl = timedelta(days=30)
    publish(made.at(), with_ttl(store, ttl))
    for now, status, value in ((NOON + ttl, "present", 10), (NOON + ttl + MICROSECOND, "expired", None)):
        rows = read_online("s.t", [{"id": 1, "region": "n"}], store=store, now=now)
        assert rows == [{"id": 1, "region": "n", "n": value}]
        assert (rows.found[0].status, rows.found[0].event_time) == (status, NOON)
    # a publisher that says nothing of a ttl leaves it; another one counts at once for all rows
    publish(made.append({"id": 8, "region": "n", "at": NOON, "n": 8}), store)
    later = NOON + timedelta(days=31)
    assert read_online("s.t", [{"id": 8, "region": "n"}], store=store, now=later).found[0].status == "expired"
    publish(made.at(), with_ttl(store, timedelta(days=32)))
    assert read_online("s.t", [{"id": 8, "region": "n"}], store=store, now=later).found[0].status == "present"


def test_static_rows_cannot_expire(tmp_path: Path, spec: OnlineSpec) -> None:
    static = Made(tmp_path / "static", {"id": "int", "n": "int"}, ("id",), None)
    with pytest.raises(InvalidInput, match=r"no time column.*leave out ttl"):
        publish(static.append({"id": 1, "n": 1}), with_ttl(spec, timedelta(days=1)))
    publish(static.at(), spec)
    rows = read_online("s.t", [{"id": 1}], store=spec)
    assert (rows, rows.found[0].status) == ([{"id": 1, "n": 1}], "present")


def test_a_table_that_is_not_there_is_named(store: OnlineSpec) -> None:
    with pytest.raises(UnknownTable, match=r"no online table s\.tt in \w+://.*Nearest: s\.t\."):
        read_online("s.tt", [], store=store)
    with pytest.raises(InvalidName):
        read_online("s t", [], store=store)


def test_where_nothing_was_published_nothing_is_made(spec: OnlineSpec) -> None:
    with pytest.raises(UnknownTable, match=r"Nothing was published there\."):
        read_online("s.t", [], store=spec)
    assert contents(spec) == {}


def test_a_store_that_does_not_answer_is_no_missing_row(tmp_path: Path, made: Made) -> None:
    store = SQLiteSpec(tmp_path / "online.db")
    publish(made.at(), store)
    Path(store.path).write_bytes(b"overwritten by something else" * 200)
    with pytest.raises(StoreUnavailable, match="did not answer"):
        read_online("s.t", [{"id": 1, "region": "n"}], store=store)


def test_a_dropped_table_is_gone_and_can_be_published_anew(made: Made, store: OnlineSpec) -> None:
    drop_online_table("s.t", store)
    with pytest.raises(UnknownTable):
        read_online("s.t", [], store=store)
    with pytest.raises(UnknownTable):
        drop_online_table("s.t", store)
    assert publish(made.at(), store).written == 5
    assert read_online("s.t", [{"id": 1, "region": "n"}], store=store)[0]["n"] == 10


def test_the_setting_names_the_store(store: OnlineSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.open() as opened:
        monkeypatch.setenv("FSTK_ONLINE_STORE", opened.url)
    assert read_online("s.t", [{"id": 1, "region": "n"}])[0]["n"] == 10


def test_what_was_found_is_shown_with_its_age(store: OnlineSpec) -> None:
    keys = [{"id": 1, "region": "n"}, {"id": 9, "region": "n"}]
    rows = read_online("s.t", keys, store=store, now=NOON + timedelta(days=3, hours=1))
    assert isinstance(rows, OnlineRows)
    shown = repr(rows)
    assert "s.t online · source version 1" in shown
    assert "present  3 d" in shown
    assert "missing    –" in shown
    assert "<table>" in rows._repr_html_()


def test_one_key_and_none_are_shown(store: OnlineSpec) -> None:
    assert "present" in repr(read_online("s.t", [{"id": 1, "region": "n"}], store=store))
    assert repr(read_online("s.t", [], store=store)).startswith("s.t online")


def test_one_row_is_a_list_and_its_key_has_no_separators(store: OnlineSpec) -> None:
    keys = [{"id": 1042, "region": "n"}]
    lines = [line.split() for line in repr(read_online("s.t", keys, store=store)).splitlines()]
    assert lines[1:4] == [["column", "missing"], ["id", "1042"], ["region", "n"]]
    many = repr(read_online("s.t", keys * 2, store=store))
    assert "1042" in many


def test_what_decides_of_expiry_is_an_instant(store: OnlineSpec) -> None:
    with pytest.raises(NaiveDatetime, match="now"):
        read_online("s.t", [], store=store, now=datetime(2024, 1, 1))


def test_few_keys_with_many_features_are_shown_a_column_each() -> None:
    rows = [{"id": key, **{f"f{i}": None if key == 9 else i * key for i in range(7)}} for key in (1, 9)]
    shown = OnlineRows("s.t", rows, [KeyState("present", NOON), KeyState("missing", None)], 3, NOON + timedelta(days=2))
    lines = repr(shown).splitlines()
    assert lines[1].split() == ["column", "present,", "2", "d", "missing"]
    assert [line.split() for line in lines[2:4]] == [["id", "1", "9"], ["f0", "0", "–"]]
    assert len(lines) == 10
