"""Publishing without a JVM: what is written, left or refused; how a second, a late and a killed publisher fare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest

from fstk import journal
from fstk.cli.app import run_command
from fstk.engines import choice
from fstk.engines.base import TableVersion
from fstk.engines.direct import DirectEngine
from fstk.engines.spark import SparkEngine
from fstk.engines.types import INSTANT, arrow_type
from fstk.errors import (
    BadExpression,
    DuplicateKeys,
    IncompatibleChanges,
    InvalidInput,
    NaiveDatetime,
    NullKeys,
    SchemaChange,
    StoreUnavailable,
    TypeMismatch,
    UnknownColumn,
    UnsupportedType,
    WriteConflict,
)
from fstk.online.parity import check_parity
from fstk.online.publish import PublishReport, publish
from fstk.online.read import read_online
from fstk.online.source import engine_for
from fstk.online.spec import OnlineSpec, SQLiteSpec
from fstk.online.sqlite import SQLiteStore
from fstk.online.store import Counts, OnlineTable, Row, Wanted
from tests.online.tables import SCHEMA, Made, day, row
from tests.stores import contents


@pytest.fixture
def local(tmp_path: Path) -> SQLiteSpec:
    """A store for what is refused before any is asked."""
    return SQLiteSpec(tmp_path / "online.db")


def counts(report: PublishReport) -> tuple[int, int, int, int]:
    return report.written, report.unchanged, report.stale, report.failed


def online(spec: OnlineSpec, *keys: int) -> dict[int, int | None]:
    rows = read_online("s.t", [{"id": key} for key in keys], ["n"], store=spec)
    return {found["id"]: found["n"] for found in rows}


def test_the_newest_row_of_each_key_is_published_and_again_changes_nothing(made: Made, spec: OnlineSpec) -> None:
    table = made.append(row(1, 1, 10), row(1, 3, 30), row(1, 2, 20), row(2, 1, None, "x"))
    report = publish(table, spec)
    assert counts(report) == (2, 0, 0, 0)
    assert (report.source_version, report.online_version, report.changed) == (1, None, True)
    assert read_online("s.t", [{"id": 2}, {"id": 1}], store=spec) == [
        {"id": 2, "n": None, "word": "x"},
        {"id": 1, "n": 30, "word": None},
    ]
    before = contents(spec)
    again = publish(table, spec)
    assert counts(again) == (0, 2, 0, 0)
    assert (again.online_version, again.changed) == (1, False)
    assert contents(spec) == before
    assert journal.entries()[-2:] == (
        journal.Entry("published", "s.t", 1, 2),
        journal.Entry("published", "s.t", 1, 0),
    )


def test_only_keys_that_changed_are_read_the_second_time(made: Made, spec: OnlineSpec) -> None:
    publish(made.append(*(row(key, 1, key) for key in range(10))), spec)
    table = made.append(row(3, 2, 33), row(4, 0, 44), row(11, 1, 11))
    table = made.merge(row(5, 1, 55), row(6, 1, 6))

    class NoFullRead(DirectEngine):
        def read(self, table: Any, columns: Any = None, within: Any = None) -> Any:
            raise AssertionError("the whole table was read")

    report = publish(table, spec, engine=NoFullRead())
    # 3 and 11 are newer, 5 has another value; 4 came late; 6 was merged with what it was; the others were not touched
    assert counts(report) == (3, 7, 1, 0)
    assert report.online_version == 1
    assert online(spec, 3, 4, 5, 6, 11) == {3: 33, 4: 4, 5: 55, 6: 6, 11: 11}
    assert check_parity(table, spec).ok


def test_where_changes_are_no_longer_kept_everything_is_compared(made: Made, spec: OnlineSpec) -> None:
    publish(made.append(row(1, 1, 1), row(2, 1, 2)), spec)
    table = made.append(row(2, 2, 22), row(3, 1, 3))
    (Path(made.folder) / "_delta_log" / f"{table.version:020}.json").rename(Path(made.folder) / "kept aside")

    class Later(DirectEngine):
        """Sees the newest version, as a reader of a checkpoint does, but no commit of its own to take changes from."""

        def read(self, table: TableVersion, columns: Any = None, within: Any = None) -> Any:
            (Path(made.folder) / "kept aside").rename(Path(made.folder) / "_delta_log" / f"{table.version:020}.json")
            return super().read(table, columns)

    report = publish(table, spec, engine=Later())
    assert counts(report) == (2, 1, 0, 0)
    assert "no longer kept" in report.reason
    assert check_parity(made.at(), spec).ok


def test_where_changes_span_one_of_the_columns_everything_is_compared(made: Made, spec: OnlineSpec) -> None:
    publish(made.append(row(1, 1, 1), row(2, 1, 2)), spec)
    table = made.append(row(2, 2, 22), row(3, 1, 3))

    class Changed(DirectEngine):
        """Reads no changes, as Spark where a column was widened between them."""

        def changes(self, table: TableVersion, since: int = 0) -> Any:
            raise IncompatibleChanges("an incompatible schema change.")

    report = publish(table, spec, engine=Changed())
    assert counts(report) == (2, 1, 0, 0)
    assert report.reason == "the changes of versions 2 to 2 span a change of its columns"
    assert check_parity(table, spec).ok


@pytest.mark.parametrize("feed", [True, False])
def test_values_changed_in_place_are_published_with_and_without_a_change_data_feed(
    tmp_path: Path, spec: OnlineSpec, feed: bool
) -> None:
    made = Made(tmp_path / str(feed), SCHEMA, ("id",), "at", feed=feed)
    publish(made.append(row(1, 1, 1), row(2, 1, 2)), spec)
    report = publish(made.merge(row(2, 1, 22), row(3, 1, 3)), spec)
    assert counts(report) == (2, 1, 0, 0)
    assert online(spec, 1, 2, 3) == {1: 1, 2: 22, 3: 3}


def test_a_row_changed_and_removed_again_is_not_published(made: Made, spec: OnlineSpec) -> None:
    publish(made.append(row(1, 1, 1)), spec)
    made.append(row(1, 5, 5), row(2, 5, 5))
    made.merge(row(1, 6, 6))
    table = made.delete("n >= 5")
    assert counts(publish(table, spec)) == (0, 1, 0, 0)
    assert online(spec, 1, 2) == {1: 1, 2: None}


def test_a_row_removed_and_written_anew_in_between_is_published(made: Made, spec: OnlineSpec) -> None:
    publish(made.append(row(1, 1, 1)), spec)
    made.delete("id = 1")
    report = publish(made.append(row(1, 1, 2)), spec)
    assert (counts(report), report.changed) == ((1, 0, 0, 0), True)
    assert online(spec, 1) == {1: 2}


def test_a_late_publisher_of_an_older_version_changes_nothing(made: Made, spec: OnlineSpec) -> None:
    old = made.append(row(1, 1, 1), row(2, 5, 5))
    new = made.merge(row(1, 1, 100), row(2, 6, 6))
    publish(new, spec)
    assert counts(publish(old, spec)) == (0, 0, 2, 0)
    assert online(spec, 1, 2) == {1: 100, 2: 6}
    assert read_online("s.t", [], store=spec).source_version == new.version


def test_a_name_of_one_part_is_read_by_it(made: Made, spec: OnlineSpec) -> None:
    publish(replace(made.append(row(1, 1, 1)), name="default.t"), spec)
    assert read_online("T", [{"id": 1}], ["n"], store=spec) == [{"id": 1, "n": 1}]


def test_keys_that_left_the_source_stay_online(made: Made, spec: OnlineSpec) -> None:
    publish(made.append(row(1, 1, 1), row(2, 1, 2)), spec)
    table = made.delete("id = 2")
    publish(table, spec)
    assert online(spec, 1, 2) == {1: 1, 2: 2}
    report = check_parity(table, spec)
    assert (report.ok, report.equal, report.kept) == (True, 1, 1)


def test_nothing_later_than_the_instant_asked_for(made: Made, spec: OnlineSpec) -> None:
    table = made.append(row(1, 1, 1), row(1, 5, 5), row(2, 9, 9))
    assert counts(publish(table, spec, as_of=day(4))) == (1, 0, 0, 0)
    assert online(spec, 1, 2) == {1: 1, 2: None}
    assert check_parity(table, spec).ok
    # the same version later on: rows have come of age, though nothing changed
    assert counts(publish(table, spec, as_of=day(5))) == (1, 0, 0, 0)
    assert counts(publish(table, spec, as_of=day(8))) == (0, 1, 0, 0)
    table = made.append(row(3, 7, 7), row(3, 8, 8))
    assert counts(publish(table, spec, as_of=day(7))) == (1, 1, 0, 0)
    assert counts(publish(table, spec, as_of=date(2024, 1, 10))) == (2, 1, 0, 0)
    assert online(spec, 1, 2, 3) == {1: 5, 2: 9, 3: 8}


def test_a_row_that_waits_is_remembered_over_publications_of_other_changes(made: Made, spec: OnlineSpec) -> None:
    publish(made.append(row(1, 1, 1), row(2, 9, 9)), spec, as_of=day(4))
    report = publish(made.append(row(1, 2, 2)), spec, as_of=day(5))
    assert report.reason == "versions 2 to 2"
    assert counts(publish(made.append(row(1, 3, 3)), spec, as_of=day(9))) == (2, 0, 0, 0)
    assert online(spec, 1, 2) == {1: 3, 2: 9}


def test_a_publication_with_rows_that_failed_is_not_complete(
    made: Made, spec: OnlineSpec, monkeypatch: pytest.MonkeyPatch, adapter: type[Any]
) -> None:
    table = made.append(row(1, 1, 1), row(2, 1, 2))
    write = adapter.write

    def refuses_one(self: Any, online: OnlineTable, rows: list[Row]) -> Counts:
        return write(self, online, rows[1:])._replace(failed=1)

    with monkeypatch.context() as patch:
        patch.setattr(adapter, "write", refuses_one)
        refused = publish(table, spec)
        assert counts(refused) == (1, 0, 0, 1)
        with pytest.raises(StoreUnavailable, match="refused 1 rows of s.t, and took 1. Make room there"):
            refused.check()
        patch.setattr("fstk.verbs.publish.publish", lambda *_, **__: refused)
        patch.setattr("fstk.verbs.publish.open_catalog", lambda: {"s.t": table})
        for namespace in (None, {}):
            with pytest.raises(StoreUnavailable, match="refused 1 rows"):
                run_command(["publish", "s.t"], namespace)
    complete = publish(table, spec)
    complete.check()
    assert counts(complete) == (1, 1, 0, 0)
    assert online(spec, 1, 2) == {1: 1, 2: 2}


def test_by_default_nothing_later_than_now(made: Made, spec: OnlineSpec) -> None:
    ahead = datetime.now(UTC) + timedelta(days=1)
    table = made.append(row(1, 1, 1), {**row(1, 0, 2), "at": ahead})
    publish(table, spec)
    assert online(spec, 1) == {1: 1}
    publish(table, spec, as_of=ahead)
    assert online(spec, 1) == {1: 2}


@pytest.mark.parametrize("kind", ["date", "timestamp_ntz"])
def test_times_of_every_type_order_rows_in_utc(tmp_path: Path, spec: OnlineSpec, kind: str) -> None:
    made = Made(tmp_path / kind, {"id": "bigint", "at": kind, "n": "int"}, ("id",), "at")
    moments = [day(number).date() if kind == "date" else day(number).replace(tzinfo=None) for number in (3, 9, 6)]
    table = made.append(*({"id": 1, "at": at, "n": n} for n, at in enumerate(moments)))
    publish(table, spec, as_of=day(9) - timedelta(microseconds=1))
    assert read_online("s.t", [{"id": 1}], store=spec)[0]["n"] == 2
    publish(table, spec, as_of=day(9))
    rows = read_online("s.t", [{"id": 1}], store=spec)
    assert rows[0]["n"] == 1
    assert rows.found[0].event_time == day(9)


def test_rows_without_a_time_are_never_published(made: Made, spec: OnlineSpec) -> None:
    table = made.append({**row(1, 0, 1), "at": None}, {**row(2, 0, 2), "at": None}, row(2, 0, 3))
    assert counts(publish(table, spec)) == (1, 0, 0, 0)
    assert online(spec, 1, 2) == {1: None, 2: 3}


def test_a_static_table_publishes_its_rows_by_version(tmp_path: Path, spec: OnlineSpec) -> None:
    made = Made(tmp_path / "static", {"a": "string", "b": "boolean", "n": "int"}, ("a", "b"), None)
    first = made.append({"a": "x", "b": True, "n": 1}, {"a": "x", "b": False, "n": 2})
    assert counts(publish(first, spec)) == (2, 0, 0, 0)
    second = made.merge({"a": "x", "b": False, "n": 3}, {"a": "y", "b": True, "n": 4})
    assert counts(publish(second, spec)) == (2, 1, 0, 0)
    assert counts(publish(first, spec)) == (0, 1, 1, 0)
    keys = [{"a": "x", "b": True}, {"a": "x", "b": False}, {"a": "y", "b": True}, {"a": "y", "b": False}]
    assert [found["n"] for found in read_online("s.t", keys, store=spec)] == [1, 3, 4, None]


def test_a_filter_condition_is_seen_before_the_newest_row_is_picked(made: Made, spec: OnlineSpec) -> None:
    table = made.append(row(1, 1, 1, "a"), row(1, 2, 2, "b"), row(2, 1, 3, "b"), row(3, 1, 4, None))
    assert counts(publish(table, spec, filter_condition="word = 'a'")) == (1, 0, 0, 0)
    assert online(spec, 1, 2, 3) == {1: 1, 2: None, 3: None}
    assert check_parity(table, spec).ok
    assert counts(publish(table, spec, filter_condition="word = 'a'")) == (0, 1, 0, 0)
    report = publish(table, spec)
    assert counts(report) == (3, 0, 0, 0)
    assert "another filter" in report.reason


def test_a_row_that_no_longer_meets_the_condition_is_not_published(made: Made, spec: OnlineSpec) -> None:
    publish(made.append(row(1, 1, 1, "a")), spec, filter_condition="word = 'a'")
    made.append(row(1, 2, 2, "a"))
    table = made.merge(row(1, 2, 3, "b"))
    assert counts(publish(table, spec, filter_condition="word = 'a'")) == (0, 1, 0, 0)
    assert online(spec, 1) == {1: 1}


@pytest.mark.spark
def test_a_filter_condition_beyond_the_direct_engine_goes_through_spark(
    made: Made, local: SQLiteSpec, spark: Any
) -> None:
    table = made.append(row(1, 1, 1, "abc"), row(2, 1, 2, "xbc"), row(2, 2, 3, "xyz"))
    condition = "regexp_replace(word, '[a-z]$', '') = 'xb'"
    assert engine_for(table, "n > 1").name == "direct"
    assert engine_for(table, condition).name == "spark"

    class Own(SparkEngine):
        """A session of one's own: it serves where it is needed, no sooner."""

        served = False

        def read(self, table: TableVersion, columns: Any = None, within: Any = None) -> Any:
            self.served = True
            return super().read(table, columns)

    own = Own(spark)
    assert counts(publish(table, local, filter_condition="n > 9", dry_run=True, session=own)) == (0, 0, 0, 0)
    assert not own.served
    assert counts(publish(table, local, filter_condition=condition, session=own)) == (1, 0, 0, 0)
    assert own.served
    assert online(local, 1, 2) == {1: None, 2: 2}
    assert check_parity(table, local).ok


