"""What was served, made again: each logged row's features rebuilt of the offline tables as they were published, and the
model asked again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import msgspec
import pyarrow as pa

from fstk.display import Displayed, Sheet, instant, plural
from fstk.engines.base import TableVersion
from fstk.engines.direct import DirectEngine
from fstk.engines.types import arrow_type
from fstk.errors import FstkError, InvalidInput, UnknownName, UnknownTable, nearest
from fstk.models.score import open_model
from fstk.serving.endpoint import ModelFailed, Predictor
from fstk.serving.values import reader
from fstk.tables.catalog import Catalog
from fstk.tables.configured import open_catalog
from fstk.tables.served_log import all_logs, find_log
from fstk.training import feature_spec, run
from fstk.training.plan import TrainingPlan
from fstk.training.resolve import Join

_SHOWN = 20
PREDICTION = "prediction"
_Row = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class ReplayDifference:
    """A feature, or the prediction, of one logged row that comes out otherwise, and why."""

    row: str
    column: str
    served: Any
    rebuilt: Any
    why: str


@dataclass(frozen=True, repr=False)
class ReplayReport(Displayed):
    """``rows`` logged rows made again, of which ``equal`` are as they were served; ``given`` of them hold features that
    the request gave itself. ``reasons`` count the differences; ``unread`` says what could not be made again, and of how
    many rows."""

    log: str
    rows: int
    equal: int
    given: int
    reasons: Mapping[str, int]
    unread: Mapping[str, int]
    differences: tuple[ReplayDifference, ...]

    @property
    def ok(self) -> bool:
        """Whether every row was made again, and came out as it was served."""
        return self.equal == self.rows

    def display(self) -> Sheet:
        """Return the first differences, the reasons counted, and what could not be made again."""
        title = f"replay of {self.log} · {plural(self.rows, 'row')} · {self.equal:,} equal"
        rows = [(one.row, one.column, one.served, one.rebuilt, one.why) for one in self.differences]
        notes = [f"{count:,} × {why}" for why, count in self.reasons.items()]
        notes += [f"not made again: {plural(count, 'row')}: {why}" for why, count in self.unread.items()]
        notes += [f"{plural(self.given, 'row')} with features that the request gave itself"] if self.given else []
        columns = ("row", "column", "served", "rebuilt", "why") if rows else ()
        return Sheet(title, columns, rows, notes or ["as it was served, every feature and every prediction"])


def replay(name: str, newest: int | None = None, registry_uri: str | None = None) -> ReplayReport:
    """Make the rows of the log ``name`` again, or the ``newest`` so many.

    Each table is read at the version that the row was published from, as a label of the request's instant sees it; of a
    row that was not found online, at the version that was written last by then. UnknownTable: there is no such log.
    """
    if newest is not None and newest < 1:
        raise InvalidInput(f"--newest must be at least 1; got {newest}.")
    log = find_log(name)
    if log is None:
        known = [one.name for one in all_logs()]
        raise UnknownTable(f"no log of fstk serve is called {name}.{nearest(name, known)}")
    rows = DirectEngine().read(TableVersion(log.name, log.location, log.version))
    rows = rows.sort_by([("at", "descending"), ("request", "ascending"), ("row", "ascending")])
    served = rows.slice(0, newest).to_pylist()
    found = _Found()
    for (endpoint, version), some in _grouped(served, lambda row: (row["endpoint"], row["version"])):
        try:
            subject = _subject(endpoint, version, registry_uri)
        except FstkError as error:
            found.unread[str(error).splitlines()[0]] += len(some)
            continue
        remade: list[_Remade] = []
        for versions, alike in _grouped(some, subject.versions):
            try:
                remade += subject.remade(alike, versions)
            except FstkError as error:
                found.unread[str(error).splitlines()[0]] += len(alike)
        subject.compare(remade, found)
    shown = tuple(found.differences[:_SHOWN])
    return ReplayReport(log.name, len(served), found.equal, found.given, found.reasons, found.unread, shown)


class _Remade(NamedTuple):
    """A logged row, the columns that its request gave, all that a model may read of it now, and which features come out
    otherwise."""

    row: _Row
    given: Mapping[str, Any]
    columns: Mapping[str, Any]
    differences: list[ReplayDifference]


class _Found:
    """What is found, row by row."""

    def __init__(self) -> None:
        self.equal = self.given = 0
        self.reasons: Counter[str] = Counter()
        self.unread: Counter[str] = Counter()
        self.differences: list[ReplayDifference] = []

    def add(self, differences: Sequence[ReplayDifference]) -> None:
        self.equal += not differences
        self.reasons.update(one.why for one in differences)
        self.differences += differences


def _subject(endpoint: str, version: str, registry_uri: str | None) -> _Subject:
    """Return what answered under a name, at a version."""
    catalog = open_catalog()
    if version.isdigit():
        opened = open_model(f"models:/{endpoint}/{version}", registry_uri)
        return _Subject(opened.record.plan, Predictor(opened), catalog)
    spec = feature_spec.get(endpoint, None)
    if spec.digest != version:
        raise UnknownName(f"feature spec {endpoint} was made anew since")
    return _Subject(feature_spec.requested(spec, {name: catalog.get(name) for name in spec.tables}), None, catalog)


class _Subject:
    """The plan of what answered, and what predicts, None for a feature set."""

    def __init__(self, plan: TrainingPlan, predict: Predictor | None, catalog: Catalog) -> None:
        self._plan, self._predict = plan, predict
        self._joins = [join for join in plan.joins if join.outputs]
        looked_up = {output.name: output.type for join in self._joins for output in join.outputs}
        self._made = looked_up | {one.name: one.type for one in plan.functions}
        self._home = {output.name: place for place, join in enumerate(self._joins) for output in join.outputs}
        self._keys = plan.key_types
        self._tables = {join.table: catalog.get(join.table) for join in self._joins}

    def versions(self, row: _Row) -> tuple[int, ...]:
        """Return the version of each join's table that a row is made again of."""
        return tuple(self._version(join, told, row) for join, told in zip(self._joins, row["lookups"], strict=True))

    def _version(self, join: Join, told: _Row | None, row: _Row) -> int:
        if told is not None and told["source_version"] is not None:
            return told["source_version"]
        table = self._tables[join.table]
        return next((one.version for one in table.versions if one.timestamp <= row["at"]), table.version)

    def remade(self, rows: Sequence[_Row], versions: Sequence[int]) -> list[_Remade]:
        """Make rows of one version of each table again, but for their predictions."""
        given = [self._read(row) for row in rows]
        rebuilt, seen = self._rebuilt(rows, given, versions)
        made = []
        for place, (row, own) in enumerate(zip(rows, given, strict=True)):
            served, now = dict(row["features"]), {name: values[place] for name, values in rebuilt.items()}
            differences: list[ReplayDifference] = []
            for name, value in now.items():
                if name not in own and served[name] != _text(value):
                    why = self._why(name, row, seen, place, bool(differences))
                    differences.append(ReplayDifference(_row_text(row), name, served[name], _text(value), why))
            made.append(_Remade(row, own, now | own, differences))
        return made

    def compare(self, rows: Sequence[_Remade], found: _Found) -> None:
        """Compare the predictions of rows, too, and add to what was found."""
        try:
            told = self._predictions(rows)
        except (FstkError, ModelFailed):
            told = [None] * len(rows)
        for _, some in _grouped(list(zip(rows, told, strict=True)), lambda one: one[0].row["request"]):
            alike, predicted = zip(*some, strict=True)
            if any(text != one.row[PREDICTION] for one, text in some):
                # which rows are predicted together may decide the last bit of a sum
                try:
                    predicted = self._predictions(alike)
                except (FstkError, ModelFailed) as error:
                    why = "the model fails" if isinstance(error, ModelFailed) else str(error).splitlines()[0]
                    found.unread[why] += len(alike)
                    continue
            for (row, own, _, differences), now in zip(alike, predicted, strict=True):
                found.given += any(name in self._made for name in own)
                if now != row[PREDICTION]:
                    why = "its features differ" if differences else "the model answers otherwise"
                    differences.append(ReplayDifference(_row_text(row), PREDICTION, row[PREDICTION], now, why))
                found.add(differences)

    def _predictions(self, rows: Sequence[_Remade]) -> Sequence[str | None]:
        if self._predict is None or not rows:
            return [one.row[PREDICTION] for one in rows]
        names = {name for one in rows for name in one.columns}
        columns = {name: [one.columns.get(name) for one in rows] for name in names}
        return [_text(value) for value in self._predict(columns, len(rows))]

    def _read(self, row: _Row) -> dict[str, Any]:
        """Return the columns that a request gave, as their types have them."""
        types = self._plan.types
        values = {}
        for name, text in row["given"]:
            value = msgspec.json.decode(text)
            values[name] = None if value is None else reader(types[name], name in self._keys)(value)
        return values

    def _rebuilt(
        self, rows: Sequence[_Row], given: Sequence[Mapping[str, Any]], versions: Sequence[int]
    ) -> tuple[dict[str, list[Any]], list[list[Any]]]:
        """Return the features, and of each join the time of the newest row that was not later."""
        pinned = dict(zip(self._joins, versions, strict=True))
        joins = tuple(replace(join, version=pinned.get(join, join.version)) for join in self._plan.joins)
        plan = replace(self._plan, joins=joins, schema=self._made)
        times = {join.label_time for join in joins}
        labels = {}
        for name, kind in plan.label_columns.items():
            values = [one.get(name, row["at"] if name in times else None) for row, one in zip(rows, given, strict=True)]
            labels[name] = pa.array(values, arrow_type(kind))
        engine, frame = DirectEngine(), pa.table(labels)
        made = engine.arrow(run.join(plan, frame, engine))
        explained = engine.arrow(run.explanation(plan, frame, engine)).sort_by([("label_row", "ascending")])
        seen: list[list[Any]] = [[None] * len(rows) for _ in joins]
        for one in explained.select(["label_row", "lookup", "feature_time"]).to_pylist():
            seen[plan.joined[one["lookup"]]][one["label_row"]] = one["feature_time"]
        kept = [place for place, join in enumerate(joins) if join.outputs]
        return {name: made.column(name).to_pylist() for name in self._made}, [seen[place] for place in kept]

    def _why(self, name: str, row: _Row, seen: list[list[Any]], place: int, before: bool) -> str:
        home = self._home.get(name)
        told = None if home is None else row["lookups"][home]
        if home is None or told is None:
            return "its inputs differ" if before else "its definition changed"
        if told["status"] == "expired":
            return "expired online"
        if told["status"] == "missing":
            return "not online then"
        newest = seen[home][place]
        stale = newest is not None and told["event_time"] is not None and told["event_time"] < newest
        return "an older row was online" if stale else "the table changed"


def _grouped(rows: Sequence[T], key: Callable[[T], Any]) -> Iterator[tuple[Any, list[T]]]:
    groups: dict[Any, list[T]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    yield from groups.items()


def _row_text(row: _Row) -> str:
    return f"{instant(row['at'])} {row['request'][:8]} row {row['row']}"


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
