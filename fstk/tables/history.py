"""What each version of a feature table says of itself: when, what, by which run, how many rows."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from importlib.metadata import version as installed
from typing import Any

import msgspec

from fstk.columns.instants import given
from fstk.display import Displayed, Sheet, instant
from fstk.errors import ExpiredSnapshot, InvalidInput, UnknownName
from fstk.journal import cell, run_id, run_task
from fstk.tables.definition import Definitions, FeatureDefinition

_HASH = 8
_LONGEST_CELL = 20_000
_PASSWORD = re.compile(r"(://[^\s/:@'\"]*:)[^\s/@'\"]+@")

# Commits that cannot make two rows share a key: they write no rows, take rows away, or return to what was.
_HARMLESS = {
    *("CREATE TABLE", "ADD COLUMNS", "CHANGE COLUMN", "ADD CONSTRAINT", "DROP CONSTRAINT", "UPGRADE PROTOCOL"),
    *("SET TBLPROPERTIES", "UNSET TBLPROPERTIES", "COMPUTE STATS", "OPTIMIZE", "VACUUM START", "VACUUM END"),
    *("DELETE", "TRUNCATE", "RESTORE"),
}


@dataclass(frozen=True, repr=False)
class Version(Displayed):
    """One version of a table.

    ``timestamp`` is the commit's, in UTC. ``run`` is the id of the ``fstk run`` that wrote it, if one did, ``task`` its
    job, task and logical date; ``rows`` the rows that it inserted or updated (None where the commit does not say).
    ``by_fstk`` tells that fstk committed it. ``cell`` is the hash of the notebook cell that wrote it, ``text`` that
    cell's text, in the first version that it wrote; ``defined`` the features that it gave another definition;
    ``sources`` are the versions of the tables that its rows were computed of, ``points`` the instants.
    """

    version: int
    timestamp: datetime
    operation: str
    run: str | None = None
    task: str | None = None
    rows: int | None = None
    inserted: int = 0
    updated: int = 0
    by_fstk: bool = False
    write: str | None = None
    read_version: int | None = None
    cell: str | None = None
    text: str | None = None
    defined: Definitions = field(default_factory=dict)
    sources: Mapping[str, int | None] = field(default_factory=dict)
    points: str | None = None

    @property
    def writer(self) -> str:
        """Who wrote it, as far as it says: ``run churn/10_build_features 1998-03-31 · cell 3f2a9c1e``, or that fstk did
        not."""
        known = [f"run {self.task or self.run}" if self.run else "", f"cell {self.cell}" if self.cell else ""]
        return " · ".join(one for one in known if one) or ("" if self.by_fstk else "others than fstk")

    def display(self) -> Sheet:
        row = (f"v{self.version}", self.timestamp, self.operation, self.rows, self.writer)
        return Sheet("", ("version", "time (UTC)", "operation", "rows", "written by"), [row])


@dataclass(frozen=True)
class Told:
    """What a commit tells of how its rows were made: the ``definitions`` of features, and what the table's ``versions``
    have told before."""

    definitions: Definitions = field(default_factory=dict)
    versions: Sequence[Version] = ()

    @cached_property
    def known(self) -> Definitions:
        return definitions_at(self.versions, self.definitions)

    @property
    def redefined(self) -> bool:
        """Whether a feature gets a definition, or another one."""
        return any(name not in self.known or not one.means(self.known[name]) for name, one in self.definitions.items())

    def mark(self) -> dict[str, Any]:
        """Return what the commit carries; a definition, and the text of a cell, only when they are new."""
        found: dict[str, Any] = {}
        text = cell()
        if text is not None:
            text = cell_text(text)
            found["cell"] = cell_hash(text)
            found |= {} if any(found["cell"] == version.cell for version in self.versions) else {"text": text}
        if self.definitions:
            new = {name: one for name, one in self.definitions.items() if one.timeless != self._timeless(name)}
            found["sources"] = {one.source: one.source_version for one in self.definitions.values() if one.source}
            found["points"] = next(iter(self.definitions.values())).points
            found["defined"] = {name: msgspec.to_builtins(one) for name, one in new.items()}
        return found

    def _timeless(self, name: str) -> FeatureDefinition | None:
        return self.known[name].timeless if name in self.known else None


def cell_text(text: str) -> str:
    """Return what is kept of a cell's text: its beginning, without passwords in URLs."""
    return _PASSWORD.sub(r"\1…@", text.rstrip("\n"))[:_LONGEST_CELL]


def text_of(versions: Iterable[Version], cell: str | None) -> str | None:
    """Return the text of the notebook cell of a hash, as the version tells that it wrote first; None: none tells."""
    return next((one.text for one in versions if one.text is not None and one.cell == cell), None)


