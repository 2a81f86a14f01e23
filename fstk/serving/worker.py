"""One worker of ``fstk serve``: a process that loads the model, says so, and answers on the socket it was given.

It reads JSON lines from its standard input: what to serve, then what the supervisor has to tell; the end of the input
is the end of the supervisor, and of the worker. It writes one line, that it is ready or why not.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fstk.errors import FstkError
from fstk.online.spec import spec_of
from fstk.serving.app import Service, application
from fstk.serving.messages import News, Order, Ready
from fstk.serving.source import opened

_IDLE = 2.0  # seconds in which a client that keeps its connection is told to make a new one
_HEAD = 64 * 1024  # bytes of a request before its body
_HEAD_SECONDS = 10.0
_WASTE = 64 * 2**20  # bytes of a body after its refusal
_KEEP_ALIVE = 30
_ORDERS = 0  # the file descriptor of the standard input


class Patient(HttpToolsProtocol):
    """uvicorn's own protocol, for which a request that does not come to its body is neither endless nor large."""

    _giving_up: asyncio.TimerHandle | None = None
    _head = 0
    _waste = 0
    _answered = False  # before all of the body had come

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._be_patient()

    def data_received(self, data: bytes) -> None:
        if self._giving_up is not None and not self._answered and self._head > _HEAD:
            self.transport.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n")
            self.transport.close()
            return
        super().data_received(data)
        self._head += len(data)

    def on_message_begin(self) -> None:
        self._answered = False
        self._be_patient()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._calm()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Let a client that was refused finish, so that it reads why; for a while."""
        super().on_body(body)
        if self.cycle.response_complete:
            if not self._answered:
                self._answered, self._waste = True, 0
                self._be_patient()
            self._waste += len(body)
            if self._waste > _WASTE:
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)

    def _be_patient(self) -> None:
        self._calm()
        self._head = 0
        self._giving_up = self.loop.call_later(_HEAD_SECONDS, self.transport.close)

    def _calm(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None


class Server(uvicorn.Server):
    """uvicorn's own server, which ends without resetting a connection: it takes no new ones, lets the answers under way
    be the last of theirs, and closes the idle ones after a while."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._leaving = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._leaving.set)

    async def run_until_told(self, listening: socket.socket, ready: Callable[[], object]) -> None:
        """Serve on ``listening`` until the supervisor ends, or says so by SIGTERM; call ``ready`` when it is served."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(_ORDERS, self._hear)
        ending = asyncio.create_task(self._end())
        serving = asyncio.create_task(self.serve(sockets=[listening]))
        while not self.started and not serving.done():
            await asyncio.sleep(0.01)
        ready()
        await serving
        ending.cancel()

    async def _end(self) -> None:
        await self._leaving.wait()
        self._service.closing = True
        for server in self.servers:
            server.close()
        end = self._loop.time() + _IDLE
        while self.server_state.connections and self._loop.time() < end:
            await asyncio.sleep(0.02)
        self.should_exit = True

    def _hear(self) -> None:
        told = os.read(_ORDERS, 1 << 16)
        if not told:
            self._loop.remove_reader(_ORDERS)
            self._leaving.set()
            return
        self._service.problems = list(msgspec.json.decode(told.splitlines()[-1], type=News).problems)


def main() -> int:
    """Be a worker."""
    said = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a model prints is no word of ours
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of Ctrl-C the supervisor makes an end in good order
    with open(_ORDERS, "rb", buffering=0, closefd=False) as orders:
        order = msgspec.json.decode(orders.readline(), type=Order)
    try:
        served = opened(order.subject, spec_of(order.store))
    except FstkError as error:
        refused = Ready(error=str(error), exit_code=error.exit_code)
        said.write(msgspec.json.encode(refused) + b"\n")
        return error.exit_code
    # another version is another worker's
    app = application(served, order.deadline, order.most_waiting, order.log_table, order.log_every)
    service: Service = app.state.service
    config = uvicorn.Config(
        app,
        http=Patient,
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=int(order.deadline) + 5,
    )
    endpoint = served.endpoint
    lookups, features = endpoint.lookups, endpoint.features
    example, columns = features.example(), features.keys | features.required
    ready = Ready(endpoint.name, endpoint.version, len(lookups.tables), lookups.features, example, columns)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        server = Server(config, service)
        listening = socket.socket(fileno=order.fd)
        runner.run(server.run_until_told(listening, partial(said.write, msgspec.json.encode(ready) + b"\n")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
