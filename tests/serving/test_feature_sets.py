"""A feature set over HTTP: its features, what was found of each row in each table, and a set that is made anew."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fstk import FeatureFunction, FeatureLookup
from fstk.cli.app import run_command
from fstk.errors import BadExpression, InvalidInput, UnknownName
from fstk.online.spec import spec_of
from fstk.serving.app import create
from fstk.serving.body import parse
from fstk.serving.endpoint import FeatureSetEndpoint
from fstk.tables.configured import open_catalog
from fstk.training import feature_spec
from fstk.training.feature_spec import FeatureSpec
from tests.generated import examples
from tests.notebook.tables import write
from tests.processes import server
from tests.serving.asking import Said, ask, records, waited
from tests.serving.project import INSTANT, LOOKUPS, Project, day
from tests.serving.test_openapi import conforms

OFFERS = FeatureLookup("s.offers", "customer_id", timestamp_lookup_key="at")
RATIO = FeatureFunction("amount / nullif(spend, 0)", "ratio")
FROM_WEB = FeatureFunction("channel = 'web'", "from_web")
ASKED = {"customer_id": 1, "cohort": "old", "region": "n", "amount": 3.6, "channel": "web"}
NAME = "s.vectors"
PAGE = Path(__file__).parents[2] / "docs" / "serving.md"


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a feature set of three tables, of which one has expired."""
    made = Project(tmp_path_factory.mktemp("sets"))
    made.fill()
    offers = pa.table(
        {
            "customer_id": pa.array([1, 2], pa.int32()),
            "as_of": pa.array([day(2), day(4)], INSTANT),
            "offer": ["a", "b"],
        }
    )
    grants = json.dumps({"SELECT": ["tests"]})
    folder = made.folder / "fstk-warehouse" / "s" / "offers"
    write(folder, offers, primary_keys='["customer_id"]', timeseries_column="as_of", grants=grants)
    with made.inside() as fe:
        fe.publish_table(source_table_name="s.offers", online_store="sqlite:///fstk-warehouse/online.db?ttl=30d")
        fe.create_feature_spec(name=NAME, features=[*LOOKUPS, OFFERS, RATIO, FROM_WEB], exclude_columns=["vip"])
    return made


@pytest.fixture(scope="module")
def sets_port(sets: Project) -> Iterator[int]:
    with sets.served(model=None, features=NAME) as port:
        yield port


@pytest.fixture(scope="module")
def sets_token(sets: Project) -> str:
    return sets.tokens.new("tests")[0]


@pytest.fixture(scope="module")
def endpoint(sets: Project) -> FeatureSetEndpoint:
    """The set in this process."""
    with sets.inside():
        app = create(features=NAME)
    found = app.state.service.served.endpoint
    assert isinstance(found, FeatureSetEndpoint)
    return found


def requested(sets: Project, *features: FeatureLookup | FeatureFunction, exclude: tuple[str, ...] = ()) -> Any:
    with sets.inside():
        catalog = open_catalog()
        spec = FeatureSpec("s.other", features, exclude)
        return feature_spec.requested(spec, {name: catalog.get(name) for name in spec.tables})


FORMS: list[dict[str, Any]] = [
    records(ASKED, ASKED | {"customer_id": 2}),
    {"dataframe_split": {"columns": [*ASKED], "data": [[*ASKED.values()], [2, *[*ASKED.values()][1:]]]}},
    {"instances": [ASKED, ASKED | {"customer_id": 2}]},
    {"inputs": {name: [value, 2 if name == "customer_id" else value] for name, value in ASKED.items()}},
]


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize("body", FORMS, ids=lambda body: next(iter(body)))
def test_the_four_forms_are_answered_alike_at_both_addresses(body: Any, sets_port: int, sets_token: str) -> None:
    vectors = [
        {"spend": spend, "v": v, "size": 40, "offer": None, "ratio": 3.6 / spend, "from_web": True}
        for spend, v in ((1.8, 8), (2.8, 16))
    ]
    for path in ("/invocations", f"/serving-endpoints/{NAME}/invocations"):
        said = ask(sets_port, body, sets_token, path=path)
        assert (said.status, said.json["predictions"]) == (200, vectors)
        assert (said.headers["x-fstk-missing"], said.headers["x-fstk-expired"]) == ("0", "2")


