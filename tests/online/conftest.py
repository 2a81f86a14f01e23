"""Stores in turn; a store's modes differ in how it is reached, which the contract of stores looks at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fstk.online.spec import OnlineSpec
from tests.online.tables import SCHEMA, Made
from tests.stores import adapter, empty, parameters, share, store  # noqa: F401  fixtures


@pytest.fixture(params=parameters(modes=False))
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OnlineSpec]:
    """Every store, empty."""
    yield from empty(request, tmp_path)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A feature table of numbers and words, empty."""
    return Made(tmp_path / "t", SCHEMA, ("id",), "at")
