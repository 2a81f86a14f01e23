"""Run by Feast's own Python: ``python feast_repo.py FOLDER REDIS_PORT ROWS``.

Makes a feature repository in FOLDER for the rows of a Parquet file (``id``, ``at``, and features), writes them to
Redis, and then the vector of each entity that Feast computes beforehand, which is its quickest way to serve: service
``vector``, asked with ``full_feature_names``.
"""

import sys
from datetime import timedelta
from pathlib import Path

import pandas
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, ValueType  # pyright: ignore[reportMissingImports]
from feast.types import Float64  # pyright: ignore[reportMissingImports]

STORE = """project: bench
provider: local
registry: registry.db
offline_store: {{type: file}}
online_store: {{type: redis, connection_string: "127.0.0.1:{port}"}}
entity_key_serialization_version: 3
"""


def main(folder: Path, port: str, rows: Path) -> None:
    (folder / "feature_store.yaml").write_text(STORE.format(port=port))
    frame = pandas.read_parquet(rows)
    features = [Field(name=name, dtype=Float64) for name in frame.columns if name not in ("id", "at")]
    source = FileSource(name="rows", path=str(rows), timestamp_field="at")
    entity = Entity(name="entity", join_keys=["id"], value_type=ValueType.INT64)
    view = FeatureView(name="t0", entities=[entity], ttl=timedelta(days=3650), schema=features, source=source)
    service = FeatureService(name="vector", features=[view], precompute_online=True)
    store = FeatureStore(repo_path=str(folder))
    store.apply([source, entity, view, service])
    store.write_to_online_store("t0", df=frame)
    written = store.precompute_feature_service("vector")
    assert written == len(frame), written


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
