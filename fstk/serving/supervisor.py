"""``fstk serve``: workers on one socket, kept alive, and replaced one by one when the model's alias moves.

A worker that cannot be started leaves the others as they are: they go on with what they serve, and /health tells why.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import msgspec

from fstk.errors import FstkError, Infrastructure, InvalidInput
from fstk.online.spec import spec_of
from fstk.serving.messages import LOG_EVERY, METRICS, News, Order, Ready, Subject, kept
from fstk.serving.source import Source
from fstk.tables.served_log import ServedLog

_THREADS = "OMP_NUM_THREADS"  # of one row more threads make no less time, but wait for each other
_TICK = 0.2  # seconds
_AGAIN, _LONGEST = 5.0, 60.0  # seconds until a start that failed is tried again, twice as long each time
_PATIENCE = 600.0  # seconds until a worker that says nothing is given up


@dataclass(frozen=True)
class Serving:
    """What ``fstk serve`` was asked for: a model by its address or a feature set by its name; ``port`` 0 is any free
    one, ``every`` are the seconds between two questions whether the model, or the set, is another now; each answer is
    appended to ``log_table``, in batches of ``log_every`` seconds."""

    model: str | None = None
    features: str | None = None
    store: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 2
    deadline: float = 10.0
    most_waiting: int = 100
    every: float = 5.0
    log_table: str | None = None
    log_every: float = LOG_EVERY

    @property
    def called(self) -> str:
        """What was asked for, in messages."""
        return self.model or f"feature spec {self.features}"


class _Failed(Exception):
    """Why a worker does not serve, in the worker's words."""

    def __init__(self, said: Ready) -> None:
        super().__init__(said.error)
        self.said = said


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    subject: Subject
    started: float = field(default_factory=time.monotonic)
    ready: Ready | None = None
    leaving: bool = False

    def tell(self, message: msgspec.Struct) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):  # it has ended, as will be seen
            self.process.stdin.write(msgspec.json.encode(message) + b"\n")
            self.process.stdin.flush()

    def leave(self) -> None:
        self.leaving = True
        self.process.terminate()


def serve(asked: Serving, announce: Callable[[Ready], None], until: int | None = None) -> None:
    """Serve until SIGINT or SIGTERM, or the end of the file descriptor ``until``; ``announce`` is called with what is
    served, once it is.

    Raises:
        InvalidInput, TableExists: no such number of workers, or host, or log. Infrastructure: the port is taken.
        FstkError, in the words of a worker: what was asked for cannot be served.
    """
    if not 1 <= asked.workers <= 64:
        raise InvalidInput(f"--workers is a number from 1 to 64; got {asked.workers}.")
    if asked.log_table is not None:
        asked = replace(asked, log_table=ServedLog(asked.log_table).name)
    with _listening(asked) as listening, tempfile.TemporaryDirectory(prefix="fstk-serving-") as metrics:
        Supervisor(asked, listening, metrics, until).run(announce)


