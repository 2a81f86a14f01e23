"""What ``fstk serve`` asks for, and what it says once it serves."""

from __future__ import annotations

import json
from dataclasses import dataclass

from fstk.display import Displayed, Sheet, plural
from fstk.optional import need
from fstk.serving import beside
from fstk.serving.messages import Ready
from fstk.serving.supervisor import Serving, serve
from fstk.serving.tokens import Tokens


@dataclass(frozen=True, repr=False)
class Served(Displayed):
    """An endpoint that answers, and how it is asked."""

    ready: Ready
    stop: str

    def display(self) -> Sheet:
        ready = self.ready
        version = f" v{ready.version}" if isinstance(ready.version, int) else ""
        read = f"{plural(ready.tables, 'table')}, {plural(ready.features, 'feature')}, 1 round trip"
        title = f"serving {ready.name}{version} on {ready.address}      stop: {self.stop}\n{read}"
        none = [] if Tokens().list() else ["no token opens it yet.   export FSTK_TOKEN=$(fstk token new NAME --only)"]
        return Sheet(title, (), (), [*none, *self.lines])

    @property
    def lines(self) -> list[str]:
        """A line for a terminal and one for Python that ask for an answer."""
        body = json.dumps({"dataframe_records": [self.ready.example]})
        address = f"{self.ready.address}/invocations"
        curl = f"curl {address} -H 'Authorization: Bearer '$FSTK_TOKEN -H 'Content-Type: application/json' -d '{body}'"
        return [
            curl,
            f"requests.post('{address}', headers={{'Authorization': f'Bearer {{token}}'}}, json={body}).json()",
        ]


@dataclass(frozen=True, repr=False)
class Stopped(Displayed):
    """How many endpoints were stopped."""

    number: int

    def display(self) -> Sheet:
        return Sheet(f"{plural(self.number, 'endpoint')} stopped", (), ())


@dataclass(frozen=True)
class ServeRequest:
    """An endpoint as it was asked for, of a model or a feature set; a store of None is the settings'."""

    model: str | None
    features: str | None
    store: str | None
    host: str
    port: int
    workers: int
    log_table: str | None

    def run(self) -> None:
        """Serve until a signal says to end; raises as :func:`fstk.serving.supervisor.serve`."""
        serve(self._ready(), lambda ready: print("\n".join(_spoken(Served(ready, "Ctrl-C"))), flush=True))

    def beside(self) -> Served:
        """Serve in a process beside this one until it ends, or :func:`stop`; raises as
        :func:`fstk.serving.beside.start`."""
        return Served(beside.start(self._ready()), "%fstk serve --stop")

    def _ready(self) -> Serving:
        need("starlette")
        need("uvicorn")
        need("prometheus_client")
        need("mlflow")
        asked = Serving(
            self.model, self.features, self.store, self.host, self.port, self.workers, log_table=self.log_table
        )
        print(f"loading {asked.called} …", flush=True)
        return asked


def stop() -> Stopped:
    """Stop the endpoints beside this notebook."""
    return Stopped(beside.stop())


def _spoken(served: Served) -> list[str]:
    sheet = served.display()
    return [sheet.title, *sheet.notes]
