"""Stores in turn."""

from tests.stores import share, spec, store  # noqa: F401  fixtures
