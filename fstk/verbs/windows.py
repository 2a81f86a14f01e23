"""What ``fstk windows`` asks for, as one request that can be shown, written, or told in plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from fstk.columns.instants import Align
from fstk.columns.length import LIFETIME
from fstk.columns.zones import Unclear
from fstk.display import Displayed, Sheet, Stacked
from fstk.engines import choice
from fstk.engines.base import Engine, TableVersion
from fstk.errors import BadExpression, InvalidInput
from fstk.models.users import users_told
from fstk.previews.windows import WindowPreview, preview
from fstk.tables.configured import local_table, open_catalog
from fstk.tables.report import WriteReport
from fstk.tables.spec import FeatureTable
from fstk.verbs.code import Code, call, clock_arguments, datetime_import, listed, literal
from fstk.verbs.lines import aggregate, required_statements
from fstk.verbs.names import columns_of, frame_or_name
from fstk.windows import run
from fstk.windows.calendar import Calendar
from fstk.windows.features import WindowedFeatures
from fstk.windows.spec import Aggregate, Closed
from fstk.windows.table import AS_OF, WindowedTable

_EXAMPLE = "sum(amount) as total_spend"


@dataclass(frozen=True, repr=False)
class WindowsWrite(Stacked):
    """A write that was done, after the preview of what it would be."""

    preview: WindowPreview
    report: WriteReport

    def parts(self) -> list[Displayed]:
        notes = Sheet("", (), (), self.preview.notes)
        return [
            *([] if self.preview.lint.clean else [self.preview.lint]),
            *([notes] if notes.notes else []),
            self.report,
        ]


@dataclass(frozen=True)
class WindowsRequest:
    """Windowed features for a feature table; ``source_code`` and ``points_code`` are how Python names what they are.

    ``points`` are ``"events"``, a Calendar, a frame or a table, ``points_time`` their time column (None: the events');
    ``time`` is the feature table's.
    """

    features: WindowedFeatures
    points: Any
    table: str
    existing: FeatureTable | None
    time: str
    points_time: str | None
    source_code: str
    points_code: str

    def preview(self) -> WindowPreview:
        """Return the preview; says so where an aggregate needs Spark."""
        features = self.features
        points = [self.points] if isinstance(self.points, TableVersion) else []
        tables = dict.fromkeys([*run.source_tables(features), *points])
        return self._preview(choice.engine_for(features.source, self.points, tables=tables, trial=self._evaluate))

    def _evaluate(self, engine: Engine) -> None:
        try:
            run.evaluate(self.features, engine)
        except BadExpression as error:
            print(f"{error}\nSpark computes it.", flush=True)
            raise

    def write(self, *, redefine: bool = False) -> WindowsWrite:
        """Merge the features into the table, which is made when it is not there; Redefined where features of it would
        change their meaning, unless the caller means to ``redefine`` them."""
        before = self.preview()
        before.table.check()
        if before.redefinition is not None and not redefine:
            with users_told():
                raise before.redefinition.refusal()
        session = choice.session_for(self.features.source, self.points)
        table = WindowedTable(self.features, self._points(session), self.points_time, self.time)
        rows = table.rows(session)
        catalog = open_catalog()
        if self.existing is not None:
            with users_told():
                return WindowsWrite(before, catalog.write(self.table, rows, redefine=redefine))
        made = catalog.create(
            self.table,
            self.features.keys,
            rows,
            timeseries_column=self.time,
            description=table.description,
            tags=table.tags,
        )
        assert made.report is not None
        return WindowsWrite(before, made.report)

    def code(self) -> Code:
        features = self.features
        names = ["Aggregate", "FeatureEngineeringClient", "WindowedFeatures"]
        first = []
        if isinstance(self.points, Calendar):
            names.insert(1, "Calendar")
            first = datetime_import([self.points.start, self.points.end])
        aggregates = [_aggregate_code(one) for one in features.aggregates]
        arguments = [
            ("source", self.source_code),
            ("entity", literal(features.entity)),
            ("timestamp", literal(features.timestamp)),
            ("aggregates", listed(aggregates)),
            ("windows", literal(list(features.windows))),
        ]
        arguments += [("closed", literal(features.closed))] if features.closed != "left" else []
        arguments += [("align", literal(features.align))] if features.align is not None else []
        arguments += clock_arguments(features.clock)
        steps = ["fe = FeatureEngineeringClient()"]
        if self.existing is None or self.points_time is None or isinstance(self.points, Calendar):
            table = [("features", "features"), ("points", self.points_code)]
            default = AS_OF if isinstance(self.points, Calendar) else features.timestamp
            table += [("timeseries_column", literal(self.time))] if self.time != default else []
        else:  # a frame's time may be called neither as the events' nor as the table's
            keys = [*features.keys, self.points_time]
            steps.append(f"rows = features.compute({self.points_code}, timestamp={literal(self.points_time)})")
            steps.append(f"keys = {literal(keys)}")
            steps.append("rows = rows.select(*keys, *features.columns).dropna(subset=keys).dropDuplicates(keys)")
            if self.points_time != self.time:
                steps.append(f"rows = rows.withColumnRenamed({literal(self.points_time)}, {literal(self.time)})")
            table = [
                ("primary_keys", literal(list(features.keys))),
                ("timeseries_column", literal(self.time)),
                ("df", "rows"),
            ]
        made = f"features = {call('WindowedFeatures', arguments)}"
        written = call("fe.create_table", [("name", literal(self.table)), *table])
        return Code.of("\n".join([*first, f"from fstk import {', '.join(names)}", "", made, *steps, written]))

    def _preview(self, engine: Engine) -> WindowPreview:
        return preview(
            self.features,
            self._points(engine),
            self.table,
            time=self.time,
            points_time=self.points_time,
            existing=self.existing,
            engine=engine,
        )

    def _points(self, engine: Engine) -> Any:
        return engine.read(self.points) if isinstance(self.points, TableVersion) else self.points


def parse(
    namespace: Mapping[str, Any] | None,
    text: str,
    table: str,
    source: str,
    entity: str,
    time: str,
    windows: str,
    closed: Closed,
    calendar: str | None,
    points: str | None,
    zone: str | None = None,
    align: Align | None = None,
    *,
    clock: str | None = None,
    unclear: Unclear = "refuse",
) -> WindowsRequest:
    """Return the request that the words of ``fstk windows`` and the lines of ``text`` make; ``namespace`` is that of a
    notebook's cells, None in a terminal. Raises InvalidInput and its kinds."""
    if calendar is not None and points is not None:
        raise InvalidInput("--calendar and --points both say at which instants; give one of them.")
    if zone is not None and calendar is None:
        raise InvalidInput("--zone is that of --calendar's days; without a calendar there are none.")
    variables = namespace or {}
    found = frame_or_name(source, variables)
    columns = [column.strip() for column in entity.split(",")]
    features = WindowedFeatures(
        found,
        columns[0] if len(columns) == 1 else columns,
        time,
        [aggregate(line) for line in required_statements(text, namespace, _EXAMPLE)],
        [_length(one.strip()) for one in windows.split(",")],
        closed=closed,
        align=align,
        timestamp_zone=clock,
        unclear_times=unclear,
    )
    existing = open_catalog().known(table)
    known = existing.timeseries_column if existing is not None else None
    name = existing.name if existing is not None else table
    source_code = literal(found) if isinstance(found, str) else source
    if calendar is not None:
        own = known or AS_OF
        moments = read_calendar(calendar, "--calendar", zone)
        in_zone = f", zone={literal(zone)}" if zone is not None else ""
        code = f"Calendar({literal(moments.start)}, {literal(moments.end)}, every={literal(moments.every)}{in_zone})"
        return WindowsRequest(features, moments, name, existing, own, own, source_code, code)
    if points is None:
        return WindowsRequest(features, "events", name, existing, known or time, None, source_code, literal("events"))
    named, _, column = (part.strip() for part in points.partition(","))
    frame = frame_or_name(named, variables)
    moment = column or next((one for one in (time, known) if one in columns_of(frame)), time)
    code = f"fe.read_table(name={literal(frame)})" if isinstance(frame, str) else named
    at = local_table(frame) or TableVersion(frame, None) if isinstance(frame, str) else frame
    return WindowsRequest(features, at, name, existing, known or moment, moment, source_code, code)


def _aggregate_code(one: Aggregate) -> str:
    grouped = "" if one.group_by is None else f", group_by={literal(one.group_by)}"
    return f"Aggregate({literal(one.expression)}, name={literal(one.name)}{grouped})"


def _length(text: str) -> str | int | None:
    return None if text == LIFETIME else int(text) if text.isdigit() else text


def read_calendar(text: str, option: str, zone: str | None = None) -> Calendar:
    """Read ``START,END,EVERY``; raises InvalidInput, which names the option."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3:
        raise InvalidInput(f"{option} takes START,END,EVERY, as in 1997-01-08,1998-04-01,7d; got {text!r}.")
    return Calendar(moment(parts[0], option), moment(parts[1], option), parts[2], zone)


def moment(text: str, option: str) -> date | datetime:
    """Read a date, ``today`` (in UTC) or an instant; raises InvalidInput, which names the option."""
    try:
        if text.lower() == "today":
            return datetime.now(UTC).date()
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{option}: {text!r} is no date (1997-01-08, today) or instant (…T06:00Z).") from error
