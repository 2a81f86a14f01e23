"""An HTTP client of few words, over a real socket."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psutil

PATIENCE = 240.0
GOOD = {"customer_id": 1, "amount": 2.0, "cohort": "old", "region": "n"}


@dataclass(frozen=True)
class Said:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        return self.json["message"]


def ask(
    port: int,
    body: Any,
    token: str | None,
    *,
    path: str = "/invocations",
    headers: Mapping[str, str | None] | None = None,
    method: str = "POST",
) -> Said:
    """Ask over a new connection; a body that is not bytes is sent as JSON."""
    sent: dict[str, str | None] = {"Content-Type": "application/json"}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    sent |= headers or {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request(method, path, content, {name: value for name, value in sent.items() if value is not None})
        response = connection.getresponse()
        return Said(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def raw(port: int, *parts: bytes) -> bytes:
    """Send bytes as they are and return all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        try:
            for part in parts:
                connection.sendall(part)
        except OSError:
            pass  # it has closed
        got = b""
        try:
            while more := connection.recv(1 << 16):
                got += more
        except OSError:
            pass
        return got


def waited(found: Callable[[], Any]) -> Any:
    """Return what is found, in time."""
    pause, end = threading.Event(), time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < end
        pause.wait(0.2)
    return value


def worker_of(port: int) -> psutil.Process:
    """Return the one worker of the server on ``port``, both of which this process started."""
    for process in psutil.Process().children():
        if any(one.laddr.port == port for one in process.net_connections() if one.status == psutil.CONN_LISTEN):
            return next(child for child in process.children() if "fstk.serving.worker" in child.cmdline())
    raise AssertionError(port)


def flooded(port: int, token: str, memory: Callable[[], int]) -> tuple[int, bytes]:
    """Send a gigabyte in chunks, until the connection is closed; return the most that ``memory`` told meanwhile, and
    the beginning of the answer, which is empty where the end came first. AssertionError: all of it was taken."""
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}"
    part = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    most = 0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as flood:
        flood.sendall(f"{head}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(1024):
            try:
                flood.sendall(part)
            except OSError:
                break
            most = max(most, memory())
        else:
            raise AssertionError("a gigabyte was taken")
        try:
            return most, flood.recv(1000)
        except OSError:
            return most, b""


def records(*rows: Mapping[str, Any]) -> dict[str, Any]:
    return {"dataframe_records": list(rows)}
