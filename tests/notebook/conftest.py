import gc
from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    """A real IPython with fstk loaded, apart from all others, that leaves nothing in the user's history."""
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False, "hist_file": ":memory:"}))
    shell.run_line_magic("load_ext", "fstk")
    yield shell
    InteractiveShell.clear_instance()
    gc.collect()
