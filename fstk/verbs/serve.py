"""What ``fstk serve`` asks for, and what it says once it serves."""

from __future__ import annotations

from dataclasses import dataclass

from fstk.display import plural
from fstk.optional import need
from fstk.serving.messages import Ready
from fstk.serving.supervisor import Serving, serve
from fstk.serving.tokens import Tokens


@dataclass(frozen=True)
class ServeRequest:
    """An endpoint as it was asked for; a store of None is the settings'."""

    model: str
    store: str | None
    host: str
    port: int
    workers: int

    def run(self) -> None:
        """Serve until a signal says to end; raises as :func:`fstk.serving.supervisor.serve`."""
        for package in ("starlette", "uvicorn", "prometheus_client", "mlflow"):
            need(package)
        print(f"loading {self.model} …", flush=True)
        serve(Serving(self.model, self.store, self.host, self.port, self.workers), _announce)


def _announce(address: str, ready: Ready) -> None:
    version = "" if ready.version is None else f" v{ready.version}"
    read = f"{plural(ready.tables, 'table')}, {plural(ready.features, 'feature')}, 1 round trip"
    print(f"serving {ready.name}{version} on {address}      {read}      stop: Ctrl-C", flush=True)
    if not Tokens().list():
        print("no token opens it yet.   fstk token new NAME", flush=True)