@pytest.mark.server
@pytest.mark.slow
def test_each_row_and_table_has_status_age_and_source_version(sets_port: int, sets_token: str) -> None:
    before = dt.datetime.now(dt.UTC)
    said = ask(sets_port, records(ASKED, ASKED | {"customer_id": 99, "cohort": None}), sets_token)
    after = dt.datetime.now(dt.UTC)
    known, unknown = said.json["lookups"]
    assert [list(one) for one in known] == [["table", "by", "status", "age", "source_version"]] * 3
    for found, as_of in ((known[0], day(8)), (known[2], day(2))):
        assert before <= as_of + dt.timedelta(seconds=found.pop("age")) <= after
    assert known == [
        {"table": "s.customers", "by": ["customer_id"], "status": "present", "source_version": 0},
        {"table": "s.cohorts", "by": ["cohort", "region"], "status": "present", "age": None, "source_version": 0},
        {"table": "s.offers", "by": ["customer_id"], "status": "expired", "source_version": 0},
    ]
    assert {(one["status"], one["age"], one["source_version"]) for one in unknown} == {("missing", None, None)}
    nothing = {"spend": None, "v": -1, "size": None, "offer": None, "ratio": None, "from_web": True}
    assert said.json["predictions"][1] == nothing
    assert (said.headers["x-fstk-missing"], said.headers["x-fstk-expired"]) == ("3", "1")


@pytest.mark.server
@pytest.mark.slow
def test_the_door_is_that_of_a_model(sets_port: int, sets: Project, sets_token: str) -> None:
    other, _ = sets.tokens.new("other")
    said = ask(sets_port, records(ASKED), other)
    assert (said.status, "s.offers" in said.reason) == (403, False)
    assert ask(sets_port, records(ASKED), None).status == 401
    assert ask(sets_port, None, other, path="/openapi.json", method="GET").status == 403
    for wrong in (
        {"customer_id": 2**40},
        {"customer_id": True},
        {"channel": 5},
        {"amount": "424242"},
        {"Spend": 424242.0},
    ):
        said = ask(sets_port, records(ASKED | wrong), sets_token)
        assert (said.status, "4242" in said.reason) == (400, False), wrong
    for lacking in ("customer_id", "region", "amount", "channel"):
        said = ask(sets_port, records({name: ASKED[name] for name in ASKED if name != lacking}), sets_token)
        assert (said.status, f" {lacking} (" in said.reason) == (400, True)
    assert ask(sets_port, records(ASKED), sets_token, path="/serving-endpoints/vectors/invocations").status == 404


@pytest.mark.server
@pytest.mark.slow
def test_health_and_metrics_tell_of_the_set(
    sets_port: int, sets: Project, sets_token: str, endpoint: FeatureSetEndpoint
) -> None:
    assert ask(sets_port, records(ASKED), sets_token).status == 200
    with sets.inside() as fe:
        digest = fe.get_feature_spec(name=NAME).digest
    health = ask(sets_port, None, None, path="/health", method="GET")
    assert health.json == {"status": "ok", "version": digest, "problems": [], "features": NAME}
    counted = ask(sets_port, None, None, path="/metrics", method="GET").body.decode()
    assert f'fstk_model_info{{name="{NAME}",version="{digest}"}} 1.0' in counted
    assert 'fstk_expired_total{table="s.offers"}' in counted
    assert 'fstk_feature_age_seconds_count{table="s.customers"}' in counted


@pytest.mark.server
@pytest.mark.slow
def test_it_describes_itself_and_no_request_made_from_that_is_a_500(
    sets_port: int, sets_token: str, tmp_path: Path
) -> None:
    document = ask(sets_port, None, sets_token, path="/openapi.json", method="GET").json
    schemas = document["components"]["schemas"]
    assert f"/serving-endpoints/{NAME}/invocations" in document["paths"]
    assert schemas["Lookup"]["properties"]["status"] == {"enum": ["expired", "missing", "present"]}
    assert set(schemas["Vector"]["required"]) == {"spend", "v", "size", "offer", "ratio", "from_web"}
    assert schemas["Row"]["required"] == ["amount", "channel"]
    conforms(document, sets_port, sets_token, tmp_path)


