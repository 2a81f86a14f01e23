"""MLflow's own scoring server on a free port of the loopback interface."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlflow.pyfunc import scoring_server

from tests.processes import server


@contextmanager
def mlflow_server(model: str, env: Mapping[str, str], folder: Path) -> Iterator[int]:
    """Serve the model at an address such as ``models:/churn/1`` as ``mlflow models serve`` does; yield the port."""
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--port",
        "0",
        "--log-level",
        "info",
        "mlflow.pyfunc.scoring_server.app:app",
    ]
    with server(command, r"running on .*:(\d+)", {**env, scoring_server._SERVER_MODEL_PATH: model}, folder) as port:
        yield port
