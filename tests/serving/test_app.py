"""The application beside its requests: a store that hangs keeps nobody waiting."""

from __future__ import annotations

import asyncio
import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from fstk.serving import app
from fstk.serving.app import Service


class Hanging:
    """Lookups whose store never answers, until its connections are left."""

    def __init__(self) -> None:
        self.asked = self.left = 0

    def refresh(self) -> None:
        self.asked += 1
        threading.Event().wait()

    def reopen(self) -> None:
        self.left += 1


@pytest.fixture
def lookups() -> Hanging:
    return Hanging()


@pytest.fixture
def service(lookups: Hanging) -> Service:
    endpoint: Any = SimpleNamespace(name="churn", version=3, lookups=lookups)
    door: Any = SimpleNamespace(refresh=lambda: None)
    return Service(endpoint, door, 0.05, 4)


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
