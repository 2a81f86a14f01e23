"""Stores in turn."""

from tests.stores import spec, store  # noqa: F401  fixtures
