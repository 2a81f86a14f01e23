"""The verbs of fstk behind one object, named as in the public Databricks Feature Engineering API."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fstk import journal
from fstk.columns.typing import ColumnNames, DataFrameLike, EntityKeys, Nulls, SchemaLike
from fstk.columns.zones import Unclear
from fstk.engines.choice import session_for
from fstk.engines.clocks import Clock
from fstk.engines.connect import adopt
from fstk.errors import InvalidInput
from fstk.models.features import read_features
from fstk.models.log import ModelVersion, log_model
from fstk.models.score import score_batch
from fstk.models.users import users_told
from fstk.online.publish import PublishReport, publish
from fstk.online.read import drop_online_table, read_online
from fstk.online.reader import OnlineReader, OnlineRows
from fstk.online.spec import OnlineSpec
from fstk.previews.windows import WindowPreview, preview
from fstk.sources.load import create_source
from fstk.tables.catalog import Catalog
from fstk.tables.configured import open_catalog
from fstk.tables.definition import redefined
from fstk.tables.query import run_query
from fstk.tables.report import WriteReport
from fstk.tables.source import Reading, Source, Sources, all_sources
from fstk.tables.spec import FeatureTable, matches, time_column
from fstk.training import feature_spec as specs
from fstk.training.feature_spec import FeatureSpec
from fstk.training.functions import FeatureFunction
from fstk.training.spec import FeatureLookup
from fstk.training.training_set import TrainingSet, create_training_set
from fstk.windows.calendar import Calendar
from fstk.windows.features import WindowedFeatures
from fstk.windows.recorded import on_calendar
from fstk.windows.run import engine_for
from fstk.windows.spec import Points
from fstk.windows.spine import Spine, labels_of
from fstk.windows.table import WindowedTable

if TYPE_CHECKING:
    from types import ModuleType

    import pandas
    from pyspark.sql import DataFrame, SparkSession


class FeatureEngineeringClient:
    """Feature tables, training sets, models and online rows; every argument of a verb is given by name.

    Frames go in as Spark, pandas, Polars or Arrow. ``spark`` is the session to work with, which ``fstk.connect()``
    returns from then on where no other is open; without one, that of ``fstk.connect()``, which starts at the first verb
    that needs it: looking at tables and tags, planning, reading online and publishing local tables need none.

    Args:
        spark: a session of PySpark (classic, Spark Connect or databricks-connect) with Delta.
        model_registry_uri: the registry of models; None is the one that MLflow is set to.

    Its verbs' examples go on from these lines; ``shop.spend`` holds what each customer spent in the 30 days before.

    >>> import pandas as pd
    >>> fe = FeatureEngineeringClient()
    >>> at = pd.to_datetime(["2024-01-03", "2024-01-09", "2024-01-09"], utc=True)
    >>> labels = pd.DataFrame({"customer_id": [1, 1, 2], "at": at, "churned": [False, True, True]})
    >>> lookup = FeatureLookup("shop.spend", "customer_id", timestamp_lookup_key="at")
    >>> fe.get_table(name="shop.spend")
    shop.spend v0 · 3 rows · keys (customer_id, as_of TIMESERIES) · 1 feature
      column       type       role
      customer_id  bigint     key
      as_of        timestamp  time
      spend_30d    double     feature
    folder: ...
    """

    def __init__(self, spark: SparkSession | None = None, *, model_registry_uri: str | None = None) -> None:
        self._session = None if spark is None else adopt(spark)
        self._registry = model_registry_uri

    @property
    def _catalog(self) -> Catalog:
        return open_catalog(self._session)

    def create_table(
        self,
        *,
        name: str,
        primary_keys: ColumnNames | None = None,
        df: DataFrameLike | None = None,
        features: WindowedFeatures | None = None,
        points: Points | None = None,
        timeseries_column: ColumnNames | None = None,
        schema: SchemaLike | None = None,
        partition_columns: ColumnNames | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        timestamp_keys: ColumnNames | None = None,
        redefine: bool = False,
    ) -> FeatureTable:
        """Create a feature table from ``df``, of windowed ``features``, or empty from ``schema``; the same call again
        changes nothing.

        Where a table of the same keys is there already, ``df`` is merged into it as :meth:`write_table` does, and the
        description and tags that are given are set.

        Of ``features`` at ``points`` the rows are those of ``features.compute``, one for each entity and instant, with
        the same definitions kept; keys, time column and, for a new table, a description and the tags ``source``,
        ``event_time`` and ``closed`` come from them, unless they are given.

        Args:
            name: one to three parts with dots between, such as ``schema.table``; lower-cased.
            primary_keys: the columns whose values are unique together, with the time column; never null, of any type
                but arrays, maps and structs. None is the entity of ``features``.
            df: the first rows; a column keeps the type that it has there.
            features: what is computed, in place of ``df``.
            points: where: a :class:`Calendar`, ``"events"``, or a frame with the entity's columns and a time column,
                which is ``timeseries_column`` or called as the events'.
            timeseries_column: the column that tells from when on a row was so: TIMESTAMP (an instant), TIMESTAMP_NTZ
                (taken as UTC) or DATE (its midnight UTC). None makes a static table, one row per key; with ``features``
                it is that of the table that is there, else ``as_of`` for a Calendar and the events' for other points.
            schema: columns and types, for an empty table, or where a column of ``df`` holds nothing but nulls.
            partition_columns: columns whose values become folders of the Delta table; not all columns.
            description: a text; the table's comment.
            tags: names and texts.
            timestamp_keys: the older client's word for ``timeseries_column``.
            redefine: let features of a table that is there mean another thing, as in :meth:`write_table`.

        Returns:
            The table as it stands; shown, it begins with what this call did, which ``report`` counts.

        Raises, with nothing written:
            TableExists: a table with other keys, time column or partition columns, or a Delta table that is no feature
                table, is there.
            DuplicateKeys, NullKeys: rows without a key of their own, counted and some shown.
            InvalidName, UnknownColumn, TypeMismatch, UnsupportedType, SchemaChange, InvalidInput: a definition or frame
                outside the rules; the message names the column. Of ``features``, as ``compute`` raises.
            WriteConflict: another writer was in the way all the time; the same call may be made again.

        >>> cities = pd.DataFrame({"customer_id": [1, 2], "city": ["Delft", "Leuven"]})
        >>> fe.create_table(name="shop.cities", primary_keys="customer_id", df=cities)
        shop.cities created at v0 · 2 rows · keys (customer_id) · 1 feature
          column       type    role
          customer_id  bigint  key
          city         string  feature
        written: 2 inserted, 0 updated, 0 unchanged
        folder: ...
        """
        if features is not None or points is not None:
            if features is None or points is None or df is not None or schema is not None:
                raise InvalidInput(f"{name}: features and points go together, in place of df and schema.")
            time = time_column(timeseries_column, timestamp_keys)
            known, windowed = self._windowed(name, features, points, time)
            if known is not None and not redefine and redefined(windowed.definitions, known.definitions):
                refused = self.preview_table(name=name, features=features, points=points, timeseries_column=time)
                if refused.redefinition is not None:  # of a few entities, before all are computed
                    with users_told():
                        raise refused.redefinition.refusal()
            df = windowed.rows(session_for(features.source, points, session=self._session))
            primary_keys = features.keys if primary_keys is None else primary_keys
            timeseries_column, timestamp_keys = windowed.time, None
            if known is None:
                description = windowed.description if description is None else description
                tags = windowed.tags if tags is None else tags
        if primary_keys is None:
            raise InvalidInput(f"{name}: give primary_keys; features and points, in place of df, know theirs.")
        with users_told():
            return self._catalog.create(
                name,
                primary_keys,
                df,
                timeseries_column,
                schema,
                partition_columns,
                description,
                tags,
                timestamp_keys,
                redefine=redefine,
            )

    def preview_table(
        self, *, name: str, features: WindowedFeatures, points: Points, timeseries_column: str | None = None
    ) -> WindowPreview:
        """Return what :meth:`create_table` would make of the same ``features`` and ``points``: the table's plan, each
        column's type and meaning, real rows of a few entities, what lint finds. Nothing is written; of a local source
        in this process, without a JVM. Arguments and errors are those of :meth:`create_table`.

        >>> from datetime import date
        >>> bought = pd.DataFrame({"customer_id": [1, 1, 2], "at": at, "amount": [10.0, 20.0, 5.0]})
        >>> count = Aggregate("count(*)", name="n")
        >>> features = WindowedFeatures(bought, "customer_id", "at", [count], ["7d"])
        >>> weekly = Calendar(date(2024, 1, 10), date(2024, 1, 18), every="7d")
        >>> fe.preview_table(name="shop.visits", features=features, points=weekly)
        shop.visits · plan: CREATE, keys (customer_id, as_of TIMESERIES), 1 feature
          column  type    meaning                             sample: 1 at 2024-01-17
          n_7d    bigint  count(*) over [as_of − 7 d, as_of)                        0
        ...
        lint: clean · nothing written yet · write it: fe.create_table(…) with the same arguments
        """
        known, windowed = self._windowed(name, features, points, timeseries_column)
        found = preview(
            features,
            points,
            name,
            time=windowed.time,
            points_time=windowed.points_time,
            existing=known,
            engine=engine_for(features, points),
        )
        return replace(found, closing="write it: fe.create_table(…) with the same arguments")

    def _windowed(
        self, name: str, features: WindowedFeatures, points: Points, time: str | None
    ) -> tuple[FeatureTable | None, WindowedTable]:
        """Return the table of that name, if it is there, and what ``features`` at ``points`` are as one."""
        known = self._catalog.known(name)
        return known, WindowedTable.of(features, points, time or (known and known.timeseries_column))

    def write_table(self, *, name: str, df: DataFrameLike, mode: str = "merge", redefine: bool = False) -> WriteReport:
        """Merge ``df`` into a feature table by its keys: insert new ones, update changed rows, leave the rest.

        Args:
            name: the table's.
            df: rows with all key columns. Further columns become new features, null in the rows that are there; a
                static table keeps what a frame lacks, a time-series table needs every feature.
            mode: ``"merge"``, the only one.
            redefine: let features that ``WindowedFeatures.compute`` defines otherwise than they were change meaning,
                under whatever was trained on them.

        Returns:
            Rows inserted, updated and unchanged, and the version before and after; the same when nothing differed.

        Raises, with nothing written:
            UnknownTable: there is none of that name; the message gives the nearest.
            Redefined: a feature would change its meaning; the message tells it before and after, rows that differ, and
                the models and online tables that are known to use the table.
            DuplicateKeys, NullKeys: rows without a key of their own, counted and some shown.
            TypeMismatch, SchemaChange, UnknownColumn, UnsupportedType, InvalidName, InvalidInput: a frame that does not
                fit the table; the message names the column.
            WriteConflict: other writers kept coming between; the same write may be tried again.

        >>> monday = pd.to_datetime(["2024-01-08", "2024-01-08"], utc=True)
        >>> rows = pd.DataFrame({"customer_id": [1, 3], "as_of": monday, "spend_30d": [25.0, 4.5]})
        >>> fe.write_table(name="shop.spend", df=rows)
        shop.spend v0 → v1
          inserted  updated  unchanged  rows in table
                 1        0          1              4
        """
        with users_told():
            return self._catalog.write(name, df, mode, redefine=redefine)

    def read_table(
        self, *, name: str, version: int | None = None, timestamp: datetime | date | None = None
    ) -> DataFrame:
        """Return a table of the catalog as a Spark DataFrame: newest, at a version, or as committed at an instant.

        Args:
            name: of any Delta table of the catalog, a feature table or another.
            version: the Delta version, from 0.
            timestamp: the newest version committed at or before it: a datetime with a time zone, or a date, which is
                its midnight UTC.

        Raises:
            UnknownTable: there is none of that name; the message gives the nearest.
            UnknownName: no such version, or none that early. ExpiredSnapshot: the version is no longer kept.
            NaiveDatetime: ``timestamp`` has no time zone. InvalidInput: both are given.

        >>> fe.read_table(name="shop.spend", version=0).count()
        3
        """
        found = self._catalog.find(name, version, timestamp)
        frame = session_for(session=self._session).read(found)
        journal.note("read", found.name, found.version, None)
        return frame

    def sql(self, query: str, /, **given: Any) -> DataFrame:
        """Return the rows of a Spark SQL query, in which ``{name}`` is what is given by that name, a frame or a value,
        and else the table of that name: ``{transactions}``, ``{shop.spend}``.

        A value is a value of its type, never SQL: a text is a text, also where it is a table's name, and a date is a
        date. Braces in quotes and comments, and around anything else than a name, are left.

        Args:
            query: one statement of Spark SQL.
            given: frames (Spark, pandas, Polars, Arrow), and values: texts, numbers, booleans, dates, datetimes with a
                time zone, None.

        Raises:
            InvalidInput: something given is not in the query, or no such value. UnknownTable: no table is called as a
            brace says. NaiveDatetime: a datetime without a time zone. BadExpression, UnknownColumn: Spark refuses the
            query.

        >>> from datetime import date
        >>> query = "SELECT count(*) AS n FROM {shop.spend} JOIN {labels} USING (customer_id) WHERE as_of < {day}"
        >>> fe.sql(query, labels=labels, day=date(2024, 1, 5)).collect()
        [Row(n=2)]
        """
        engine = session_for(*given.values(), session=self._session)
        return run_query(query, given, lambda name: self.read_table(name=name), engine)

    def get_table(self, *, name: str) -> FeatureTable:
        """Return what is known of a feature table: keys, columns with types, description, tags, newest version.

        Raises:
            UnknownTable: there is none of that name; the message gives the nearest. InvalidName: not a name.
            DamagedTable: its log cannot be read.

        >>> fe.get_table(name="shop.spend").schema
        {'customer_id': 'bigint', 'as_of': 'timestamp', 'spend_30d': 'double'}
        """
        return self._catalog.get(name)

    def list_tables(self, *, tags: Mapping[str, str | None] | None = None, text: str = "") -> list[FeatureTable]:
        """Return the feature tables, in the order of their names; a warning names each that cannot be read, and why.

        Args:
            tags: only tables that have all of these; None stands for any value.
            text: only tables with this, in any case, in their name, description, a column's name or a tag.

        >>> [table.name for table in fe.list_tables()]
        ['shop.spend']
        >>> fe.list_tables(tags={"team": None})
        []
        >>> [table.name for table in fe.list_tables(text="30D")]
        ['shop.spend']
        """
        tables, faults = self._catalog.survey()
        for fault in faults:
            warnings.warn(str(fault), stacklevel=2)
        return [table for table in tables if matches(table, tags or {}, text)]

    def drop_table(self, *, name: str) -> None:
        """Remove a feature table and its history for good; what was published stays online.

        Raises:
            UnknownTable: there is none of that name. WriteConflict: another writer is at it.

        >>> fe.drop_table(name="shop.spend")
        >>> fe.list_tables()
        []
        """
        self._catalog.drop(name)

    def create_source(
        self,
        *,
        name: str,
        df: DataFrameLike | None = None,
        path: str | Path | Sequence[str | Path] | None = None,
        query: str | None = None,
        event_time: str | None = None,
        entity: ColumnNames | None = None,
        key: ColumnNames | None = None,
        timestamp_zone: str | None = None,
        time_format: str | None = None,
        types: Mapping[str, str] | None = None,
        null_values: Sequence[str] = (),
        rename: Mapping[str, str] | None = None,
        unclear_times: Unclear = "refuse",
    ) -> Source:
        """Keep events as a source: a row each, repeated ones too, apart from the feature tables; the same again changes
        nothing.

        What a source has once is known by the content of its file or frame; with ``key``, event by event. Values are
        never guessed: whatever does not say what it means is counted, with the argument that settles it, before
        anything is written. ``WindowedFeatures(source=name)`` reads a source by its name.

        Args:
            name: one to three parts with dots between; lower-cased.
            df: events as a frame, of Spark too: all of its rows pass through this process.
            path: a CSV, TSV (``.gz`` too) or Parquet file, a Delta table's folder, a folder of files, or several;
                relative to the working folder or the project's root.
            query: a Spark SQL query whose rows are the events.
            event_time: the column of the event's time: a time, or text in ISO 8601 or of ``time_format``.
            entity: the column, or columns, of whom it happened to. It and ``event_time`` may be left out where the
                source is there; all further arguments are as its loads before said them unless they are given.
            key: the columns by which an event is known again. An event of a key that is there is left, and refused
                where it differs.
            timestamp_zone: the zone whose clocks the event time shows, such as ``"Europe/London"``; None takes times
                without a zone as UTC.
            time_format: how the event time is written, as ``strftime`` has it, such as ``"%d/%m/%Y %H:%M"``.
            types: column → Spark SQL type, for columns that a file or frame has as something else.
            null_values: texts that mean null.
            rename: a file's column → the source's.
            unclear_times: what clock times mean that the zone skipped or had twice: ``"refuse"``, ``"earlier"`` or
                ``"later"``.

        Returns:
            The source as it stands; shown, it says what was appended and what is worth a look.

        Raises, with nothing written:
            InvalidInput: values that have to be settled, as a table of counts and cures; a file that cannot be read;
                local times that are none; no event time or entity of a new source.
            TableExists: a feature table or another source is there. SchemaChange: a column of the source is missing.
            UnknownColumn, TypeMismatch, InvalidName, UnknownName: a column, type, name or zone that is none.
            NullKeys, DuplicateKeys: an event without its key, or of a key that is there with other values.

        >>> visits = pd.DataFrame({"customer_id": [1, 1], "at": at[:1].repeat(2), "page": ["home", "home"]})
        >>> fe.create_source(name="shop.visits", df=visits, event_time="at", entity="customer_id")
        shop.visits v0 · source · 2 events of customer_id
          column       type       role
          customer_id  bigint     entity
          at           timestamp  event time
          page         string
        appended 2 events of df
        folder: ...
        >>> fe.create_source(name="shop.visits", df=visits).notes
        ('df is there already (2 events)',)
        """
        reading = Reading(
            types=dict(types or {}),
            time_format=time_format,
            null_values=tuple(null_values),
            rename=dict(rename or {}),
            zone=timestamp_zone,
            unclear_times=unclear_times,
        )
        return create_source(
            name,
            df=df,
            path=path,
            query=query,
            event_time=event_time,
            entity=entity,
            key=key,
            reading=reading,
            session=self._session,
        )

    def get_source(self, *, name: str) -> Source:
        """Return what is known of a source: its event time, entity, key, columns, and what was appended.

        Raises:
            UnknownTable: there is none of that name; the message gives the nearest.

        >>> visits = pd.DataFrame({"customer_id": [1], "at": at[:1]})
        >>> _ = fe.create_source(name="shop.visits", df=visits, event_time="at", entity="customer_id")
        >>> [(load.name, load.rows) for load in fe.get_source(name="shop.visits").loads]
        [('df', 1)]
        """
        return Sources().get(name)

    def list_sources(self) -> list[Source]:
        """Return all sources, in the order of their names.

        >>> fe.list_sources()
        []
        """
        return all_sources()

    def drop_source(self, *, name: str) -> None:
        """Remove a source and its events for good; features that were made of them stay.

        Raises:
            UnknownTable: there is none of that name. WriteConflict: another writer is at it.

        >>> visits = pd.DataFrame({"customer_id": [1], "at": at[:1]})
        >>> _ = fe.create_source(name="shop.visits", df=visits, event_time="at", entity="customer_id")
        >>> fe.drop_source(name="shop.visits")
        >>> fe.list_sources()
        []
        """
        Sources().drop(name)

    def set_feature_table_tag(self, *, name: str, key: str, value: str) -> None:
        """Set a tag of a feature table, a name and a text; the same value again makes no new version.

        Raises:
            UnknownTable: there is none of that name. InvalidInput: not two texts, or an empty key.

        >>> fe.set_feature_table_tag(name="shop.spend", key="team", value="growth")
        >>> fe.get_table(name="shop.spend").tags
        {'team': 'growth'}
        """
        self._catalog.set_tag(name, key, value)

    def delete_feature_table_tag(self, *, name: str, key: str) -> None:
        """Remove a tag of a feature table.

        Raises:
            UnknownTable: there is none of that name. UnknownName: no tag of that key; the message gives the nearest.

        >>> fe.set_feature_table_tag(name="shop.spend", key="team", value="growth")
        >>> fe.delete_feature_table_tag(name="shop.spend", key="team")
        >>> fe.get_table(name="shop.spend").tags
        {}
        """
        self._catalog.delete_tag(name, key)

    def create_training_set(
        self,
        *,
        df: DataFrameLike | None = None,
        feature_lookups: Sequence[FeatureLookup | FeatureFunction] | None = None,
        label: str | None = None,
        exclude_columns: Sequence[str] | None = None,
        as_known: bool = False,
        feature_spec: str | None = None,
        spine: Spine | None = None,
        timestamp_zone: str | None = None,
        unclear_times: Unclear = "refuse",
    ) -> TrainingSet:
        """Plan labels joined with the features that each could know at its own instant; computes no row yet.

        Args:
            df: the labels: their keys, their time where a table has one, what is to be predicted, any other columns.
                Every row is kept, as it is.
            feature_lookups: what to look up, and what to compute of it and of ``df``, in the order of the output's
                columns.
            label: the column of ``df`` to be predicted, or None.
            exclude_columns: columns to leave out at the end; they may serve the join and functions.
            as_known: let a feature row count only from the Delta commit that wrote it, so that a backfill cannot leak.
            feature_spec: the name of a set that :meth:`create_feature_spec` made, in place of ``feature_lookups``; what
                it excludes is excluded, too.
            spine: in place of ``df``, the entities that a table knew at the instants of a calendar.
            timestamp_zone: the zone whose clocks the times that lookups name show where they have none, such as
                ``"Europe/London"``; they become instants, days its midnights. None takes them as UTC.
            unclear_times: what clock times mean that the zone skipped or had twice: ``"refuse"``, ``"earlier"`` or
                ``"later"``.

        Returns:
            The plan, at the tables' newest versions; its rows come from ``load_df()`` (Spark), ``to_pandas()``,
            ``to_polars()`` or ``to_arrow()``. What no row is seen for is null, or the lookup's default.

        Raises:
            UnknownTable, UnknownColumn: a table or column that is not there; the message gives the nearest.
            UnknownName: no such feature spec, or no such zone.
            TypeMismatch: a key of another type than the table's. NaiveDatetime: a time of ``df`` without a zone, in a
                pandas column of Python objects.
            NameCollision: two output columns of one name.
            DuplicateKeys: a table that others wrote holds rows of the same keys and time.
            InvalidInput: lookups that do not fit together or the labels; functions that read the label, or each other
                in a circle; local times that are none, counted (of a Spark frame when its rows are used), or a
                ``timestamp_zone`` of times that have one.

        >>> training_set = fe.create_training_set(df=labels, feature_lookups=[lookup], label="churned")
        >>> training_set.to_pandas()["spend_30d"].tolist()
        [10.0, 25.0, 7.5]
        >>> import datetime
        >>> spine = Spine("shop.spend", datetime.date(2024, 1, 1), datetime.date(2024, 1, 10), every="4d")
        >>> known = FeatureLookup("shop.spend", "customer_id", timestamp_lookup_key="as_of")
        >>> rows = fe.create_training_set(spine=spine, feature_lookups=[known]).to_pandas()
        >>> rows[["customer_id", "spend_30d"]].values.tolist()
        [[1.0, 10.0], [1.0, 10.0], [1.0, 25.0], [2.0, 7.5]]
        """
        if (feature_lookups is None) == (feature_spec is None):
            raise InvalidInput("give feature_lookups, or feature_spec, the name of a set: one of the two.")
        if feature_spec is not None:
            found = self.get_feature_spec(name=feature_spec)
            feature_lookups = found.features
            exclude_columns = list(dict.fromkeys([*found.exclude_columns, *(exclude_columns or ())]))
        assert feature_lookups is not None
        if (df is None) == (spine is None):
            raise InvalidInput(
                "give df, the labels, or spine, whose entities and instants are the labels: one of the two."
            )
        if spine is not None:
            df = labels_of(spine, self._catalog.get(spine.table), self._session)
        return create_training_set(
            df,
            feature_lookups,
            label,
            exclude_columns,
            catalog=self._catalog,
            session=self._session,
            as_known=as_known,
            clock=Clock.told(timestamp_zone, unclear_times),
        )

    def compute_features(
        self, *, name: str, start: date, end: date, every: str | int | timedelta = "1d", zone: str | None = None
    ) -> DataFrame:
        """Return rows of a feature table on a calendar, computed again by the definitions that are recorded with it: a
        range that is to be filled or looked at, where what declared the features is not at hand. What is declared needs
        none: ``WindowedFeatures.compute(Calendar(…))``. Nothing is written; :meth:`write_table` takes the frame.

        Args:
            name: the feature table's. Its features are of one ``WindowedFeatures`` over a table, which is read at its
                newest version; a feature without a definition is left out.
            start, end, every, zone: the instants, as a :class:`Calendar` takes them.

        Returns:
            A Spark DataFrame: the table's keys, its time and those features, a row for each instant and each entity
            with an event before it. Nothing runs before it is used.

        Raises:
            UnknownTable: there is none of that name, or its source is gone. InvalidInput: no definition is recorded,
                or they are of several declarations. NaiveDatetime, UnknownName, InvalidInput: as a Calendar.

        >>> from datetime import date
        >>> visits = pd.DataFrame({"customer_id": [1, 1, 2], "at": at})
        >>> _ = fe.create_source(name="shop.visits", df=visits, event_time="at", entity="customer_id")
        >>> features = WindowedFeatures("shop.visits", "customer_id", "at", [Aggregate("count(*)", name="n")], ["7d"])
        >>> made = features.compute(Calendar(date(2024, 1, 4), date(2024, 1, 6)), timestamp="as_of")
        >>> _ = fe.create_table(name="shop.n", primary_keys="customer_id", timeseries_column="as_of", df=made)
        >>> later = fe.compute_features(name="shop.n", start=date(2024, 1, 10), end=date(2024, 1, 12))
        >>> sorted((row.customer_id, row.as_of.day, row.n_7d) for row in later.collect())
        [(1, 10, 2), (1, 11, 1), (2, 10, 1), (2, 11, 1)]
        >>> fe.write_table(name="shop.n", df=later).inserted
        4
        """
        calendar = Calendar(start, end, every, zone)
        return on_calendar(self._catalog.get(name), calendar, session_for(session=self._session))

    def create_feature_spec(
        self,
        *,
        name: str,
        features: Sequence[FeatureLookup | FeatureFunction],
        exclude_columns: Sequence[str] | None = None,
    ) -> FeatureSpec:
        """Keep a set of features under a name, in a small file beside the tables of the warehouse; the same call again
        changes nothing.

        Args:
            name: as of a table, one to three parts; lower-cased. A table may have the same name.
            features: lookups and functions, as :meth:`create_training_set` takes them.
            exclude_columns: columns to leave out at the end, of the labels or features.

        Returns:
            The set, as :meth:`get_feature_spec` gives it back.

        Raises, with nothing written:
            TableExists: another set of that name is there; it is replaced by deleting it first.
            UnknownTable, UnknownColumn, TypeMismatch, NameCollision, InvalidName, InvalidInput: features that no
                labels could be joined with; tables of Unity Catalog, which keeps no sets yet.

        >>> spend = FeatureLookup("shop.spend", "customer_id", timestamp_lookup_key="at")
        >>> ratio = FeatureFunction("amount / nullif(spend_30d, 0)", "ratio")
        >>> fe.create_feature_spec(name="shop.basket", features=[spend, ratio], exclude_columns=["spend_30d"])
        shop.basket · 1 feature lookup · 1 function
          feature       of          by
          all features  shop.spend  customer_id, at
          ratio         function    amount / nullif(spend_30d, 0)
        excluded: spend_30d
        >>> orders = labels.assign(amount=[5.0, 50.0, 15.0])
        >>> fe.create_training_set(df=orders, feature_spec="shop.basket", label="churned").to_pandas()["ratio"].tolist()
        [0.5, 2.0, 2.0]
        """
        return specs.create(name, features, exclude_columns, self._catalog, self._session)

    def get_feature_spec(self, *, name: str) -> FeatureSpec:
        """Return a set of features by its name.

        Raises:
            UnknownName: there is none; the message gives the nearest. DamagedTable: its file is not what fstk wrote.

        >>> _ = fe.create_feature_spec(name="shop.basket", features=[lookup])
        >>> fe.get_feature_spec(name="shop.basket").features == (lookup,)
        True
        """
        return specs.get(name, self._session)

    def list_feature_specs(self) -> list[FeatureSpec]:
        """Return all sets of features, in the order of their names; a warning names each that cannot be read, and why.

        >>> _ = fe.create_feature_spec(name="shop.basket", features=[lookup])
        >>> [spec.name for spec in fe.list_feature_specs()]
        ['shop.basket']
        """
        return specs.listed(self._session)

    def delete_feature_spec(self, *, name: str) -> None:
        """Remove a set of features; its tables stay.

        Raises:
            UnknownName: there is none of that name.

        >>> _ = fe.create_feature_spec(name="shop.basket", features=[lookup])
        >>> fe.delete_feature_spec(name="shop.basket")
        >>> fe.list_feature_specs()
        []
        """
        specs.delete(name, self._session)

    def log_model(
        self,
        *,
        model: Any,
        artifact_path: str,
        flavor: ModuleType,
        training_set: TrainingSet,
        registered_model_name: str | None = None,
        predict: str | None = None,
        input_example: pandas.DataFrame | None = None,
    ) -> ModelVersion:
        """Log a model to MLflow with the feature lookups that it was trained on, so that it finds its features itself.

        The same model of the same plan and labels is registered once; logging it again returns that version, and links
        it to the active MLflow run.

        Args:
            model: fitted on the columns of ``training_set`` without the label, in their order.
            artifact_path: the model's name in its run.
            flavor: the MLflow module that saves such models, for example ``mlflow.sklearn``.
            training_set: what the model was trained on.
            registered_model_name: register the model as the next version of this name; None only logs it.
            predict: what of the model scores, for example ``"predict_proba"``; None is what its flavor calls.
            input_example: the frame that the model was fitted on, or some of its rows, where that is neither
                ``to_pandas()`` nor ``load_df().toPandas()``: scoring gives its dtypes back, categories too, and the
                order of its columns, which most models tell themselves.

        Raises:
            BadExpression: a function of the training set that only Spark evaluates.
            InvalidInput: ``flavor`` is no MLflow module, the model cannot be saved, it fails on its own rows, has no
                method ``predict``, or it cannot be told which frame it was fitted on.
            Infrastructure: MLflow's tracking server or registry does not answer.

        >>> import mlflow
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> training_set = fe.create_training_set(
        ...     df=labels, feature_lookups=[lookup], label="churned", exclude_columns=["customer_id", "at"]
        ... )
        >>> rows = training_set.to_pandas()
        >>> model = DecisionTreeClassifier().fit(rows[["spend_30d"]], rows["churned"])
        >>> logged = fe.log_model(
        ...     model=model, artifact_path="model", flavor=mlflow.sklearn, training_set=training_set,
        ...     registered_model_name="churn",
        ... )
        >>> logged.name, logged.version
        ('churn', 1)
        """
        return log_model(
            model,
            artifact_path,
            flavor,
            training_set,
            registered_model_name,
            predict=predict,
            input_example=input_example,
            model_registry_uri=self._registry,
        )

    def score_batch(
        self,
        *,
        model_uri: str,
        df: DataFrameLike,
        result_type: str = "double",
        timestamp_zone: str | None = None,
        unclear_times: Unclear = "refuse",
    ) -> DataFrame:
        """Return ``df`` with the model's features, looked up at each row's own instant, and a column ``prediction``.

        Args:
            model_uri: ``models:/name/version``, ``models:/name@alias`` or ``runs:/id/path`` of a model that
                :meth:`log_model` logged.
            df: the lookups' keys and times, and the other columns that the model and its functions take. A column
                named like a feature stands for it.
            result_type: the Spark SQL type of ``prediction``. Of two classes, and ``predict="predict_proba"``, a number
                is the probability of the second, ``array<double>`` those of both.
            timestamp_zone, unclear_times: as of :meth:`create_training_set`. Without them a warning names times that
                have no zone where the model was trained with instants.

        Returns:
            A Spark DataFrame: the columns of ``df``, the features in the order of their lookups, the functions,
            ``prediction``. No row is computed before an action asks for it; a model that fails raises FstkError then,
            which names a row that it refuses: rows are never left out, nor answered with null in its place.

        Raises:
            UnknownModel: no such model, version or alias. InvalidInput: it carries no feature lookups.
            UntrustedModel: it would run code when it is loaded, and neither did fstk log it nor do the settings name it
                (``trusted_models``).
            UnknownTable: a table of its lookups is gone.
            UnknownColumn, TypeMismatch: a column that the model takes is missing from ``df`` or has another type, or
                ``result_type`` does not hold what the model answers.
            NameCollision: ``df`` has a column ``prediction``.

        >>> import mlflow
        >>> from sklearn.dummy import DummyRegressor
        >>> training_set = fe.create_training_set(
        ...     df=labels, feature_lookups=[lookup], label="churned", exclude_columns=["customer_id", "at"]
        ... )
        >>> rows = training_set.to_pandas()
        >>> model = DummyRegressor(strategy="constant", constant=0.5).fit(rows[["spend_30d"]], rows["churned"])
        >>> logged = fe.log_model(model=model, artifact_path="model", flavor=mlflow.sklearn, training_set=training_set)
        >>> scored = fe.score_batch(model_uri=logged.uri, df=labels.drop(columns="churned"))
        >>> sorted((row.customer_id, row.spend_30d, row.prediction) for row in scored.collect())
        [(1, 10.0, 0.5), (1, 25.0, 0.5), (2, 7.5, 0.5)]
        """
        return score_batch(
            model_uri,
            df,
            result_type,
            catalog=self._catalog,
            engine=session_for(df, session=self._session),
            model_registry_uri=self._registry,
            clock=Clock.told(timestamp_zone, unclear_times),
        )

    def read_features(
        self, *, model_uri: str, keys: EntityKeys, online_store: str | OnlineSpec | None = None
    ) -> list[dict[str, Any]]:
        """Return what a model takes for each of ``keys``, now: every feature that it was trained with, of all tables,
        from the online store in one round trip to each of its nodes. The endpoint of ``fstk serve`` finds the same.

        Args:
            model_uri: as of :meth:`score_batch`; the model itself is not loaded.
            keys: one dict per row wanted, with the lookup keys and what the model and its functions take beside, named
                as the labels' columns. A feature among them stands for the stored one; a lookup's time is now unless
                given.
            online_store: a spec or URL; None is the setting ``FSTK_ONLINE_STORE``.

        Returns:
            One dict per row, in order: the model's inputs in its order, lookups' defaults in place of nulls. A missing
            or expired entity has its defaults, or ``None``.

        Raises:
            UnknownModel: no such model, version or alias.
            InvalidInput: the model carries no feature lookups; ``keys`` is no list of dicts, or a column is missing.
            UnknownTable, UnknownColumn: a table or feature is not online; the model has no use for a column of keys.
            TypeMismatch: a value of another type than the column's, or a table is online in other types.
            StoreUnavailable: the store did not answer, or the first publication is not complete.

        >>> import mlflow
        >>> from sklearn.dummy import DummyRegressor
        >>> training_set = fe.create_training_set(
        ...     df=labels, feature_lookups=[lookup], label="churned", exclude_columns=["customer_id", "at"]
        ... )
        >>> rows = training_set.to_pandas()
        >>> model = DummyRegressor().fit(rows[["spend_30d"]], rows["churned"])
        >>> logged = fe.log_model(model=model, artifact_path="model", flavor=mlflow.sklearn, training_set=training_set)
        >>> _ = fe.publish_table(source_table_name="shop.spend")
        >>> fe.read_features(model_uri=logged.uri, keys=[{"customer_id": 1}, {"customer_id": 9}])
        [{'spend_30d': 25.0}, {'spend_30d': None}]
        """
        return read_features(model_uri, keys, online_store, self._registry)

    def publish_table(
        self,
        *,
        source_table_name: str | None = None,
        online_store: str | OnlineSpec | None = None,
        mode: str = "merge",
        filter_condition: str | None = None,
        features: Sequence[str] | None = None,
        nulls: Nulls | None = None,
        name: str | None = None,
        online_store_spec: OnlineSpec | None = None,
        as_of: datetime | date | None = None,
        prune: bool = False,
        dry_run: bool = False,
    ) -> PublishReport:
        """Publish the newest row of each key of a feature table to an online store.

        A row online is replaced only by a newer one: by event time, then by source version. Keys that the table lacks
        stay online, unless ``prune`` removes them. A publication that was cut off goes on from the last one that was
        completed.

        Args:
            source_table_name: the feature table, published at its newest version.
            online_store: a spec or URL, such as ``sqlite:///online.db``; None is the setting ``FSTK_ONLINE_STORE``.
            mode: ``"merge"``, the only one.
            filter_condition: a Spark SQL condition over the table's columns; only rows for which it is true are seen.
            features: names of the features to publish, None for all; keys and time are always published.
            nulls: ``"skip"`` publishes of each feature the newest value that is not null, with its own time, as lookups
                with ``nulls="skip"`` find it; ``"keep"`` the newest row whole. None goes on as the table is online,
                which is ``"keep"`` at first.
            name, online_store_spec: the older client's words for ``source_table_name`` and ``online_store``.
            as_of: the last event time that may be published: a datetime with a time zone, or a date, which is its
                midnight UTC; None is now. It may lie in the future.
            prune: remove the online rows of keys that no row of the table has, but none that a newer version wrote. A
                row that ``filter_condition`` or its time leaves out keeps its key.
            dry_run: report what would be written and removed; change nothing.

        Returns:
            Keys written, unchanged, stale (online is newer), failed and removed; the table's version; seconds taken.

        Raises:
            InvalidInput: no table is named, or one argument by both its names.
            UnknownTable, UnknownColumn, UnsupportedType, SchemaChange, TypeMismatch, BadExpression: before a write.
            StoreUnavailable: the store did not answer; what was written stays, and publishing again goes on from there.
            WriteConflict: the online table was dropped or got other features meanwhile; publish again.

        >>> report = fe.publish_table(source_table_name="shop.spend")
        >>> report.written, report.unchanged, report.source_version
        (2, 0, 0)
        """
        table = _either("source_table_name", source_table_name, "name", name)
        store = _either("online_store", online_store, "online_store_spec", online_store_spec)
        if table is None:
            raise InvalidInput("publish_table needs source_table_name, the feature table to publish.")
        return publish(
            self._catalog.get(table),
            store,
            mode=mode,
            filter_condition=filter_condition,
            features=features,
            nulls=nulls,
            as_of=as_of,
            prune=prune,
            dry_run=dry_run,
            session=self._session,
        )

    def read_online(
        self,
        *,
        name: str,
        keys: EntityKeys,
        features: Sequence[str] | None = None,
        online_store: str | OnlineSpec | None = None,
    ) -> OnlineRows:
        """Return the online rows of ``keys``, one dict each, in their order; a missing entity gives ``None`` values.

        Args:
            name: the feature table's.
            keys: one dict per row wanted, with every key column; values of exactly the column's type, or whole numbers
                of a decimal without a fraction.
            features: the features wanted, in order; None is all that are published.
            online_store: a spec or URL; None is the setting ``FSTK_ONLINE_STORE``.

        Returns:
            A list of dicts: the key's columns as given, then the features. Its ``found`` tells present, missing and
            expired apart, with each row's event time (UTC).

        Raises:
            UnknownTable, UnknownColumn: no such online table, feature or key column.
            InvalidInput: ``keys`` is no list of dicts, or a key column is missing.
            TypeMismatch: a key's value of another type than the column's.
            StoreUnavailable: the store did not answer, or the first publication is not complete.

        >>> _ = fe.publish_table(source_table_name="shop.spend")
        >>> list(fe.read_online(name="shop.spend", keys=[{"customer_id": 1}, {"customer_id": 9}]))
        [{'customer_id': 1, 'spend_30d': 25.0}, {'customer_id': 9, 'spend_30d': None}]
        """
        return read_online(name, keys, features, store=online_store)

    def online_reader(
        self,
        tables: Sequence[str] | Mapping[str, Sequence[str] | None],
        online_store: str | OnlineSpec | None = None,
    ) -> OnlineReader:
        """Return a reader of many tables of one online store that stays open, for a service or a loop.

        Args:
            tables: the feature tables' names, or names with the features wanted of each, in order (None: all).
            online_store: a spec or URL; None is the setting ``FSTK_ONLINE_STORE``.

        Returns:
            An object whose ``read({table: keys})`` is one round trip to the store for all tables; a context manager.

        Raises:
            UnknownTable, UnknownColumn: no such online table or feature.
            StoreUnavailable: the store did not answer, or a first publication is not complete.

        >>> _ = fe.publish_table(source_table_name="shop.spend")
        >>> with fe.online_reader(["shop.spend"]) as reader:
        ...     reader.read({"shop.spend": [{"customer_id": 1}]})["shop.spend"][0]
        {'customer_id': 1, 'spend_30d': 25.0}
        """
        return OnlineReader(tables, online_store)

    def drop_online_table(self, *, name: str, online_store: str | OnlineSpec | None = None) -> None:
        """Remove a table and its rows from an online store; the feature table stays.

        Args:
            name: the feature table's.
            online_store: a spec or URL; None is the setting ``FSTK_ONLINE_STORE``.

        Raises:
            UnknownTable: nothing of that name is online. StoreUnavailable: the store did not answer.

        >>> _ = fe.publish_table(source_table_name="shop.spend")
        >>> fe.drop_online_table(name="shop.spend")
        """
        drop_online_table(name, online_store)


def _either(word: str, value: Any, older_word: str, older: Any) -> Any:
    if value is not None and older is not None:
        raise InvalidInput(f"{older_word} is the older name of {word}: give one of them.")
    return older if value is None else value
