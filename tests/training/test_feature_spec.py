"""Named sets of features: kept beside the tables, given back as they were, and joined as their lookups are."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fstk import FeatureEngineeringClient, FeatureFunction, FeatureLookup
from fstk.errors import (
    AccessDenied,
    DamagedTable,
    InvalidInput,
    InvalidName,
    NameCollision,
    TableExists,
    TypeMismatch,
    UnknownColumn,
    UnknownName,
    UnknownTable,
)
from fstk.tables.records import Records
from fstk.training import feature_spec
from fstk.training.feature_spec import FeatureSpec
from tests.notebook.tables import fill, labels, write
from tests.training.test_spec import VALUES

SPEND = FeatureLookup(
    "feature_store.customer_features",
    "customer_id",
    feature_names=["total_spend_30d", "txn_count_30d"],
    rename_outputs={"txn_count_30d": "n"},
    timestamp_lookup_key="event_ts",
    lookback_window=dt.timedelta(days=30, microseconds=1),
    default_values={"total_spend_30d": -0.0, "n": 7},
)
REGION = FeatureLookup("feature_store.regions", "region")
SHARE = FeatureFunction(
    "spent / nullif(people, 0)", "share", inputs={"spent": "total_spend_30d", "people": "inhabitants"}
)
ASKED = FeatureFunction("share * budget", "asked")
FILE = Path("feature_store", ".basket.features.json")


@pytest.fixture
def fe(warehouse: Path) -> FeatureEngineeringClient:
    fill(warehouse)
    return FeatureEngineeringClient()


def test_a_set_is_joined_as_its_lookups_are(fe: FeatureEngineeringClient, warehouse: Path) -> None:
    features = [ASKED, SPEND, REGION, SHARE]
    made = fe.create_feature_spec(name="Feature_Store.Basket", features=features, exclude_columns=["inhabitants"])
    assert made == FeatureSpec("feature_store.basket", tuple(features), ("inhabitants",))
    assert fe.get_feature_spec(name="FEATURE_STORE.basket") == made
    assert (warehouse / FILE).is_file()
    df = labels().append_column("budget", pa.array([1.0, 2.0, None, 3.0, 0.0, 1.0]))
    of_set = fe.create_training_set(
        df=df, feature_spec="feature_store.basket", label="is_churned", exclude_columns=["n"]
    )
    by_hand = fe.create_training_set(
        df=df, feature_lookups=features, label="is_churned", exclude_columns=["inhabitants", "n"]
    )
    assert of_set.plan == by_hand.plan
    assert of_set.to_arrow().column_names[-3:] == ["asked", "total_spend_30d", "share"]
    assert of_set.to_arrow().equals(by_hand.to_arrow())
    again = fe.create_training_set(
        df=df, feature_spec="feature_store.basket", label=None, exclude_columns=["inhabitants"]
    )
    assert again.plan.exclude_columns == ("inhabitants",)
    assert [table.name for table in fe.list_tables()] == ["feature_store.customer_features", "feature_store.regions"]


def test_what_a_set_shows(fe: FeatureEngineeringClient) -> None:
    shown = repr(fe.create_feature_spec(name="a.b", features=[SPEND, REGION, SHARE], exclude_columns=["n"]))
    lines = [line.split() for line in shown.splitlines()]
    assert lines[0] == ["a.b", "·", "2", "feature", "lookups", "·", "1", "function"]
    assert ["n", "feature_store.customer_features", "customer_id,", "event_ts"] in lines
    assert ["all", "features", "feature_store.regions", "region"] in lines
    assert ["share", "function", "spent", "/", "nullif(people,", "0)"] in lines
    assert lines[-1] == ["excluded:", "n"]


def test_sets_are_listed_by_name_and_deleted(fe: FeatureEngineeringClient, warehouse: Path) -> None:
    assert fe.list_feature_specs() == []
    for name in ("b.y", "one", "a.b.c", "b.x"):
        fe.create_feature_spec(name=name, features=[REGION])
    (warehouse / "b" / ".not a name.features.json").write_text("{}")
    (warehouse / "b" / "plain.features.json").write_text("{}")
    assert [spec.name for spec in fe.list_feature_specs()] == ["a.b.c", "b.x", "b.y", "default.one"]
    fe.delete_feature_spec(name="one")
    with pytest.raises(UnknownName, match=r"no feature spec default\.one\. There is: a\.b\.c, b\.x, b\.y\."):
        fe.delete_feature_spec(name="one")
    with pytest.raises(UnknownName, match=r"no feature spec b\.z\. Nearest: b\.[xy], b\.[xy]"):
        fe.get_feature_spec(name="b.z")
    with pytest.raises(UnknownName, match="no feature spec"):
        fe.create_training_set(df=labels(), feature_spec="b.z", label=None)


def test_a_name_is_taken_once(fe: FeatureEngineeringClient, warehouse: Path) -> None:
    fe.create_feature_spec(name="feature_store.basket", features=[REGION])
    before = (warehouse / FILE).read_bytes()
    assert fe.create_feature_spec(name="feature_store.basket", features=[REGION]).features == (
        REGION,
    )  # the same again
    with pytest.raises(TableExists, match=r"another feature spec feature_store\.basket is there; delete it first"):
        fe.create_feature_spec(name="feature_store.basket", features=[SPEND])
    assert (warehouse / FILE).read_bytes() == before
    fe.delete_feature_spec(name="feature_store.basket")
    fe.create_feature_spec(name="feature_store.basket", features=[SPEND])
    fe.create_feature_spec(name="feature_store.regions", features=[REGION])  # as a table is called


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        ({"name": "a-b"}, InvalidName, "table name 'a-b'"),
        ({"name": "a." + "b" * 250}, InvalidName, "may have 240 characters at most"),
        ({"name": "feature_store.regions.x"}, InvalidInput, "would lie inside the table at"),
        ({"features": []}, InvalidInput, "features must be a list of FeatureLookup and FeatureFunction; got []."),
        ({"features": REGION}, InvalidInput, "features must be a list"),
        ({"features": "x"}, InvalidInput, "features must be a list"),
        ({"exclude_columns": "n"}, InvalidInput, "exclude_columns must be a list of column names; got 'n'."),
        ({"exclude_columns": [1]}, InvalidInput, "exclude_columns must be a list"),
        ({"features": [FeatureLookup("feature_store.region", "r")]}, UnknownTable, "feature_store.regions"),
        ({"features": [FeatureLookup("feature_store.regions", ["r", "s"])]}, InvalidInput, "names 2 columns"),
        ({"features": [FeatureLookup("feature_store.regions", "r", feature_names="x")]}, UnknownColumn, "no feature x"),
        ({"features": [FeatureLookup("feature_store.customer_features", "c")]}, InvalidInput, "timestamp_lookup_key"),
        (
            {"features": [FeatureLookup("feature_store.regions", "r", default_values={"inhabitants": "x"})]},
            TypeMismatch,
            "default_values['inhabitants']",
        ),
        (
            {
                "features": [
                    REGION,
                    FeatureLookup("feature_store.customer_features", "region", timestamp_lookup_key="t"),
                ]
            },
            TypeMismatch,
            "lookup_key region is string, but key customer_id",
        ),
        ({"features": [REGION, FeatureLookup("feature_store.regions", "r")]}, NameCollision, "inhabitants"),
        ({"features": [REGION, FeatureFunction("1", "inhabitants")]}, NameCollision, "FeatureFunction inhabitants"),
        ({"features": [FeatureFunction("b", "a"), FeatureFunction("a", "b")]}, InvalidInput, "wait for each other"),
    ],
)
def test_what_no_labels_could_be_joined_with_is_refused(
    fe: FeatureEngineeringClient, warehouse: Path, arguments: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind) as caught:
        fe.create_feature_spec(**({"name": "a.b", "features": [REGION]} | arguments))
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3
    assert list(warehouse.rglob("*.features.json")) == []


def test_lookups_and_a_set_exclude_each_other(fe: FeatureEngineeringClient) -> None:
    fe.create_feature_spec(name="a.b", features=[REGION])
    for given_ in ({}, {"feature_lookups": [REGION], "feature_spec": "a.b"}):
        with pytest.raises(InvalidInput, match="give feature_lookups, or feature_spec"):
            fe.create_training_set(df=labels(), label=None, **given_)


def test_a_damaged_file_is_said_with_its_cure(fe: FeatureEngineeringClient, warehouse: Path) -> None:
    made = fe.create_feature_spec(name="feature_store.basket", features=[REGION])
    fe.create_feature_spec(name="a.b", features=[REGION])
    content = json.loads(made.to_json())
    for damage in ("", "[]", "{", made.to_json()[:-20], json.dumps(content | {"features": [{}]})):
        (warehouse / FILE).write_text(damage)
        with pytest.raises(DamagedTable, match=r"feature_store\.basket is damaged .* Delete it and create it anew"):
            fe.get_feature_spec(name="feature_store.basket")
    (warehouse / FILE).write_bytes(b"\xff")
    with pytest.raises(Exception, match="cannot be read"):
        fe.get_feature_spec(name="feature_store.basket")
    (warehouse / FILE).write_text(json.dumps(content | {"format": 2}))
    with pytest.warns(UserWarning, match="of another fstk \\(format 2, expected 1\\)"):
        assert [spec.name for spec in fe.list_feature_specs()] == ["a.b"]
    fe.delete_feature_spec(name="feature_store.basket")


def test_nothing_is_kept_in_unity_catalog(fe: FeatureEngineeringClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSTK_ENGINE", "databricks")
    for call in (fe.list_feature_specs, lambda: fe.get_feature_spec(name="a.b")):
        with pytest.raises(InvalidInput, match="Unity Catalog keeps none yet"):
            call()


def test_a_refusal_of_the_system_is_a_sentence(warehouse: Path) -> None:
    records = Records(warehouse, "features", "feature spec")
    records.create("a.b", "x")
    path = warehouse / "a" / ".b.features.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(Exception, match="a.b cannot be read or written"):
        records.read("a.b")
    if os.getuid() != 0:
        path.rmdir()
        path.touch(mode=0)
        with pytest.raises(AccessDenied, match="permission denied"):
            records.read("a.b")


WINDOWS = st.none() | st.timedeltas(min_value=dt.timedelta(0))
NAMES = st.text(min_size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(NAMES, min_size=1, max_size=3),
    st.none() | st.lists(NAMES, min_size=1, max_size=3, unique_by=str.lower),
    WINDOWS,
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.lists(NAMES, max_size=2),
)
def test_every_argument_comes_back_as_it_was(
    tmp_path: Path, keys: list[str], names: Any, window: Any, defaults: dict[str, Any], excluded: list[str]
) -> None:
    renames = {} if names is None else {names[0]: f"_{names[0]}", "elsewhere": "b"}
    assume_names = names is None or len({*map(str.lower, names), f"_{names[0]}".lower()}) == len(names) + 1
    lookup = FeatureLookup(
        "t",
        keys,
        feature_names=names if assume_names else None,
        rename_outputs=renames,
        timestamp_lookup_key="at",
        lookback_window=window,
        default_values=defaults,
    )
    records = Records(tmp_path / "records", "features", "feature spec")
    spec = FeatureSpec("a.b", (lookup, ASKED, SHARE), tuple(excluded))
    if "a.b" in records.names():
        records.delete("a.b")
    records.create("a.b", spec.to_json())
    found = FeatureSpec.from_json(records.read("a.b"), "a.b")
    assert found == spec
    # Types too: 1 is not 1.0, nor True. What is folded means nothing in UTC.
    assert repr(found.features) == repr(spec.features).replace(", fold=1", "")


def test_defaults_of_every_type_come_back(fe: FeatureEngineeringClient, warehouse: Path) -> None:
    at = dt.datetime(2024, 1, 1, 12, 30, 0, 1, tzinfo=dt.timezone(dt.timedelta(hours=5)))
    defaults = {
        "d": Decimal("-1.50"),
        "day": dt.date(9999, 12, 31),
        "at": at,
        "x": np.float32(1.5),
        "nan": float("inf"),
        "raw": b"\x00\xff",
        "many": [1, None],
        "by": {"a": 1.5},
    }
    kinds = [pa.decimal128(9, 2), pa.date32(), pa.timestamp("us", "UTC"), pa.float32(), pa.float64(), pa.binary()]
    kinds += [pa.list_(pa.int32()), pa.map_(pa.string(), pa.float64())]
    rows = pa.table({"k": pa.array(["a"]), **{n: pa.nulls(1, t) for n, t in zip(defaults, kinds, strict=True)}})
    write(warehouse / "s" / "t", rows, primary_keys='["k"]')
    lookup = FeatureLookup("s.t", "k", default_values=defaults)
    fe.create_feature_spec(name="s.all", features=[lookup])
    assert fe.get_feature_spec(name="s.all").features == (lookup,)
    df = pa.table({"k": ["a", "b"]})
    of_set = fe.create_training_set(df=df, feature_spec="s.all", label=None).to_arrow()
    assert of_set.equals(fe.create_training_set(df=df, feature_lookups=[lookup], label=None).to_arrow())
    assert of_set.column("at").to_pylist() == [at, at]


@pytest.mark.slow
def test_of_two_writers_one_wins_whole(fe: FeatureEngineeringClient, warehouse: Path) -> None:
    program = (
        "import sys; from fstk import *; from fstk.errors import TableExists\n"
        "fe = FeatureEngineeringClient(); won = []\n"
        "for n in range(20):\n"
        "    out = f'{sys.argv[1]}{n}' + 'x' * 2000\n"
        "    try: fe.create_feature_spec(name=f'a.s{n}', features=[FeatureFunction('x', out)]); won.append(n)\n"
        "    except TableExists: pass\n"
        "print(*won)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, who], stdout=subprocess.PIPE, text=True) for who in "abc"
    ]
    won = {who: set(map(int, one.communicate(timeout=120)[0].split())) for who, one in zip("abc", running, strict=True)}
    assert [one.returncode for one in running] == [0, 0, 0]
    assert sorted(n for numbers in won.values() for n in numbers) == list(range(20))
    for who, numbers in won.items():
        for n in numbers:
            [function] = fe.get_feature_spec(name=f"a.s{n}").features
            assert isinstance(function, FeatureFunction)
            assert function.output_name == f"{who}{n}" + "x" * 2000
    assert [
        path.name for path in (warehouse / "a").iterdir() if "features" not in path.name and "lock" not in path.name
    ] == []


def test_a_killed_writer_leaves_nothing_under_the_name(warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Records(warehouse, feature_spec.KIND, feature_spec.CALLED)

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Exception, match=r"a\.b cannot be read or written: .*No space left"):
        records.create("a.b", "text")
    assert records.names() == []
    assert [path.name for path in (warehouse / "a").iterdir() if not path.name.endswith(".lock")] == []
