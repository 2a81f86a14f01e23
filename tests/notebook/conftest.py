from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from tests.notebook.tables import fill


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    """A real IPython with fstk loaded, apart from all others, that leaves nothing in the user's history."""
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False, "hist_file": ":memory:"}))
    shell.run_line_magic("load_ext", "fstk")
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture
def filled(warehouse: Path) -> Path:
    """The warehouse with purchases and feature tables of them, made without a JVM."""
    fill(warehouse)
    return warehouse
