"""An endpoint under stress: slow and failing models, a store that goes, floods, restarts, new champions."""

from __future__ import annotations

import http.client
import importlib
import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import deltalake
import psutil
import pytest
from sklearn.dummy import DummyRegressor

from tests.notebook.tables import write
from tests.serving.asking import GOOD, Said, ask, flooded, records, waited, worker_of
from tests.serving.project import READERS, Project, cohorts

pytestmark = [pytest.mark.server, pytest.mark.slow]
DEADLINE = 3.0


def moody() -> Any:
    """A model that fails where the amount is −1, and takes as many milliseconds as the amount is above 1,000."""
    python_model = importlib.import_module("mlflow.pyfunc").PythonModel

    class Moody(python_model):
        def predict(self, context, model_input):  # without hints, of which MLflow warns
            import time

            amount = model_input["amount"].iloc[0]
            if amount == -1:
                raise ValueError("the secret is 424242")
            if amount > 1000:
                time.sleep((amount - 1000) / 1000)
            return model_input["amount"] * 2

    return Moody()


@pytest.fixture(scope="module")
def mood(project: Project) -> Iterator[int]:
    """The port of an endpoint of :func:`moody` on a store of its own."""
    project.log("moods", moody())
    shutil.copy(project.folder / "fstk-warehouse" / "online.db", project.folder / "own.db")
    store = f"sqlite:///{project.folder}/own.db"
    with project.served(model="models:/moods/1", store=store, deadline=DEADLINE, most_waiting=4) as port:
        yield port


def connected(port: int) -> list[Any]:
    """The connections of this process to a port."""
    those = psutil.Process().net_connections()
    return [one for one in those if one.raddr and one.raddr.port == port and one.status == psutil.CONN_ESTABLISHED]


def test_a_model_that_fails_is_500_with_an_id_whose_trace_is_in_the_log_alone(
    mood: int, token: str, project: Project
) -> None:
    said = ask(mood, records(GOOD | {"amount": -1.0}), token)
    assert said.status == 500
    [number] = re.findall("[0-9a-f]{32}", said.reason)
    assert "4242" not in said.body.decode()
    assert "Traceback" not in said.body.decode()
    log = waited(lambda: found if number in (found := (project.folder / "server.log").read_text()) else None)
    assert "ValueError" in log
    assert token not in log
    assert ask(mood, records(GOOD), token).json == {"predictions": [4.0]}


def test_a_model_that_takes_too_long_is_504_and_left(mood: int, token: str) -> None:
    assert ask(mood, records(GOOD | {"amount": 1e9}), token).status == 504  # the model would take eleven days
    assert ask(mood, records(GOOD), token).status == 200


def test_a_body_that_does_not_come_is_408(mood: int, token: str) -> None:
    with socket.create_connection(("127.0.0.1", mood), timeout=60) as slow:
        head = (
            f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}"
        )
        slow.sendall(f"{head}\r\nContent-Length: 100\r\n\r\n{{".encode())
        assert ask(mood, records(GOOD), token).status == 200
        assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_flood_is_told_to_come_later(mood: int, token: str) -> None:
    slow = records(GOOD | {"amount": 1200.0})
    with ThreadPoolExecutor(24) as pool:
        said = list(pool.map(lambda _: ask(mood, slow, token), range(24)))
    statuses = [one.status for one in said]
    assert set(statuses) <= {200, 503, 504}
    assert statuses.count(200) >= 1
    refused = [one for one in said if one.status == 503]
    assert refused
    assert all(one.headers["retry-after"] == "1" for one in refused)


def test_without_its_store_an_endpoint_lives_and_says_503(mood: int, token: str, project: Project) -> None:
    file = project.folder / "own.db"
    aside = file.with_suffix(".aside")
    for spoil in (lambda: shutil.copy(__file__, file), file.unlink):
        shutil.copy(project.folder / "fstk-warehouse" / "online.db", aside)
        spoil()
        said = waited(lambda: found if (found := ask(mood, records(GOOD), token)).status == 503 else None)
        assert said.headers["retry-after"] == "1"
        assert "own.db" not in said.reason
        health = ask(mood, None, None, path="/health", method="GET")
        assert (health.status, health.json["status"]) == (503, "unavailable")
        assert ask(mood, None, None, path="/ping", method="GET").status == 200
        aside.replace(file)
        waited(lambda: ask(mood, records(GOOD), token).status == 200)
        assert ask(mood, None, None, path="/health", method="GET").status == 200


