"""Stores in turn."""

from tests.stores import adapter, share, spec, store  # noqa: F401  fixtures
