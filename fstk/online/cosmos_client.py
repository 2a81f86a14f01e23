"""The clients of Azure Cosmos DB's accounts: one for each login of this process, how many of its requests are under
way, and what an answer that is none means."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http import HTTPStatus
from threading import Condition, Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from fstk.errors import AccessDenied
from fstk.optional import need
from fstk.secret import Secret, azure_login

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError
    from azure.cosmos import ContainerProxy, CosmosClient

WORKERS = 10
"""Requests under way at once at most: as many as the client keeps connections."""
_CONNECT_SECONDS, _ANSWER_SECONDS = 5, 15
_PAGE = 1_000  # items of a query's answer
NO_CONTAINER = 1003  # says a 404 of what is in it; any other such code says that the item may well be there
_BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GONE, HTTPStatus.TOO_MANY_REQUESTS, 449}  # and all from 500 on


class Answer(NamedTuple):
    """What was answered to a request, and what it cost; ``body`` None where the answer is a code that was expected."""

    status: int
    body: Any
    units: float


class Page(NamedTuple):
    """A page of a query's answer, and what asks for the next."""

    items: list[Any]
    token: str | None
    headers: Mapping[str, str]

    def get_response_headers(self) -> Mapping[str, str]:
        return self.headers


class Client:
    """The client of one account by one login, for all stores of this process; its workers, and how many may ask at
    once: half as many after a refusal, one more after as many answers as there may be."""

    def __init__(self, uri: str, secret: Secret | None) -> None:
        self.pool = ThreadPoolExecutor(WORKERS, "fstk-cosmos")
        self.succeeded = 0.0
        self.refusal: AzureError | None = None  # since then
        self._uri, self._secret = uri, secret
        self._azure: CosmosClient | None = None
        self._connecting = Lock()
        self._changed = Condition()
        self._limit, self._asking = float(WORKERS), 0
        self._pause_ends, self._refusals = 0.0, 0

    def azure(self) -> CosmosClient:
        with self._connecting:
            if self._azure is None:
                self._azure = self._login()
            return self._azure

    def _login(self) -> CosmosClient:
        made = need("azure.cosmos").CosmosClient
        login = azure_login() if self._secret is None else self._secret.reveal()
        try:
            # All waiting is ours: the client's own sleeps in a worker, and knows nothing of the other workers.
            return made(
                self._uri,
                login,
                retry_total=0,
                retry_throttle_total=-1,
                connection_timeout=_CONNECT_SECONDS,
                read_timeout=_ANSWER_SECONDS,
                no_response_on_write=True,
            )
        except ValueError:
            if self._secret is None:
                raise
            raise AccessDenied(f"what {self._secret.reference} holds is no key of {self._uri}.") from None

    def container(self, database: str, container: str) -> ContainerProxy:
        return self.azure().get_database_client(database).get_container_client(container)

    def renew(self) -> None:
        """Log in anew for the next request: keys are changed while a process lives."""
        with self._connecting:
            self._azure = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until one more may ask."""
        with self._changed:
            while self._asking >= int(self._limit) or (pause := self._pause_ends - time.monotonic()) > 0:
                self._changed.wait(None if self._asking >= int(self._limit) else pause)
            self._asking += 1
        try:
            yield
        finally:
            with self._changed:
                self._asking -= 1
                self._changed.notify_all()

    def let_through(self) -> None:
        with self._changed:
            self.succeeded = time.monotonic()
            self.refusal = None
            self._limit = min(WORKERS, self._limit + 1 / self._limit)
            self._refusals = 0

    def pause(self, error: AzureError, until: float) -> bool:
        """Let nobody ask for as long as the service says, or for a moment; False where that ends after ``until``."""
        now = time.monotonic()
        with self._changed:
            self.refusal = error
            if now >= self._pause_ends:  # those that were under way were refused with the first
                self._limit = max(1.0, self._limit / 2)
                self._refusals += 1
            moment = min(2.0, 0.025 * 2**self._refusals) * random.uniform(0.5, 1)
            told = headers_of(error).get("x-ms-retry-after-ms")
            ends = now + (moment if told is None else float(told) / 1_000)
            if ends > until:
                return False
            self._pause_ends = max(self._pause_ends, ends)
            return True


_CLIENTS: dict[tuple[int, str, Secret | None], Client] = {}
_CLIENTS_LOCK = Lock()


def client_of(uri: str, secret: Secret | None) -> Client:
    known = os.getpid(), uri, secret  # a process that was forked has none of its parent's connections and threads
    with _CLIENTS_LOCK:
        if known not in _CLIENTS:
            _CLIENTS[known] = Client(uri, secret)
        return _CLIENTS[known]


def page_of(
    query: str, parameters: list[dict[str, Any]], part: dict[str, Any], token: str | None, container: ContainerProxy
) -> Page:
    heads: list[Mapping[str, str]] = []  # the client's own token is of whichever thread asked last
    asked: Any = container.query_items(
        query,
        parameters=parameters,
        feed_range=part,
        max_item_count=_PAGE,
        response_hook=lambda headers, _: heads.append(headers),
    )
    items = list(next(asked.by_page(token), ()))
    units = sum(float(head.get("x-ms-request-charge", 0)) for head in heads)
    return Page(items, heads[-1].get("x-ms-continuation"), {"x-ms-request-charge": str(units)})


def headers_of(answer: Any) -> Mapping[str, str]:
    """Return the headers of an answer or an error, as far as it has any."""
    found = getattr(answer, "get_response_headers", dict)() or getattr(answer, "headers", None)
    return found or {}


def status_of(error: AzureError) -> int:
    """Return the code of an answer, 0 where there was none."""
    return getattr(error, "status_code", None) or 0


def detail_of(error: AzureError) -> int:
    """Return what a 404 says beside its code, 0 where that is all."""
    return (status_of(error) == HTTPStatus.NOT_FOUND and getattr(error, "sub_status", None)) or 0


def passes(error: AzureError, status: int) -> bool:
    """Whether the same request may be answered later."""
    if detail_of(error):
        return detail_of(error) != NO_CONTAINER
    if status:
        return status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return not no_login(error) and "CERTIFICATE_VERIFY_FAILED" not in str(error)


def no_login(error: AzureError) -> bool:
    from azure.core.exceptions import ClientAuthenticationError

    return isinstance(error, ClientAuthenticationError)


def said_of(error: AzureError, status: int) -> str:
    """Return what was answered, on one line."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "its certificate is not signed by anybody that is trusted here (REQUESTS_CA_BUNDLE names whom to trust)"
    text = str(getattr(error, "http_error_message", None) or error)
    with suppress(ValueError, AttributeError):
        text = json.loads(text).get("message", text)
    line = (text.strip().splitlines() or [""])[0][:200].rstrip(".")
    known = [f"{status} {HTTPStatus(status).phrase}"] if status in list(HTTPStatus) else []
    return ", ".join([*known, *([line] if line else [])])
