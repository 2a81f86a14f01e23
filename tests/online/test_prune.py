"""Pruning removes what the source lost, and nothing else, whatever publishes and prunes besides; the oracle is a plain
model of the rules, row by row."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fstk.online.gone import _short, gone
from fstk.online.parity import check_parity
from fstk.online.publish import PublishReport, publish
from fstk.online.read import read_online
from fstk.online.spec import OnlineSpec
from fstk.online.store import NO_FLOOR
from tests.generated import examples
from tests.online.tables import Made

SCHEMA = {"id": "bigint", "at": "timestamp", "n": "int"}
START = datetime(2024, 1, 1, tzinfo=UTC)
_NUMBERS = itertools.count()


def row(key: int, at: int, n: int) -> dict[str, Any]:
    return {"id": key, "at": START + timedelta(hours=at), "n": n}


def online(spec: OnlineSpec, name: str = "s.t") -> dict[int, int]:
    read = read_online(name, [{"id": key} for key in range(10)], store=spec)
    return {found["id"]: found["n"] for found, state in zip(read, read.found, strict=True) if state.status == "present"}


def said(report: PublishReport) -> tuple[int, int, int, int | None]:
    return report.written, report.unchanged, report.stale, report.removed


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path / "t", SCHEMA, ("id",), "at")


def test_keys_that_the_source_lost_are_removed_when_asked(made: Made, spec: OnlineSpec) -> None:
    publish(made.append(*(row(key, 1, key) for key in range(4))), spec)
    made.delete("id >= 2")
    table = made.append(row(0, 2, 100))
    assert said(publish(table, spec)) == (1, 3, 0, None)
    dry = publish(table, spec, prune=True, dry_run=True)
    assert (said(dry), dry.changed) == ((0, 2, 0, 2), True)
    assert online(spec) == {0: 100, 1: 1, 2: 2, 3: 3}
    report = publish(table, spec, prune=True)
    assert (said(report), report.changed) == ((0, 2, 0, 2), True)
    assert online(spec) == {0: 100, 1: 1}
    again = publish(table, spec, prune=True)
    assert (said(again), again.changed) == ((0, 2, 0, 0), False)
    assert "would remove  source" in repr(dry)
    assert "failed  removed  source" in repr(report)
    assert "remove" not in repr(publish(table, spec))


def test_a_table_that_was_never_published_has_nothing_to_remove(made: Made, spec: OnlineSpec) -> None:
    table = made.append(row(1, 1, 1))
    assert said(publish(table, spec, prune=True, dry_run=True)) == (1, 0, 0, 0)
    assert said(publish(table, spec, prune=True)) == (1, 0, 0, 0)


def test_a_row_left_out_by_a_condition_or_its_time_is_not_gone(made: Made, spec: OnlineSpec) -> None:
    table = made.append(row(1, 1, 1), row(2, 5, 2), row(3, 1, 3))
    publish(table, spec)
    late = date(2023, 12, 1)
    left_out: list[dict[str, Any]] = [{"filter_condition": "n = 3"}, {"as_of": late}]
    for arguments in left_out:
        assert publish(table, spec, prune=True, **arguments).removed == 0
    assert online(spec) == {1: 1, 2: 2, 3: 3}
    parity = check_parity(table, spec)
    assert (parity.kept, parity.gone) == (2, 0)
    assert "2 online rows have a key whose rows a filter condition, or their time, leaves out" in repr(parity)


def test_a_removed_key_does_not_come_back_by_an_older_version(made: Made, spec: OnlineSpec) -> None:
    old = made.append(row(1, 9, 1), row(2, 1, 2))
    publish(old, spec)
    new = made.delete("id = 1")
    assert publish(new, spec, prune=True).removed == 1
    assert publish(old, spec).written == 0
    assert online(spec) == {2: 2}
    back = made.append(row(1, 0, 11))
    assert publish(back, spec).written == 1  # though its time is earlier than that of the row that was removed
    assert publish(new, spec, prune=True, dry_run=True).removed == 0
    assert publish(new, spec, prune=True).removed == 0  # late: a newer version wrote the row
    assert online(spec) == {1: 11, 2: 2}


def test_what_a_late_pruning_left_out_comes_with_the_next_one(made: Made, spec: OnlineSpec) -> None:
    """A row that was gone and came back with an earlier time stands behind the one that is online; once an older
    version removes that, the newest one must offer it again."""
    publish(made.append(row(1, 9, 1)), spec)
    without = made.delete("id = 1")
    back = made.append(row(1, 0, 11))
    assert publish(back, spec).stale == 1
    assert publish(without, spec, prune=True).removed == 1
    assert said(publish(back, spec, prune=True)) == (1, 0, 0, 0)
    assert check_parity(back, spec).ok


def test_long_keys_are_told_apart_by_more_than_their_beginning(tmp_path: Path, spec: OnlineSpec) -> None:
    made = Made(tmp_path / "long", {"id": "string", "n": "int"}, ("id",), None)
    keys = ["k" * 10_000, "k" * 10_000 + "1", "k" * 12, "k" * 13, "k" * 14, ""]
    publish(made.append(*({"id": key, "n": n} for n, key in enumerate(keys))), spec)
    report = publish(made.delete("n IN (1, 3, 5)"), spec, prune=True)
    assert report.removed == 3
    read = read_online("s.t", [{"id": key} for key in keys], store=spec)
    assert [found["n"] for found in read] == [0, None, 2, None, 4, None]


def test_no_digest_is_a_key() -> None:
    assert len({_short(b"a" * length) for length in range(40)}) == 40
    assert {len(_short(b"a" * length)) for length in range(40)} == set(range(18))


def test_how_far_it_is_is_told(made: Made, spec: OnlineSpec) -> None:
    publish(made.append(*(row(key, 1, key) for key in range(8))), spec)
    told: list[tuple[int, int | None]] = []
    publish(made.delete("id > 3"), spec, prune=True, progress=lambda *state: told.append(state))
    assert told[0] == (4, 4)
    assert (4, None) in told
    assert told[-1] == (8, 8)


_HISTORY = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 2), st.integers(0, 3), st.integers(0, 9)),
        st.tuples(st.just("lose"), st.integers(0, 2)),
    ),
    min_size=1,
    max_size=5,
)
_WORK = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=6)


@pytest.mark.slow
@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_HISTORY, _WORK)
@example([("put", 0, 3, 1), ("lose", 0), ("put", 0, 1, 2)], [(1, False), (3, False), (2, True), (3, True)])
@example([("put", 0, 1, 1), ("lose", 0), ("put", 0, 1, 1)], [(1, True), (2, True), (1, False), (3, False), (2, True)])
def test_any_publications_and_prunings_of_any_versions_follow_the_rules(
    spec: OnlineSpec, tmp_path: Path, history: list[Any], work: list[tuple[int, bool]]
) -> None:
    name = f"s.t{next(_NUMBERS)}"
    made = Made(tmp_path / name, SCHEMA, ("id",), "at", name=name)
    versions: list[dict[int, dict[int, int]]] = [{}]
    for what, key, *value in history:
        rows = {one: dict(times) for one, times in versions[-1].items()}
        if what == "put":
            made.merge(row(key, *value))
            rows.setdefault(key, {})[value[0]] = value[1]
        elif rows.pop(key, None) is not None:
            made.delete(f"id = {key}")
        else:
            continue
        versions.append(rows)
    assert made.at().version == len(versions) - 1
    held: dict[int, tuple[int, int, int]] = {}
    floors: dict[int, int] = {}
    for version, prune in work:
        version = min(version, len(versions) - 1)
        report = publish(made.at(version), spec, prune=prune)
        for key, times in versions[version].items():
            offered = max(times), version, times[max(times)]
            if version > floors.get(key, NO_FLOOR) and (key not in held or offered[:2] > held[key][:2]):
                held[key] = offered
        lost = [key for key in held if prune and key not in versions[version]]
        floors |= {key: max(version, floors.get(key, NO_FLOOR)) for key in lost}
        removed = [key for key in lost if held[key][1] <= version]
        for key in removed:
            del held[key]
        assert report.removed == (len(removed) if prune else None)
        assert online(spec, name) == {key: n for key, (_, _, n) in held.items()}


def test_publishers_that_prune_at_once_end_at_the_newest_version(made: Made, spec: OnlineSpec) -> None:
    for version in range(1, 5):
        made.merge(*(row(key, version, version * 100 + key) for key in range(40) if key % 4 != version % 4))
        made.delete(f"id % 4 = {version % 4}")
    newest = made.at()
    with ThreadPoolExecutor(4) as threads:
        versions = range(2, newest.version + 1)
        list(threads.map(lambda version: publish(made.at(version), spec, prune=True, portion=7), versions))
    publish(newest, spec, prune=True)
    parity = check_parity(newest, spec)
    assert (parity.ok, parity.equal, parity.kept) == (True, 30, 0)


def test_rows_that_come_while_the_keys_are_read_are_counted_too() -> None:
    source: Any = SimpleNamespace(all_keys=lambda: iter([[b"a"]]))
    store: Any = SimpleNamespace(count=lambda _: 1, keys=lambda _: iter([[b"a"], [b"b", b"c"]]))
    told: list[tuple[int, int | None]] = []
    table: Any = None
    assert list(gone(source, store, table, lambda *state: told.append(state))) == [[], [b"b", b"c"]]
    assert told == [(1, None), (1, 1), (3, 3)]
