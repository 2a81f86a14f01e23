"""An open loop: each request has its moment, and its latency counts from that, whatever the requests before it took."""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

_CONNECTIONS = 64
_PATIENCE = 30.0  # seconds after the last moment


@dataclass
class Answers:
    """Seconds from each request's moment to its whole answer of status 200, how many answers had each status, 0 being
    none, and the last one's body."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    last: bytes = b""

    @property
    def failed(self) -> int:
        """How many requests were answered otherwise than by 200."""
        return self.statuses.total() - self.statuses[HTTPStatus.OK]


def called(call: Callable[[], object], count: int, rate: float) -> Answers:
    """Call a function ``count`` times, ``rate`` times a second."""
    answers, start = Answers(), time.perf_counter() + 0.01
    for number in range(count):
        due = start + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        call()
        answers.seconds.append(time.perf_counter() - due)
    answers.statuses[HTTPStatus.OK] = count
    return answers


def asked(port: int, requests: Sequence[bytes], rate: float, each: Callable[[], object] = lambda: None) -> Answers:
    """Send HTTP requests, ``rate`` a second, over at most 64 connections that are kept; ``each`` is called about every
    second."""
    # Not epoll, which counts its time-outs in whole milliseconds.
    with selectors.SelectSelector() as selector:
        loop = _Loop(port, requests, rate, selector)
        told = time.perf_counter()
        while not loop.finished():
            loop.turn()
            if time.perf_counter() - told > 1:
                each()
                told = time.perf_counter()
        for key in list(selector.get_map().values()):
            key.data.socket.close()
    return loop.answers


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self.got = b""

    def send(self, due: float, request: bytes) -> None:
        self.due, self.got = due, b""
        self.socket.sendall(request)

    def answer(self) -> tuple[int, bool] | None:
        """Take what has come; return the status of a whole answer, and whether the connection goes on. OSError: it
        broke."""
        part = self.socket.recv(1 << 16)
        if not part:
            raise ConnectionResetError("the server closed the connection")
        self.got += part
        head, found, body = self.got.partition(b"\r\n\r\n")
        if not found:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if len(body) < int(headers["content-length"]):
            return None
        return int(first.split()[1]), headers.get("connection", "").lower() != "close"


class _Loop:
    def __init__(self, port: int, requests: Sequence[bytes], rate: float, selector: selectors.BaseSelector) -> None:
        self.answers = Answers()
        self._port, self._requests, self._rate, self._selector = port, requests, rate, selector
        self._start = time.perf_counter() + 0.01
        self._sent = 0
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._idle: list[_Connection] = []

    def finished(self) -> bool:
        """Whether all are answered, or given up."""
        left = len(self._requests) - self.answers.statuses.total()
        if left and time.perf_counter() > self._due(len(self._requests)) + _PATIENCE:
            self.answers.statuses[0] += left
            return True
        return not left

    def turn(self) -> None:
        """Send what is due, and hear what has come until more is."""
        while self._sent < len(self._requests) and time.perf_counter() >= self._due(self._sent):
            self._waiting.append((self._due(self._sent), self._requests[self._sent]))
            self._sent += 1
        while self._waiting and (one := self._free()):
            try:
                one.send(*self._waiting.popleft())
            except OSError:
                self._end(one, 0)
        next_due = self._due(self._sent) if self._sent < len(self._requests) else time.perf_counter() + 0.1
        for key, _ in self._selector.select(max(0.0, next_due - time.perf_counter())):
            self._hear(key.data)

    def _due(self, number: int) -> float:
        return self._start + number / self._rate

    def _free(self) -> _Connection | None:
        if self._idle:
            return self._idle.pop()
        if len(self._selector.get_map()) >= _CONNECTIONS:
            return None
        made = _Connection(self._port)
        self._selector.register(made.socket, selectors.EVENT_READ, made)
        return made

    def _hear(self, one: _Connection) -> None:
        idle = one in self._idle
        try:
            answer = one.answer()
        except OSError:
            answer = (0, False)
        if answer is None:
            return
        status, goes_on = answer
        if idle:
            self._idle.remove(one)
            self._end(one, None)
            return
        if status == HTTPStatus.OK:
            self.answers.last = one.got.partition(b"\r\n\r\n")[2]
            self.answers.seconds.append(time.perf_counter() - one.due)
        if goes_on:
            self.answers.statuses[status] += 1
            self._idle.append(one)
        else:
            self._end(one, status)

    def _end(self, one: _Connection, status: int | None) -> None:
        """Close a connection, whose request, if it had one, ended with ``status``."""
        if status is not None:
            self.answers.statuses[status] += 1
        self._selector.unregister(one.socket)
        one.socket.close()