def cell_hash(text: str) -> str:
    """Return the name by which a cell is known again: the beginning of its text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH]


def commit_mark(told: Told, **more: Any) -> tuple[str, str]:
    """Return a new name of a write, to know it again, and what its commit carries as Delta's ``userMetadata``, ``more``
    with it."""
    write = uuid.uuid4().hex
    run = {"run": run_id(), "task": run_task()}
    return write, json.dumps({"fstk": installed("fstk"), **run, "write": write, **told.mark(), **more})


def definitions_at(versions: Iterable[Version], columns: Iterable[str], at: int | None = None) -> Definitions:
    """Return what the features among ``columns`` were at version ``at``, None for the newest, as the commits tell."""
    found: dict[str, FeatureDefinition] = {}
    for version in sorted(versions, key=lambda version: version.version):
        if at is None or version.version <= at:
            found |= version.defined
            found = {name: one.read_at(version.sources, version.points) for name, one in found.items()}
    return {name: found[name] for name in columns if name in found}


def read_history(entries: Iterable[Mapping[str, Any]]) -> list[Version]:
    """Return the versions of a history, newest first; ``entries`` have the names of Delta's ``DESCRIBE HISTORY``, and
    their ``timestamp`` is a datetime or milliseconds."""
    return sorted((_version(entry) for entry in entries), key=lambda version: -version.version)


def only_fstk(versions: list[Version]) -> bool:
    """Tell whether every commit of rows came from fstk; False where the beginning of the history is lost."""
    whole = bool(versions) and len(versions) == versions[0].version + 1
    return whole and all(version.by_fstk or version.operation in _HARMLESS for version in versions)


def _version(entry: Mapping[str, Any]) -> Version:
    mark = read_mark(entry.get("userMetadata"))
    metrics = entry.get("operationMetrics") or {}
    operation = str(entry.get("operation") or "")
    inserted, updated = _number(metrics, "numTargetRowsInserted"), _number(metrics, "numTargetRowsUpdated")
    if operation in {"CREATE TABLE AS SELECT", "WRITE"}:
        inserted = _number(metrics, "numOutputRows")
        inserted = _number(metrics, "num_added_rows") if inserted is None else inserted
    counted = [count for count in (inserted, updated) if count is not None]
    return Version(
        version=int(entry["version"]),
        timestamp=_instant(entry["timestamp"]),
        operation=operation,
        run=mark.get("run"),
        task=mark.get("task"),
        rows=sum(counted) if counted else None,
        inserted=inserted or 0,
        updated=updated or 0,
        by_fstk="fstk" in mark,
        write=mark.get("write"),
        read_version=entry.get("readVersion"),
        **(_told(mark) if "fstk" in mark else {}),
    )


def _told(mark: Mapping[str, Any]) -> dict[str, Any]:
    defined = {name: msgspec.convert(one, FeatureDefinition) for name, one in mark.get("defined", {}).items()}
    return {"defined": defined, **{name: mark[name] for name in ("cell", "text", "sources", "points") if name in mark}}


def read_mark(text: Any) -> dict[str, Any]:
    """Return what :func:`commit_mark` wrote, empty for what others did."""
    try:
        mark = json.loads(text or "{}")
    except ValueError:
        return {}  # another writer's own words
    return mark if isinstance(mark, dict) else {}


def _number(metrics: Mapping[str, Any], name: str) -> int | None:
    return int(metrics[name]) if name in metrics else None


def _instant(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return datetime.fromtimestamp(int(value) / 1000, UTC)


def choose(name: str, versions: list[Version], version: int | None, timestamp: datetime | date | None) -> int | None:
    """Return the number of the version that is meant, None for the newest; ``versions`` are newest first.

    See ``FeatureEngineeringClient.read_table`` for the meaning of ``version`` and ``timestamp``, and for errors.
    """
    if version is not None and timestamp is not None:
        raise InvalidInput(f"{name}: give version or timestamp, not both.")
    oldest, newest = versions[-1], versions[0]
    if timestamp is not None:
        at = given(timestamp, "timestamp")
        found = next((one.version for one in versions if one.timestamp <= at), None)
        if found is None:
            raise UnknownName(f"{name} has no version at {instant(at)}; its first is of {instant(oldest.timestamp)}.")
        return found
    if version is None:
        return None
    if isinstance(version, bool) or not isinstance(version, int):
        raise InvalidInput(f"{name}: version must be a whole number; got {version!r}.")
    if not 0 <= version <= newest.version:
        raise UnknownName(f"{name} has no version {version}; it has 0 to {newest.version}.")
    if version < oldest.version:
        raise ExpiredSnapshot(f"{name}: version {version} is no longer kept; the oldest is {oldest.version}.")
    return version
