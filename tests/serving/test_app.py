"""The application beside its requests: a store that hangs keeps nobody waiting, a model is warm, its alias followed."""

from __future__ import annotations

import asyncio
import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from fstk.errors import UnknownModel
from fstk.serving import app, source
from fstk.serving.app import Service
from fstk.serving.body import Rows
from fstk.serving.messages import Subject
from fstk.serving.source import Meant, Served


class Hanging:
    """Lookups whose store never answers, until its connections are left."""

    def __init__(self) -> None:
        self.asked = self.left = 0

    def refresh(self) -> None:
        self.asked += 1
        threading.Event().wait()

    def close(self) -> None:
        self.left += 1


@pytest.fixture
def lookups() -> Hanging:
    return Hanging()


@pytest.fixture
def service(lookups: Hanging) -> Service:
    return Service(served(3, lookups), 0.05, 4)


def served(version: int, lookups: Any, **more: Any) -> Served:
    endpoint: Any = SimpleNamespace(kind="model", name="churn", version=version, lookups=lookups, **more)
    door: Any = SimpleNamespace(refresh=lambda: None)
    return Served(endpoint, door)


def test_a_store_that_hangs_is_told_by_health(service: Service, lookups: Hanging) -> None:
    said = asyncio.run(service.health(SimpleNamespace()))  # type: ignore[arg-type]
    assert said.status_code == 503
    body = json.loads(bytes(said.body))
    assert (body["status"], body["model"], body["version"]) == ("unavailable", "churn", 3)
    assert body["problems"] == ["the online store does not have the features, or does not answer"]
    assert (lookups.asked, lookups.left) == (1, 1)


def test_a_store_that_hangs_does_not_hold_up_all_else(
    service: Service, lookups: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_STORE_EVERY", 0.0)

    async def alive() -> None:
        keeping = asyncio.create_task(service.keep_up())
        while lookups.left < 3:
            assert (await service.ping(SimpleNamespace())).status_code == 200  # type: ignore[arg-type]
            await asyncio.sleep(0)
        keeping.cancel()

    asyncio.run(alive())


def test_a_row_that_fails_or_takes_for_ever_does_not_keep_a_model_from_being_warm(
    lookups: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_WARM", 0.05)
    asked: list[dict[str, list[Any]]] = []

    def answer(rows: Rows) -> None:
        asked.append(rows.columns)
        if len(asked) == 1:
            raise ValueError("no such customer")
        threading.Event().wait()

    examples = lambda: [{"key": 1, "spend": 1.0}, {"key": 1}]  # noqa: E731
    served(3, lookups, answer=answer, features=SimpleNamespace(examples=examples, decimals=False)).warm()
    assert asked == [{"key": [1], "spend": [1.0]}, {"key": [1]}]
    assert lookups.left == 1


def test_an_alias_that_moves_is_followed_and_one_that_cannot_be_is_told(
    service: Service, lookups: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = [
        UnknownModel("no registered model churn."),
        Meant(4, Subject("models:/churn/4")),
        Meant(3, Subject("models:/churn/3")),
        Meant(5, Subject("models:/churn/5")),
    ]
    seen: list[tuple[int | str | None, list[str]]] = []
    opened: list[tuple[str, Any]] = []

    def find() -> Any:
        seen.append((service.served.endpoint.version, service.problems))
        one = found.pop(0) if found else Meant(5, Subject("models:/churn/5"))
        if isinstance(one, Exception):
            raise one
        return one

    def open_(subject: Subject, door: Any) -> Served:
        opened.append((subject.called, door))
        if subject.called.endswith("4"):
            raise OSError("gone")
        return served(5, lookups)

    meant: Any = SimpleNamespace(find=find, opened=open_)

    async def followed() -> None:
        following = asyncio.create_task(service.follow(meant, 0.0))
        while len(seen) < 6:
            await asyncio.sleep(0)
        following.cancel()

    door = service.served.door
    asyncio.run(followed())
    problem = "models:/churn/4 cannot be served; what was served before goes on. The reason is in the log."
    assert seen == [(3, []), (3, []), (3, [problem]), (3, []), (5, []), (5, [])]
    assert opened == [("models:/churn/4", door), ("models:/churn/5", door)]
    counted = service.metrics.exposed().decode()
    assert 'fstk_model_info{name="churn",version="3"} 0.0' in counted
    assert 'fstk_model_info{name="churn",version="5"} 1.0' in counted
