"""The interactive entry: magics, pictures, completion and widgets; each parses, shows and delegates."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fstk.optional import need

if TYPE_CHECKING:
    from fstk.notebook.widgets.joining import JoinPreview
    from fstk.notebook.widgets.publishing import PublishPanel
    from fstk.notebook.widgets.serving import ServingPanel
    from fstk.notebook.widgets.windowing import WindowBuilder

__all__ = ["JoinPreview", "PublishPanel", "ServingPanel", "WindowBuilder"]

_HOMES = {
    "JoinPreview": "joining",
    "PublishPanel": "publishing",
    "ServingPanel": "serving",
    "WindowBuilder": "windowing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fstk.notebook' has no attribute {name!r}")
    need("ipywidgets")
    value = getattr(importlib.import_module(f"fstk.notebook.widgets.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
