from tests.notebook.conftest import filled, shell

__all__ = ["filled", "shell"]
