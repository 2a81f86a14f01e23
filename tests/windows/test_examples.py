"""The examples that Jupyter shows beside each name: they run as they stand, without a JVM."""

from __future__ import annotations

import doctest
import importlib
import inspect

import pytest

from fstk.windows.presets import create_time_windowed_features
from fstk.windows.spec import Aggregate, Calendar, WindowedFeatures

_MODULES = ("fstk.windows.spec", "fstk.windows.calendar", "fstk.windows.presets", "fstk.columns.length")


@pytest.mark.parametrize("module", [*_MODULES, "fstk.columns.instants", "fstk.columns.arrays"])
def test_examples_run(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize(
    "public",
    [
        Aggregate,
        Calendar,
        WindowedFeatures,
        WindowedFeatures.plan,
        WindowedFeatures.compute,
        WindowedFeatures.report,
        create_time_windowed_features,
    ],
)
def test_what_people_call_has_an_example(public: object) -> None:
    assert ">>>" in (inspect.getdoc(public) or "")