@pytest.mark.spark
def test_a_table_too_large_for_this_process_goes_through_spark(
    made: Made, local: SQLiteSpec, spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "CELLS", 100)
    table = replace(made.append(*(row(key, at, at) for key in range(20) for at in range(3))), rows=60)
    assert engine_for(table).name == "spark"
    assert counts(publish(table, local)) == (20, 0, 0, 0)
    assert check_parity(table, local).ok


@pytest.mark.parametrize(
    "condition",
    ["at <= current_timestamp()", "n IN (SELECT 1)", "java_method('a', 'b') = word", "_metadata.row_index = 1"],
)
def test_a_filter_condition_of_more_than_its_row_is_refused_before_an_engine_is_chosen(
    made: Made, local: SQLiteSpec, condition: str
) -> None:
    with pytest.raises(InvalidInput, match=r"^filter_condition .* (depends on|subquery|reaches beyond)"):
        publish(made.append(row(1, 1, 1)), local, filter_condition=condition)
    assert not Path(local.path).exists()


@pytest.mark.parametrize(("condition", "error"), [("nn > 1", UnknownColumn), ("n + 1", BadExpression)])
def test_a_filter_condition_that_is_none_is_refused_first(
    made: Made, local: SQLiteSpec, condition: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        publish(made.append(row(1, 1, 1)), local, filter_condition=condition, engine=DirectEngine())
    assert not Path(local.path).exists()


def test_a_choice_of_features_can_grow_but_not_shrink(made: Made, spec: OnlineSpec) -> None:
    table = made.append(row(1, 1, 10, "x"), row(2, 1, 20, "y"))
    assert counts(publish(table, spec, features=["word", "id"])) == (2, 0, 0, 0)
    assert read_online("s.t", [{"id": 1}], store=spec) == [{"id": 1, "word": "x"}]
    with pytest.raises(SchemaChange, match="the features word, which would no longer"):
        publish(table, spec, features=["n"])
    report = publish(table, spec)
    assert counts(report) == (2, 0, 0, 0)
    assert "features were added" in report.reason
    assert read_online("s.t", [{"id": 2}], store=spec) == [{"id": 2, "word": "y", "n": 20}]
    assert counts(publish(table, spec, features=["n", "word"])) == (0, 2, 0, 0)


def test_a_key_that_left_before_a_feature_was_added_reads_null(made: Made, spec: OnlineSpec) -> None:
    publish(made.append(row(1, 1, 10, "x"), row(2, 1, 20, "y")), spec, features=["word"])
    publish(made.delete("id = 1"), spec)
    rows = read_online("s.t", [{"id": 1}, {"id": 2}], store=spec)
    assert rows == [{"id": 1, "word": "x", "n": None}, {"id": 2, "word": "y", "n": 20}]


def test_a_table_of_that_name_made_anew_is_refused(made: Made, tmp_path: Path, spec: OnlineSpec) -> None:
    publish(made.append(row(1, 1, 1)), spec)
    anew = Made(tmp_path / "again", SCHEMA, ("id",), "at")
    with pytest.raises(SchemaChange, match="another table of that name; drop_online_table"):
        publish(anew.append(row(1, 1, 2)), spec)
    assert online(spec, 1) == {1: 1}


def test_other_keys_or_types_are_refused(made: Made, spec: OnlineSpec) -> None:
    table = made.append(row(1, 1, 1))
    publish(table, spec)
    with pytest.raises(SchemaChange, match="the keys id bigint"):
        publish(replace(table, primary_keys=("id", "word")), spec)
    with pytest.raises(TypeMismatch, match=r"feature n of s\.t is int, but bigint online"):
        publish(replace(table, schema={**SCHEMA, "n": "int"}), spec)


def test_a_type_that_cannot_be_held_is_refused_by_name_before_anything_is_written(made: Made, spec: OnlineSpec) -> None:
    table = made.append(row(1, 1, 1))
    with pytest.raises(UnsupportedType, match="word"):
        publish(replace(table, schema={**SCHEMA, "word": "map<struct<a:int>,int>"}), spec)
    assert contents(spec) == {}
    publish(replace(table, schema={**SCHEMA, "word": "map<struct<a:int>,int>"}), spec, features=["n"])
    assert online(spec, 1) == {1: 1}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"mode": "overwrite"}, InvalidInput, "mode must be 'merge'"),
        ({"as_of": datetime(2024, 1, 1)}, NaiveDatetime, "as_of"),
        ({"as_of": "2024-01-01"}, InvalidInput, "as_of must be"),
        ({"features": ["wrod"]}, UnknownColumn, "Nearest: word"),
        ({"features": "word"}, InvalidInput, r"write \['word'\]"),
    ],
)
def test_bad_arguments(
    made: Made, local: SQLiteSpec, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        publish(made.append(row(1, 1, 1)), local, **arguments)
    assert not Path(local.path).exists()


def test_two_newest_rows_of_a_key_are_an_error_not_a_guess(made: Made, spec: OnlineSpec) -> None:
    table = made.append(row(1, 1, 1), row(1, 1, 2), row(2, 1, 1))
    with pytest.raises(DuplicateKeys, match=r"1 keys of s\.t have two newest rows: id=1, at=2024-01-02"):
        publish(table, spec)
    assert counts(publish(made.append(row(1, 2, 3)), spec)) == (2, 0, 0, 0)


def test_null_keys_are_an_error_with_its_cure(made: Made, spec: OnlineSpec) -> None:
    table = made.append({**row(0, 1, 1), "id": None}, row(0, 1, 2))
    with pytest.raises(NullKeys, match=r'1 rows of s.t.*filter_condition="id IS NOT NULL"'):
        publish(table, spec)
    assert counts(publish(table, spec, filter_condition="id IS NOT NULL")) == (1, 0, 0, 0)
    assert online(spec, 0) == {0: 2}


def test_a_dry_run_says_what_the_run_then_does(made: Made, spec: OnlineSpec) -> None:
    steps: list[tuple[Callable[[], Any], dict[str, Any]]] = [
        (lambda: made.append(row(1, 1, 1), row(2, 1, 2)), {"features": ["n"]}),
        (lambda: made.append(row(2, 2, 22), row(1, 0, 0), row(3, 1, 3)), {"features": ["n"]}),
        (lambda: made.merge(row(3, 1, 3)), {}),
        (lambda: made.at(), {}),
        (lambda: made.at(1), {}),
    ]
    for step, arguments in steps:
        table = step()
        before = contents(spec)
        dry = publish(table, spec, dry_run=True, **arguments)
        assert contents(spec) == before
        assert dry.dry_run
        real = publish(table, spec, **arguments)
        assert (counts(dry), dry.online_version, dry.reason) == (counts(real), real.online_version, real.reason)
    assert "would write" in repr(dry)


def test_the_report_shows_counts_versions_and_size(made: Made, spec: OnlineSpec) -> None:
    table = made.append(*(row(key, 1, key, "x" * 20) for key in range(50)))
    shown = repr(publish(table, spec, dry_run=True))
    assert "would write  unchanged  stale  failed  source version  seconds" in shown
    assert "nothing online before" in shown
    assert "bytes a row, 1 kB in all" in shown
    assert " · dry run, nothing written " in " ".join(shown.split())
    assert all(len(line) <= 100 for line in shown.splitlines())
    real = publish(table, spec)
    assert "dry run" not in repr(real)
    assert "bytes a row" not in repr(real)
    for size, said in ((999, "999 bytes"), (1_000, "1 kB"), (10**6 - 501, "999 kB"), (10**6, "1 MB"), (10**9, "1 GB")):
        assert f"bytes a row, {said} in all" in repr(replace(real, bytes=size))


def test_keys_that_cannot_be_online_are_refused_before_the_store_knows_of_the_table(
    made: Made, spec: OnlineSpec
) -> None:
    table = made.append(row(1, 1, 1))
    with pytest.raises(UnsupportedType, match="key id is array<int>"):
        publish(replace(table, schema={**table.schema, "id": "array<int>"}), spec)
    with spec.open() as store:
        assert store.table("s.t") is None


def test_the_seconds_of_a_report_are_those_since_it_began(
    made: Made, spec: OnlineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        now = 100.0

        def monotonic(self) -> float:
            self.now += 3.5
            return self.now

    monkeypatch.setattr("fstk.online.publish.time", Clock())
    assert publish(made.append(row(1, 1, 1)), spec).seconds == 3.5


def test_new_keys_that_the_store_refuses_are_not_taken_off_those_that_it_has(
    made: Made, spec: OnlineSpec, monkeypatch: pytest.MonkeyPatch, adapter: type[Any]
) -> None:
    publish(made.append(row(1, 1, 1)), spec)
    table = made.append(row(2, 1, 2), row(3, 1, 3))
    monkeypatch.setattr(adapter, "write", lambda self, online, rows: Counts(failed=len(rows)))
    report = publish(table, spec)
    assert (report.reason, counts(report)) == ("versions 2 to 2", (0, 0, 0, 2))


def test_a_store_that_fails_half_way_is_taken_up_again(
    made: Made, spec: OnlineSpec, monkeypatch: pytest.MonkeyPatch, adapter: type[Any]
) -> None:
    table = made.append(*(row(key, 1, key) for key in range(35)))
    write = adapter.write
    calls: list[int] = []

    def breaks(self: Any, online: OnlineTable, rows: list[Row]) -> Counts:
        calls.append(len(rows))
        if len(calls) == 3:
            raise StoreUnavailable("the disk is gone.")
        return write(self, online, rows)

    monkeypatch.setattr(adapter, "write", breaks)
    with pytest.raises(StoreUnavailable, match=r"disk is gone\. 20 rows were written before that; publish again"):
        publish(table, spec, portion=10)
    with pytest.raises(StoreUnavailable, match="published for the first time"):
        online(spec, 1)
    told: list[tuple[int, int | None]] = []
    assert counts(publish(table, spec, portion=10, progress=lambda *state: told.append(state))) == (15, 20, 0, 0)
    assert told == [(10, 35), (20, 35), (30, 35), (35, 35)]
    assert check_parity(table, spec).ok


def test_a_dry_run_that_fails_half_way_has_written_nothing(
    made: Made, spec: OnlineSpec, monkeypatch: pytest.MonkeyPatch, adapter: type[Any]
) -> None:
    table = made.append(*(row(key, 1, key) for key in range(35)))
    publish(table, spec, features=["n"])
    get = adapter.get
    calls: list[int] = []

    def breaks(self: Any, wanted: list[Wanted]) -> list[list[Row | None]]:
        calls.append(len(wanted))
        if len(calls) == 3:
            raise StoreUnavailable("the disk is gone.")
        return get(self, wanted)

    monkeypatch.setattr(adapter, "get", breaks)
    with pytest.raises(StoreUnavailable, match=r"disk is gone\.$"):
        publish(table, spec, portion=10, dry_run=True)


def test_a_publisher_that_another_was_faster_than_plans_again(
    made: Made, spec: OnlineSpec, monkeypatch: pytest.MonkeyPatch, adapter: type[Any]
) -> None:
    table = made.append(row(1, 1, 10))
    put = adapter.put_table
    first: list[OnlineTable] = []

    def comes_second(self: Any, online: OnlineTable, replaces: OnlineTable | None) -> OnlineTable:
        if not first:
            with spec.open() as other:
                first.append(put(other, online, replaces))
        return put(self, online, replaces)

    monkeypatch.setattr(adapter, "put_table", comes_second)
    assert counts(publish(table, spec)) == (1, 0, 0, 0)
    assert online(spec, 1) == {1: 10}


def test_a_publisher_that_others_are_always_faster_than_gives_up_and_writes_nothing(
    made: Made, spec: OnlineSpec, monkeypatch: pytest.MonkeyPatch, adapter: type[Any]
) -> None:
    tried: list[OnlineTable] = []

    def late(self: Any, online: OnlineTable, replaces: OnlineTable | None) -> OnlineTable:
        tried.append(online)
        raise WriteConflict("s.t was published anew meanwhile.")

    monkeypatch.setattr(adapter, "put_table", late)
    with pytest.raises(WriteConflict, match="published anew meanwhile"):
        publish(made.append(row(1, 1, 10)), spec)
    assert len(tried) == 5
    assert contents(spec) == {}


FAR = 2**58  # microseconds: past the year 9999, and before year 1


@pytest.mark.parametrize(
    ("column", "kind", "numbers"),
    [
        ("at", "timestamp", pa.array([0, 1, FAR])),
        ("at", "timestamp", pa.array([0, 1, -FAR])),
        ("times", "array<timestamp_ntz>", pa.array([0, 1, FAR])),
    ],
)
@pytest.mark.parametrize("bounded", [True, False])
def test_a_time_that_no_reader_could_have_is_refused_with_its_key(
    tmp_path: Path, local: SQLiteSpec, column: str, kind: str, numbers: pa.Array, bounded: bool
) -> None:
    """By a store with a limit before anything is written, by the others with the batch that it is in."""
    schema = {"id": "bigint", "at": "timestamp", "n": "int"} | {column: kind}
    made = Made(tmp_path / "t", schema, ("id",), "at")
    far = numbers.view(arrow_type(kind)) if "array" not in kind else _each_in_a_list(numbers, kind)
    rows = {"id": pa.array([1, 2, 3]), "at": pa.array([0, 0, 0]).view(INSTANT), "n": pa.array([1, 2, 3], pa.int32())}
    deltalake.write_deltalake(made.folder, pa.table(rows | {column: far}), mode="append")
    offered: list[bytes] = []

    class Store(SQLiteStore):
        def write(self, table: OnlineTable, rows: Sequence[Row]) -> Counts:
            offered.extend(row.key for row in rows)
            return super().write(table, rows)

    class Limited(Store):
        row_bytes = 1_000

        def check_sizes(self, table: OnlineTable, rows: Sequence[Row]) -> None:
            pass

    class Spec(SQLiteSpec):
        def open(self) -> SQLiteStore:
            return (Limited if bounded else Store)(Path(self.path))

    with pytest.raises(InvalidInput, match=rf"s\.t, id=3: column {column} holds a time outside the years 0001 to 9999"):
        publish(made.at(), Spec(local.path), portion=1)
    assert b"i3" not in offered
    assert not (bounded and offered)


def _each_in_a_list(values: pa.Array, kind: str) -> pa.Array:
    wanted = arrow_type(kind)
    return pa.ListArray.from_arrays(range(len(values) + 1), values.view(wanted.value_type)).cast(wanted)
