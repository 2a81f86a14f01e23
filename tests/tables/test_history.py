"""History: what a version says of itself, and which version is meant."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from fstk import journal
from fstk.errors import ExpiredSnapshot, InvalidInput, NaiveDatetime, UnknownName
from fstk.tables.history import Told, choose, commit_mark, only_fstk, read_history

START = datetime(2024, 1, 1, tzinfo=UTC)


def entry(version: int, operation: str = "MERGE", ours: bool = True, **metrics: int) -> dict[str, Any]:
    return {
        "version": version,
        "timestamp": int((START + timedelta(hours=version)).timestamp() * 1000),
        "operation": operation,
        "operationMetrics": {name: str(value) for name, value in metrics.items()},
        "userMetadata": json.dumps({"fstk": "0.1.0", "run": "run-7", "write": f"w{version}"}) if ours else None,
        "readVersion": version - 1 if version else None,
    }


CREATED = entry(0, "CREATE TABLE AS SELECT", numOutputRows=5)
MERGED = entry(1, numTargetRowsInserted=2, numTargetRowsUpdated=3)


def test_versions_are_newest_first_with_what_they_wrote() -> None:
    newest, oldest = read_history([CREATED, MERGED])
    assert (newest.version, newest.operation, newest.rows, newest.inserted, newest.updated) == (1, "MERGE", 5, 2, 3)
    assert (newest.run, newest.by_fstk, newest.write, newest.read_version) == ("run-7", True, "w1", 0)
    assert newest.timestamp == datetime(2024, 1, 1, 1, tzinfo=UTC)
    assert (oldest.rows, oldest.inserted, oldest.updated, oldest.read_version) == (5, 5, 0, None)


def test_a_commit_names_the_task_that_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        (journal.KERNEL_VARIABLE, str(os.getpid())),
        (journal.FOLDER_VARIABLE, str(tmp_path)),
        (journal.RUN_VARIABLE, "7c1f03aa"),
        (journal.TASK_VARIABLE, "churn/10_build_features 1998-03-31"),
    ):
        monkeypatch.setenv(name, value)
    version = read_history([CREATED | {"userMetadata": commit_mark(Told())[1]}])[0]
    assert (version.run, version.writer) == ("7c1f03aa", "run churn/10_build_features 1998-03-31")


def test_a_time_may_be_a_datetime_of_any_zone() -> None:
    local = datetime(2024, 1, 1, 5, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert read_history([CREATED | {"timestamp": local}])[0].timestamp == START


@pytest.mark.parametrize("words", [None, "", "by hand", "[1]", '"fstk"', '{"team": "x"}'])
def test_commits_of_others_are_told_apart(words: str | None) -> None:
    version = read_history([CREATED | {"userMetadata": words}])[0]
    assert (version.by_fstk, version.run, version.write) == (False, None, None)


@pytest.mark.parametrize(
    ("more", "known"),
    [
        ([], True),
        ([entry(2, "SET TBLPROPERTIES", ours=False)], True),
        ([entry(2, "OPTIMIZE", ours=False), entry(3, "DELETE", ours=False)], True),
        ([entry(2, "WRITE", ours=False)], False),
        ([entry(2, "MERGE", ours=False), entry(3)], False),
        ([entry(2, "UPDATE", ours=False)], False),
        ([entry(3)], False),
    ],
)
def test_keys_are_known_unique_only_while_every_commit_of_rows_is_ours(more: list[dict[str, Any]], known: bool) -> None:
    assert only_fstk(read_history([CREATED, MERGED, *more])) is known


def test_keys_are_not_known_unique_where_the_beginning_is_lost() -> None:
    assert not only_fstk(read_history([MERGED]))
    assert not only_fstk([])


def test_a_mark_is_new_for_every_write_and_carries_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fstk.tables.history.run_id", lambda: "churn/1998-03-31")
    (one, mark), (two, _) = commit_mark(Told()), commit_mark(Told())
    assert one != two
    found = read_history([CREATED | {"userMetadata": mark}])[0]
    assert (found.by_fstk, found.run, found.write) == (True, "churn/1998-03-31", one)


VERSIONS = read_history([CREATED, MERGED, entry(2)])


@pytest.mark.parametrize(
    ("at", "version"),
    [
        (START, 0),
        (START + timedelta(minutes=59), 0),
        (START + timedelta(hours=1), 1),
        (datetime(2024, 1, 1, 6, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))), 1),
        (datetime(9999, 1, 1, tzinfo=UTC), 2),
        (date(2024, 1, 1), 0),
        (date(2024, 1, 2), 2),
    ],
)
def test_a_timestamp_means_the_newest_version_not_after_it(at: date, version: int) -> None:
    assert choose("s.t", VERSIONS, None, at) == version


def test_the_newest_is_meant_when_nothing_is_said() -> None:
    assert choose("s.t", VERSIONS, None, None) is None


@pytest.mark.parametrize(
    ("version", "timestamp", "error", "words"),
    [
        (3, None, UnknownName, "no version 3; it has 0 to 2"),
        (-1, None, UnknownName, "no version -1"),
        (True, None, InvalidInput, "whole number"),
        ("1", None, InvalidInput, "whole number"),
        (1, START, InvalidInput, "not both"),
        (None, datetime(2024, 1, 1), NaiveDatetime, "has no time zone"),
        (None, "2024-01-01", InvalidInput, "a datetime with a time zone"),
        (None, START - timedelta(microseconds=1), UnknownName, "its first is of 2024-01-01"),
    ],
)
def test_a_version_that_is_not_there_is_refused(
    version: Any, timestamp: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        choose("s.t", VERSIONS, version, timestamp)


def test_a_version_that_is_gone_is_told_from_one_that_never_was() -> None:
    with pytest.raises(ExpiredSnapshot, match="version 0 is no longer kept; the oldest is 1"):
        choose("s.t", VERSIONS[:2], 0, None)