@pytest.mark.server
@pytest.mark.slow
def test_a_set_made_anew_is_taken_up_without_a_dropped_request_and_a_bad_one_is_not(
    sets: Project, sets_token: str
) -> None:
    said: list[Said | Exception] = []
    stop = threading.Event()

    def keep_asking(port: int) -> None:
        while not stop.wait(0.01):
            try:
                said.append(ask(port, records(ASKED), sets_token))
            except (OSError, http.client.HTTPException, ValueError) as error:
                said.append(error)

    def make(*features: FeatureLookup) -> None:
        with sets.inside() as fe:
            if "s.heir" in [spec.name for spec in fe.list_feature_specs()]:
                fe.delete_feature_spec(name="s.heir")
            fe.create_feature_spec(name="s.heir", features=list(features))

    def answers(vector: dict[str, Any]) -> bool:
        last = said[-1] if said else None
        return isinstance(last, Said) and last.json["predictions"] == [vector]

    make(LOOKUPS[1])
    rows = pa.table({"cohort": ["old"], "late": [1]})
    write(sets.folder / "fstk-warehouse" / "s" / "unpublished", rows, primary_keys='["cohort"]')
    with sets.served(model=None, features="s.heir", every=0.2) as port, ThreadPoolExecutor(1) as pool:
        asking = pool.submit(keep_asking, port)
        try:
            waited(lambda: answers({"size": 40}))
            make(FeatureLookup("s.cohorts", ["cohort", "region"], rename_outputs={"size": "people"}))
            waited(lambda: answers({"people": 40}))
            make(FeatureLookup("s.unpublished", "cohort"))
            problems = waited(lambda: ask(port, None, None, path="/health", method="GET").json["problems"])
            assert problems[0].startswith("feature spec s.heir cannot be served; what was served before goes on.")
            assert ask(port, records(ASKED), sets_token).json["predictions"] == [{"people": 40}]
        finally:
            stop.set()
            asking.result()
    assert {one.status if isinstance(one, Said) else repr(one) for one in said} == {200}


