"""The endpoint as an ASGI application: :func:`create`. Single-threaded; the model and the store are called on the loop.

``fstk serve`` runs it in workers; any other ASGI server can run what ``create`` returns, which then follows its model's
alias, or its feature set, by itself.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from fstk.errors import FstkError, StoreUnavailable
from fstk.online.spec import spec_of
from fstk.serving.body import parse
from fstk.serving.deadline import DeadlinePassed, within
from fstk.serving.endpoint import Answer, Endpoint
from fstk.serving.log import Log
from fstk.serving.messages import EXPLAIN, LOG_EVERY, kept
from fstk.serving.metrics import CONTENT_TYPE, Metrics
from fstk.serving.openapi import Health, Refused, document
from fstk.serving.refusal import Refusal, bad
from fstk.serving.source import Served, Source
from fstk.tables.served_log import ServedLog

LARGEST = 16 * 2**20
"""Bytes of a body."""
_JSON = "application/json"
_STORE_EVERY, _GRANTS_EVERY = 0.5, 5.0  # seconds; a reader asks the store itself after one
_LOOK = 1.0  # seconds
_LONGEST = 60.0  # seconds between two attempts at a model that cannot be served
_log = logging.getLogger("fstk.serving")
_CLOSE = {"Connection": "close"}
_LATER = {"Retry-After": "1"}

Handler = Callable[[Request], Awaitable[Response]]


class Service:
    """What is served now; ``problems`` are what /health tells beside, ``closing`` lets every answer be the last of its
    connection."""

    def __init__(self, served: Served, deadline: float, most_waiting: int) -> None:
        self.metrics = Metrics()
        self.log: Log | None = None
        self.problems: list[str] = []
        self.closing = False
        self._deadline = deadline
        self._most_waiting = most_waiting
        self._waiting = self._arrived = 0
        self.served = served
        self._tell_model(1)

    def take_up(self, served: Served) -> None:
        """Serve another version from the next request on."""
        self._tell_model(0)
        self.served.endpoint.lookups.close()
        self.served = served
        self._tell_model(1)

    def _tell_model(self, value: int) -> None:
        endpoint = self.served.endpoint
        version = "" if endpoint.version is None else str(endpoint.version)
        self.metrics.model.labels(endpoint.name, version).set(value)

    async def invoke(self, request: Request) -> Response:
        """Answer a request for predictions, or feature vectors."""
        started = time.perf_counter()
        self._arrived += 1
        served = self.served
        try:
            self._admit(request, served)
            body = await self._body(request, started)
            response = await self._answered(served.endpoint, body, EXPLAIN in request.headers, started)
        except Refusal as refusal:
            response = _refused(refusal)
        status = str(response.status_code)
        self.metrics.requests.labels(status).inc()
        self.metrics.seconds.labels(status).observe(time.perf_counter() - started)
        if self.closing:
            response.headers["Connection"] = "close"
        return response

    async def _answered(self, endpoint: Endpoint, body: bytes, explained: bool, started: float) -> Response:
        self._waiting += 1
        try:
            if self._waiting > self._most_waiting:
                raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests are waiting", _LATER)
            await self._all_arrived()
            answer = self._computed(endpoint, body, explained, started)
            if self.log is not None:  # after this answer is under way
                took = time.perf_counter() - started
                asyncio.get_running_loop().call_soon(self.log.put, endpoint, answer, took)
            return self._told(answer)
        finally:
            self._waiting -= 1

    async def _all_arrived(self) -> None:
        """Let all that have come be counted before one of them is computed: a turn of uvloop takes one connection."""
        for _ in range(self._most_waiting):
            seen = self._arrived
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if seen == self._arrived:
                return

    def _computed(self, endpoint: Endpoint, body: bytes, explained: bool, started: float) -> Answer:
        try:
            left = self._deadline - (time.perf_counter() - started)
            return within(left, lambda: endpoint.answer(parse(body, endpoint.features.decimals), explained))
        except DeadlinePassed as error:
            endpoint.lookups.close()  # a connection may have been left in the middle of an answer
            raise Refusal(HTTPStatus.GATEWAY_TIMEOUT, "the deadline of a request has passed") from error
        except StoreUnavailable as error:
            _log.warning("503: %s", error)
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the online store does not answer", _LATER) from error
        except Refusal:
            raise
        except Exception as error:
            number = uuid.uuid4().hex
            _log.exception("500, id %s", number)
            reason = f"the model failed; its error is in the server's log under {number}"
            raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, reason) from error

    def _admit(self, request: Request, served: Served) -> None:
        served.door.admit(request)
        name = request.path_params.get("name", served.endpoint.name)
        if name != served.endpoint.name:
            raise Refusal(HTTPStatus.NOT_FOUND, "no endpoint of that name is served here")
        if not _is_json(request.headers.getlist("content-type")) or "content-encoding" in request.headers:
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the body must be {_JSON} in UTF-8, uncompressed")

    async def _body(self, request: Request, started: float) -> bytes:
        told = request.headers.get("content-length", "0")
        parts, size = [], int(told) if told.isdecimal() else 0
        if size > LARGEST:
            raise _too_large()
        size = 0
        try:
            async with asyncio.timeout(self._deadline - (time.perf_counter() - started)):
                async for part in request.stream():
                    size += len(part)
                    if size > LARGEST:
                        parts.clear()
                        raise _too_large()
                    parts.append(part)
        except TimeoutError as error:
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time", _CLOSE) from error
        except ClientDisconnect as error:
            raise bad("the body ended early") from error
        return b"".join(parts)

    def _told(self, answer: Answer) -> Response:
        metrics, featured = self.metrics, answer.featured
        found = featured.found
        metrics.store.observe(featured.store_seconds)
        for counted, counts in ((metrics.missing, found.missing), (metrics.expired, found.expired)):
            for table, number in counts.items():
                counted.labels(table).inc(number)
        for table, age in found.ages.items():
            metrics.age.labels(table).observe(age)
        headers = {
            "X-Fstk-Missing": str(found.missing.total()),
            "X-Fstk-Expired": str(found.expired.total()),
        }
        if featured.ignored:
            headers["X-Fstk-Ignored"] = str(featured.ignored)
        return Response(msgspec.json.encode(answer.told), 200, headers, _JSON)

    async def ping(self, _: Request) -> Response:
        """Answer that the process lives; asks neither store nor model."""
        return Response(b"{}", media_type=_JSON)

    async def health(self, _: Request) -> Response:
        """Answer whether requests can be served."""
        problems = list(self.problems)
        try:
            self._look()
            status = HTTPStatus.OK
        except FstkError as error:
            _log.warning("not healthy: %s", error)
            problems.insert(0, "the online store does not have the features, or does not answer")
            status = HTTPStatus.SERVICE_UNAVAILABLE
        word = "ok" if status == HTTPStatus.OK else "unavailable"
        endpoint = self.served.endpoint
        said = Health(word, endpoint.version, problems, **{endpoint.kind: endpoint.name})
        return Response(msgspec.json.encode(said), status, media_type=_JSON)

    async def measured(self, _: Request) -> Response:
        """Answer with all counts."""
        return Response(self.metrics.exposed(), media_type=CONTENT_TYPE)

    async def described(self, request: Request) -> Response:
        """Answer with the OpenAPI document, to who may ask anything."""
        served = self.served
        try:
            served.door.admit(request)
        except Refusal as refusal:
            return _refused(refusal)
        return Response(msgspec.json.encode(document(served.endpoint)), media_type=_JSON)

    def _look(self) -> None:
        """Ask the store what its tables are now. StoreUnavailable: it takes longer than all others, who wait for this
        one loop, should wait for that; and what the store raises."""
        lookups = self.served.endpoint.lookups
        try:
            within(min(_LOOK, self._deadline), lookups.refresh)
        except DeadlinePassed as error:
            lookups.close()
            raise StoreUnavailable("the online store does not answer.") from error

    async def keep_up(self) -> None:
        """Ask the store, and the catalog, again and again what is true now."""
        asked = time.monotonic()
        while True:
            await asyncio.sleep(_STORE_EVERY)
            try:
                self._look()
                if time.monotonic() - asked > _GRANTS_EVERY:
                    await asyncio.to_thread(self.served.door.refresh)
                    asked = time.monotonic()
            except Exception as error:  # noqa: BLE001 whatever it was, the next time may do
                _log.warning("%s", error)

    async def follow(self, source: Source, every: float) -> None:
        """Ask again and again which version is meant, and take that up; one that cannot be served leaves what is, and
        /health tells."""
        pause = every
        while True:
            await asyncio.sleep(pause)
            try:
                found = await asyncio.to_thread(source.find)
            except Exception as error:  # noqa: BLE001 whatever it was, the next time may do
                _log.warning("what is to be served cannot be looked up: %s", error)
                continue
            if found.version != self.served.endpoint.version:
                try:
                    self.take_up(await asyncio.to_thread(source.opened, found.subject, self.served.door))
                except Exception:  # noqa: BLE001 whatever it was, the next time may do
                    _log.exception("%s cannot be served", found.subject.called)
                    self.problems = [kept(found.subject.called)]
                    pause = min(2 * pause, _LONGEST)
                    continue
            self.problems = []
            pause = every


def create(
    model: str | None = None,
    *,
    features: str | None = None,
    store: str | None = None,
    registry_uri: str | None = None,
    deadline: float = 10.0,
    most_waiting: int = 100,
    every: float | None = 5.0,
    log_table: str | None = None,
) -> Starlette:
    """Return the application that answers for a model, or a feature set, with its lookups from an online store.

    Args:
        model: ``models:/name/version``, ``models:/name@alias`` or ``runs:/id/path``.
        features: in place of a model the name of a feature set, as ``create_feature_spec`` was given it.
        store: URL of the online store; None is the setting ``FSTK_ONLINE_STORE``.
        registry_uri: MLflow's registry; None is where MLflow is set to.
        deadline: seconds that a request may take.
        most_waiting: how many requests may wait for their turn; more are answered 503 at once.
        every: seconds between two questions whether the alias means another version now, or the name another set,
            which is then loaded beside the one that answers; None never asks.
        log_table: the name of a table to which every answer is appended, in batches, by a process beside.

    Raises:
        UnknownModel, UntrustedModel, UnknownName, InvalidInput: nothing that can be served.
        UnknownTable, UnknownColumn, TypeMismatch: a table is not online, or not as the model or set has it.
        StoreUnavailable: the store does not answer.

    In a module of one's own, ``app = create("models:/churn_model@champion")`` is what any ASGI server takes.
    """
    source = Source(model, features, registry_uri, spec_of(store))
    subject = source.find().subject
    following = source if source.moves(subject) else None
    log = None if log_table is None else ServedLog(log_table).name
    return application(source.opened(subject), deadline, most_waiting, log, source=following, every=every)


def application(
    served: Served,
    deadline: float,
    most_waiting: int,
    log_table: str | None = None,
    log_every: float = LOG_EVERY,
    source: Source | None = None,
    every: float | None = None,
) -> Starlette:
    """Return the application that answers for what is served, and what ``source`` means later; a batch for the log is
    written every ``log_every`` seconds. See :func:`create`."""
    service = Service(served, deadline, most_waiting)
    if log_table is not None:
        service.log = Log(log_table, log_every, service.metrics)

    @asynccontextmanager
    async def living(_: Starlette) -> AsyncIterator[None]:
        gc.collect()
        gc.freeze()  # what is here now stays; a collection need not go through it
        tasks = [asyncio.create_task(service.keep_up())]
        if source is not None and every is not None:
            tasks.append(asyncio.create_task(service.follow(source, every)))
        if service.log is not None:
            service.log.start()
        yield
        for task in tasks:
            task.cancel()
        if service.log is not None:
            await service.log.close()

    routes = [
        Route("/invocations", service.invoke, methods=["POST"]),
        Route("/serving-endpoints/{name}/invocations", service.invoke, methods=["POST"]),
        Route("/ping", service.ping),
        Route("/health", service.health),
        Route("/metrics", service.measured),
        Route("/openapi.json", service.described),
    ]
    app = Starlette(routes=routes, lifespan=living, exception_handlers={404: _plain, 405: _plain})
    app.state.service = service
    return app


def _too_large() -> Refusal:
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {LARGEST // 2**20} MiB")


def _plain(_: Request, error: Exception) -> Response:
    status = HTTPStatus(getattr(error, "status_code", HTTPStatus.NOT_FOUND))
    return _refused(Refusal(status, status.phrase.lower(), getattr(error, "headers", None)))


def _refused(refusal: Refusal) -> Response:
    said = Refused(refusal.status.name, refusal.reason)
    return Response(msgspec.json.encode(said), refusal.status, refusal.headers, _JSON)


def _is_json(types: list[str]) -> bool:
    kind, _, rest = types[0].partition(";") if len(types) == 1 else ("", "", "")
    options = [option.strip().lower() for option in rest.split(";")]
    charsets = [option for option in options if option.startswith("charset=")]
    return kind.strip().lower() == _JSON and all(
        one.replace('"', "") in ("charset=utf-8", "charset=utf8") for one in charsets
    )
