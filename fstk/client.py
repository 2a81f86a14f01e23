"""The verbs of fstk behind one object, named as in the public Databricks Feature Engineering API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from fstk import journal
from fstk.engines.choice import session_for
from fstk.engines.connect import adopt
from fstk.errors import InvalidInput
from fstk.models.log import ModelVersion, log_model
from fstk.models.score import score_batch
from fstk.online.publish import PublishReport, publish
from fstk.online.read import OnlineRows, drop_online_table, read_online
from fstk.online.spec import OnlineSpec
from fstk.tables.catalog import Catalog
from fstk.tables.configured import open_catalog
from fstk.tables.report import WriteReport
from fstk.tables.spec import FeatureTable
from fstk.training.spec import FeatureLookup
from fstk.training.training_set import TrainingSet, create_training_set

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class FeatureEngineeringClient:
    """Feature tables, training sets, models and online rows; every argument is given by name.

    Frames go in as Spark, pandas, Polars or Arrow. ``spark`` is the session to work with, which ``fstk.connect()``
    returns from then on where no other is open; without one, that of ``fstk.connect()``, which starts at the first verb
    that needs it: looking at tables and tags, planning, reading online and publishing local tables need none.
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
        primary_keys: str | Sequence[str],
        df: Any = None,
        timeseries_column: str | Sequence[str] | None = None,
        schema: Any = None,
        partition_columns: str | Sequence[str] | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        timestamp_keys: str | Sequence[str] | None = None,
    ) -> FeatureTable:
        """Create a feature table from ``df`` or empty from ``schema``; the same call again merges and changes nothing.

        See :meth:`fstk.tables.configured.Catalog.create` for arguments and errors.
        """
        return self._catalog.create(
            name,
            primary_keys,
            df,
            timeseries_column=timeseries_column,
            timestamp_keys=timestamp_keys,
            schema=schema,
            partition_columns=partition_columns,
            description=description,
            tags=tags,
        )

    def write_table(self, *, name: str, df: Any, mode: str = "merge") -> WriteReport:
        """Merge ``df`` into a feature table by its keys; see :func:`fstk.tables.write.merge` for errors."""
        return self._catalog.write(name, df, mode)

    def read_table(
        self, *, name: str, version: int | None = None, timestamp: datetime | date | None = None
    ) -> DataFrame:
        """Return a table of the catalog as a Spark DataFrame: newest, at a version, or as committed at an instant.

        See :meth:`fstk.tables.configured.Catalog.find` for errors.
        """
        found = self._catalog.find(name, version, timestamp)
        frame = session_for(session=self._session).read(found)
        journal.note("read", found.name, found.version, None)
        return frame

    def get_table(self, *, name: str) -> FeatureTable:
        """Return what is known of a feature table; raises UnknownTable with the nearest names."""
        return self._catalog.get(name)

    def list_tables(self) -> list[FeatureTable]:
        """Return all feature tables, by name."""
        return self._catalog.tables()

    def drop_table(self, *, name: str) -> None:
        """Remove a feature table and its history for good; what was published stays online. Raises UnknownTable."""
        self._catalog.drop(name)

    def set_feature_table_tag(self, *, name: str, key: str, value: str) -> None:
        """Set a tag of a feature table; the same value again makes no new version."""
        self._catalog.set_tag(name, key, value)

    def delete_feature_table_tag(self, *, name: str, key: str) -> None:
        """Remove a tag of a feature table; raises UnknownName when there is none of that key."""
        self._catalog.delete_tag(name, key)

    def create_training_set(
        self,
        *,
        df: Any,
        feature_lookups: Sequence[FeatureLookup],
        label: str | None,
        exclude_columns: Sequence[str] | None = None,
        as_known: bool = False,
    ) -> TrainingSet:
        """Plan labels joined with the features that each could know at its own instant.

        See :func:`fstk.training.training_set.create_training_set` for arguments and errors.
        """
        return create_training_set(
            df,
            feature_lookups,
            label,
            exclude_columns,
            catalog=self._catalog,
            session=self._session,
            as_known=as_known,
        )

    def log_model(
        self,
        *,
        model: Any,
        artifact_path: str,
        flavor: Any,
        training_set: TrainingSet,
        registered_model_name: str | None = None,
    ) -> ModelVersion:
        """Log a model with the feature lookups it was trained on; see :func:`fstk.models.log.log_model`."""
        return log_model(
            model, artifact_path, flavor, training_set, registered_model_name, model_registry_uri=self._registry
        )

    def score_batch(self, *, model_uri: str, df: Any, result_type: str = "double") -> DataFrame:
        """Return ``df`` with features and ``prediction``; see :func:`fstk.models.score.score_batch`."""
        return score_batch(
            model_uri,
            df,
            result_type,
            catalog=self._catalog,
            session=self._session,
            model_registry_uri=self._registry,
        )

    def publish_table(
        self,
        *,
        source_table_name: str | None = None,
        online_store: str | OnlineSpec | None = None,
        mode: str = "merge",
        filter_condition: str | None = None,
        features: Sequence[str] | None = None,
        name: str | None = None,
        online_store_spec: OnlineSpec | None = None,
        as_of: datetime | date | None = None,
        dry_run: bool = False,
    ) -> PublishReport:
        """Publish the newest row of each key to an online store; see :func:`fstk.online.publish.publish`.

        ``name`` and ``online_store_spec`` are the older client's words for ``source_table_name`` and ``online_store``;
        without a store, the setting ``FSTK_ONLINE_STORE`` names it.

        Raises:
            InvalidInput: no table is named, or one argument by both its names.
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
            as_of=as_of,
            dry_run=dry_run,
            session=self._session,
        )

    def read_online(
        self,
        *,
        name: str,
        keys: Sequence[Mapping[str, Any]],
        features: Sequence[str] | None = None,
        online_store: str | OnlineSpec | None = None,
    ) -> OnlineRows:
        """Return the online rows of ``keys``, in their order; see :func:`fstk.online.read.read_online`."""
        return read_online(name, keys, features, store=online_store)

    def drop_online_table(self, *, name: str, online_store: str | OnlineSpec | None = None) -> None:
        """Remove a table and its rows from an online store; raises UnknownTable, StoreUnavailable."""
        drop_online_table(name, online_store)


def _either(word: str, value: Any, older_word: str, older: Any) -> Any:
    if value is not None and older is not None:
        raise InvalidInput(f"{older_word} is the older name of {word}: give one of them.")
    return older if value is None else value