@pytest.mark.server
@pytest.mark.slow
def test_the_page_answers_as_written(sets: Project, sets_token: str) -> None:
    page = PAGE.read_text().replace("shop.", "s.")
    serve, curl = re.findall(r"^```bash\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)[0].splitlines()
    [answer] = re.findall(r"^```json\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    with sets.inside() as fe:
        spend = FeatureLookup("s.customers", "customer_id", feature_names="spend", timestamp_lookup_key="at")
        fe.create_feature_spec(name="s.basket", features=[spend, RATIO])
    fstk, *words = serve.removesuffix(" &").replace("8000", "0").split()
    logged = re.findall(r"^```bash\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)[1]
    assert logged.startswith(serve.removesuffix(" &"))
    command = [Path(sys.executable).with_name(fstk), *words, *logged.split()[-3:-1]]
    with server(command, r"serving s.basket on http://.*:(\d+)", sets.env, sets.folder) as port:
        env = sets.env | {"FSTK_TOKEN": sets_token}
        asked = curl.replace("8000", str(port))
        done = subprocess.run(asked, shell=True, env=env, capture_output=True, text=True, timeout=60, check=True)
    with sets.inside():
        assert repr(run_command(["show", "logs.basket"])).startswith("logs.basket v0 · log of what was served · 1 rows")
    expected, found = json.loads(answer), json.loads(done.stdout)
    assert found["lookups"][0][0].pop("age") > expected["lookups"][0][0].pop("age")
    assert found == expected


def test_a_set_that_is_not_there_is_told_with_the_nearest(sets: Project) -> None:
    with sets.inside(), pytest.raises(UnknownName, match=r"no feature spec s\.vector\. Nearest: s\.vectors"):
        run_command(["serve", "--features", "s.vector", "--port", "0"])
    with pytest.raises(InvalidInput, match="takes a MODEL, .* or --features NAME"):
        run_command(["serve", "models:/churn/1", "--features", NAME])


OWN = {
    "spend": st.sampled_from([0.0, -2.5, None]),
    "v": st.sampled_from([3, None]),
    "size": st.just(5),
    "ratio": st.sampled_from([0.25, None]),
}


@settings(max_examples=examples(15), deadline=None)
@given(data=st.data())
def test_the_answer_is_the_training_set_of_now(
    data: st.DataObject, sets: Project, endpoint: FeatureSetEndpoint
) -> None:
    """Rows that the request overrides are compared in what it does not; offline, no row has expired."""
    own = data.draw(st.sets(st.sampled_from(sorted(OWN))))
    known = {
        "customer_id": st.integers(0, 11),
        "cohort": st.sampled_from(["old", "new", "none", None]),
        "region": st.sampled_from(["n", "s", None]),
        "amount": st.floats(-10, 10),
        "channel": st.sampled_from(["web", "shop", None]),
        "at": st.sampled_from(["2024-01-05T00:00:00Z", "2024-01-09T00:00:00Z", "2030-01-01T00:00:00Z"]),
    }
    row = st.fixed_dictionaries(known | {name: OWN[name] for name in sorted(own)})
    rows = data.draw(st.lists(row, min_size=1, max_size=4))
    found = endpoint.answer(parse(json.dumps(records(*rows)).encode())).told.predictions
    kinds = {"customer_id": pa.int32(), "cohort": pa.string(), "region": pa.string()}
    kinds |= {"amount": pa.float64(), "channel": pa.string()}
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()}
    columns["at"] = pa.array([dt.datetime.fromisoformat(row["at"]) for row in rows], INSTANT)
    with sets.inside() as fe:
        labels = pa.table(columns)
        joined = fe.create_training_set(df=labels, feature_spec=NAME, label=None).to_arrow().to_pylist()
    for mine, theirs, asked in zip(found, joined, rows, strict=True):
        newest = asked["customer_id"] not in range(1, 9) or asked["at"] != "2024-01-05T00:00:00Z"
        expected = {name: theirs[name] for name in ("spend", "v", "size")} | {name: asked[name] for name in own}
        if newest:  # the store holds no older row
            assert {name: mine[name] for name in ("spend", "v", "size")} == {
                name: expected[name] for name in ("spend", "v", "size")
            }
        spend = mine["spend"]
        ratio = None if spend in (None, 0) else asked["amount"] / spend
        assert mine["ratio"] == (asked["ratio"] if "ratio" in own else ratio)
        assert mine["from_web"] == (None if asked["channel"] is None else asked["channel"] == "web")
        assert mine["offer"] is None


def test_what_only_functions_read_is_of_the_first_type_that_all_of_them_take(sets: Project) -> None:
    since = FeatureFunction("datediff(seen, at)", "since")
    plan = requested(
        sets,
        OFFERS,
        FeatureFunction("channel is null", "silent"),
        FROM_WEB,
        since,
        FeatureFunction("case when vip then amount * since end", "worth"),
        exclude=("silent", "unknown"),
    )
    assert plan.function_columns == {
        "channel": "string",
        "seen": "timestamp",
        "at": "timestamp",
        "vip": "boolean",
        "amount": "double",
    }
    assert [name for name in plan.schema if name not in plan.labels] == ["offer", "from_web", "since", "worth"]


def test_what_this_process_cannot_answer_is_refused(sets: Project) -> None:
    with pytest.raises(BadExpression, match="INITCAP"):
        requested(sets, OFFERS, FeatureFunction("initcap(channel)", "loud"))
    with sets.inside(), pytest.raises(InvalidInput, match=r"s\.other leaves out all of its features"):
        FeatureSetEndpoint("s.other", "1", requested(sets, OFFERS, exclude=("offer",)), spec_of(None))
    with pytest.raises(InvalidInput, match="one of the two"):
        create()