def test_a_body_of_a_gigabyte_without_a_length_costs_less_than_20_megabytes(mood: int, token: str) -> None:
    worker = worker_of(mood)
    ask(mood, records(GOOD), token)
    before = worker.memory_info().rss
    most, got = flooded(mood, token, lambda: worker.memory_info().rss)
    assert got.startswith(b"HTTP/1.1 413 ") or not got
    assert most - before < 20 * 2**20
    assert ask(mood, records(GOOD), token).status == 200


def test_grants_of_a_table_decide_until_they_are_revoked_and_a_table_that_is_gone_is_nobodys(
    mood: int, project: Project, token: str
) -> None:
    folder = project.folder / "fstk-warehouse" / "s" / "cohorts"
    aside = folder.with_name("aside")
    named, _ = project.tokens.new("ann")
    grouped, _ = project.tokens.new("ben", ("team", READERS))
    folder.rename(aside)
    try:
        waited(lambda: ask(mood, records(GOOD), token).status == 403)
        keys = json.dumps(["cohort", "region"])
        write(folder, cohorts(), primary_keys=keys, grants=json.dumps({"SELECT": [READERS]}))
        waited(lambda: ask(mood, records(GOOD), grouped).status == 200)
        assert ask(mood, records(GOOD), token).status == 200
        said = ask(mood, records(GOOD), named)
        assert (said.status, "s.cohorts" in said.reason) == (403, False)
        left = {"fstk.grants": json.dumps({"SELECT": ["team"]})}
        deltalake.DeltaTable(folder).alter.set_table_properties(left, raise_if_not_exists=False)
        waited(lambda: ask(mood, records(GOOD), token).status == 403)
        assert ask(mood, records(GOOD), grouped).status == 200
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    waited(lambda: ask(mood, records(GOOD), token).status == 200)


def test_sigterm_finishes_what_is_in_flight(project: Project, token: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        with project.served(model="models:/moods/1", workers=2) as port:
            kept = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            kept.request("GET", "/ping")
            kept.getresponse().read()
            slow = [pool.submit(ask, port, records(GOOD | {"amount": 3000.0}), token) for _ in range(3)]
            waited(lambda: len(connected(port)) == 4)
        assert [one.result().status for one in slow] == [200, 200, 200]


def test_a_new_champion_is_taken_up_without_a_dropped_request_and_a_bad_one_is_not(
    project: Project, token: str
) -> None:
    mlflow = importlib.import_module("mlflow")
    first = project.log("heir", DummyRegressor(strategy="constant", constant=1.0))
    said: list[Said | Exception] = []
    stop = threading.Event()

    def keep_asking(port: int) -> None:
        while not stop.wait(0.01):
            try:
                said.append(ask(port, records(GOOD), token))
            except (OSError, http.client.HTTPException, ValueError) as error:
                said.append(error)

    with project.served(model="models:/heir@champion", every=0.5) as port, ThreadPoolExecutor(1) as pool:
        asking = pool.submit(keep_asking, port)
        try:
            second = project.log("heir", DummyRegressor(strategy="constant", constant=2.0))
            assert (first.version, second.version) == (1, 2)
            waited(lambda: said and isinstance(said[-1], Said) and said[-1].json == {"predictions": [2.0]})
            project.log("heir", DummyRegressor(strategy="constant", constant=3.0), alias=None)
            with project.inside():
                client = mlflow.MlflowClient()
                place = Path(client.get_model_version_download_uri("heir", "3").removeprefix("file://"))
                for file in place.rglob("*.json"):
                    file.write_text("{")
                client.set_registered_model_alias("heir", "champion", "3")
            health = waited(
                lambda: (
                    found if (found := ask(port, None, None, path="/health", method="GET")).json["problems"] else None
                )
            )
            assert (health.status, health.json["version"]) == (200, 2)
            assert "v3" in health.json["problems"][0] or "/3" in health.json["problems"][0]
            assert ask(port, records(GOOD), token).json == {"predictions": [2.0]}
        finally:
            stop.set()
            asking.result()
    assert {one.status if isinstance(one, Said) else repr(one) for one in said} == {200}


def test_nothing_is_served_that_cannot_be(project: Project) -> None:
    asked = project.served(model="models:/churn@nobody")
    with pytest.raises(RuntimeError, match="model churn has no @nobody"), asked:
        pass