@contextmanager
def _listening(asked: Serving) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in asked.host else socket.AF_INET
    try:
        made = socket.create_server((asked.host, asked.port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Infrastructure(
            f"cannot listen on {asked.host} port {asked.port}: {reason}. Another: --port N, or 0 for any that is free."
        ) from error
    with made:
        made.setblocking(False)
        yield made


class Supervisor:
    """The workers of one ``fstk serve``, in one loop without threads."""

    def __init__(self, asked: Serving, listening: socket.socket, metrics: str, until: int | None) -> None:
        self._asked = asked
        self._listening = listening
        self._metrics = metrics
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        if until is not None:
            self._selector.register(until, selectors.EVENT_READ)
        self._wanted: int | str | None = None  # the version that is to be served, None where there is none
        self._newest = self._served = Subject(asked.called, asked.model or "")  # of that version; what served last
        self._problems: tuple[str, ...] = ()
        self._pause, self._next_start, self._next_look = _AGAIN, 0.0, 0.0
        self._stopping = False
        self._source = Source(asked.model, asked.features, None, spec_of(asked.store))

    def run(self, announce: Callable[[Ready], None]) -> None:
        """Serve until a signal says to end; see :func:`serve`."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            if self._asked.features is not None:
                self._newest = self._source.find().subject
            for _ in range(self._asked.workers):
                self._start(self._newest)
            while not self._stopping and not all(worker.ready for worker in self._workers):
                self._listen(first=True)
            if not self._stopping:
                host, port = self._listening.getsockname()[:2]
                ready = self._workers[0].ready
                assert ready is not None
                address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
                announce(msgspec.structs.replace(ready, address=address))
                self._wanted = ready.version
                if self._asked.model is not None and ready.version is not None:
                    pinned = f"models:/{ready.name}/{ready.version}"
                    self._newest = Subject(pinned, pinned)
                self._served = self._newest
            while not self._stopping:
                self._listen(first=False)
                self._look()
                self._mend()
        except _Failed as failed:
            raise failed.said.failure() from failed
        finally:
            self._end()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _start(self, subject: Subject) -> None:
        fd = self._listening.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "fstk.serving.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[fd],
            env={_THREADS: "1"} | os.environ | {METRICS: self._metrics},
        )
        worker = _Worker(process, subject)
        self._workers.append(worker)
        assert process.stdout is not None
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        asked = self._asked
        order = Order(subject, asked.store, fd, asked.deadline, asked.most_waiting, asked.log_table, asked.log_every)
        worker.tell(order)

    def _listen(self, first: bool) -> None:
        """Hear what workers say, and see who has ended. _Failed, of the ``first`` workers alone: one cannot serve."""
        for key, _ in self._selector.select(_TICK):
            if key.data is None:
                self._stopping = True  # who asked for it is gone, or says so
                self._selector.unregister(key.fileobj)
                continue
            worker: _Worker = key.data
            line = key.fileobj.readline()  # type: ignore[union-attr]
            said = msgspec.json.decode(line, type=Ready) if line else None
            if said is not None and not said.error:
                worker.ready = said
                worker.tell(News(self._problems))
                self._pause = _AGAIN
                continue
            self._lose(worker)
            if worker.leaving:
                continue
            if worker.ready:
                print(
                    f"a worker ended with {worker.process.returncode}; another is started", file=sys.stderr, flush=True
                )
                continue
            said = said or Ready(error=f"a worker ended with {worker.process.returncode} while it started", exit_code=4)
            if first:
                raise _Failed(said)
            self._fail(worker, said.error)
        for worker in self._workers:
            if worker.ready is None and time.monotonic() - worker.started > _PATIENCE:
                worker.process.kill()

    def _lose(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        self._selector.unregister(worker.process.stdout)
        worker.process.wait()
        worker.process.stdout.close()
        if worker.process.stdin is not None:
            with suppress(OSError):
                worker.process.stdin.close()
        self._workers.remove(worker)

    def _fail(self, worker: _Worker, why: str) -> None:
        print(f"{worker.subject.called} cannot be served: {why}", file=sys.stderr, flush=True)
        self._next_start = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST)
        self._tell((kept(worker.subject.called),))

    def _tell(self, problems: tuple[str, ...]) -> None:
        self._problems = problems
        for worker in self._workers:
            if worker.ready:
                worker.tell(News(problems))

    def _look(self) -> None:
        """Find out, now and then, which version the model's address, or the set's name, means."""
        fixed = self._wanted is None or (self._asked.model or "").endswith(f"/{self._wanted}")
        if fixed or time.monotonic() < self._next_look:
            return
        try:
            found, newest = self._source.find()
        except FstkError as error:
            print(f"{self._asked.called} cannot be looked up: {error}", file=sys.stderr, flush=True)
            found, newest = self._wanted, self._newest
        self._next_look = time.monotonic() + self._asked.every
        if found != self._wanted:
            self._wanted, self._newest, self._next_start, self._pause = found, newest, 0.0, _AGAIN
            self._tell(())

    def _mend(self) -> None:
        """Start a worker where one is missing or serves another version, and end those that are too many."""
        staying = [worker for worker in self._workers if not worker.leaving]
        serving = [worker for worker in staying if worker.ready]
        old = [worker for worker in serving if worker.ready and worker.ready.version != self._wanted]
        if len(serving) > self._asked.workers and old:
            old[0].leave()
        elif len(staying) > len(serving) or time.monotonic() < self._next_start:
            return
        elif len(serving) < self._asked.workers and self._problems:
            self._start(self._served)
        elif old or len(serving) < self._asked.workers:
            self._start(self._newest)
        else:
            self._served = self._newest
            if self._problems:
                self._tell(())

    def _end(self) -> None:
        for worker in self._workers:
            worker.leave()
        end = time.monotonic() + self._asked.deadline + 10
        for worker in list(self._workers):
            try:
                worker.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
            self._lose(worker)
        self._selector.close()


def main() -> int:
    """Serve what the first line of standard input asks for, until that ends; tell on standard output what is served."""
    with open(0, "rb", buffering=0, closefd=False) as orders:
        asked = msgspec.json.decode(orders.readline(), type=Serving)
    try:
        serve(asked, lambda ready: print(msgspec.json.encode(ready).decode(), flush=True), until=0)
    except FstkError as error:
        print(msgspec.json.encode(Ready(error=str(error), exit_code=error.exit_code)).decode(), flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
