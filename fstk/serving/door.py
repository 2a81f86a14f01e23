"""Who is let in: a bearer token, and SELECT on every table that is read for an answer."""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from http import HTTPStatus

from starlette.requests import Request

from fstk.errors import FstkError, UnknownTable
from fstk.serving.refusal import Refusal
from fstk.serving.tokens import Token, Tokens
from fstk.tables.catalog import Catalog
from fstk.tables.grants import may_select
from fstk.tables.spec import NOBODY, Grants

_IN_THE_ADDRESS = {"access_token", "token"}
_FREE = 10  # failures in a row before a client is told to wait
_LONGEST = 60.0  # seconds
_CLIENTS = 10_000  # that are remembered
_log = logging.getLogger("fstk.serving")


class Door:
    """Knows the tokens, what the catalog grants on ``tables``, and who fails again and again.

    UnknownTable: the catalog lacks one of the tables, so that it can say nothing of who may read it."""

    def __init__(self, tokens: Tokens, catalog: Catalog, tables: list[str]) -> None:
        self._tokens = tokens
        self._catalog = catalog
        self._grants = {name: catalog.grants(name) for name in tables}
        self._failures = _Failures()

    def of(self, tables: list[str]) -> Door:
        """Return the door to other tables, which knows the same tokens and failures; raises as the class."""
        other = Door(self._tokens, self._catalog, tables)
        other._failures = self._failures
        return other

    def refresh(self) -> None:
        """Ask the catalog again; a table that is gone is nobody's to read. Raises what the catalog raises."""
        self._grants = {name: self._asked(name) for name in self._grants}

    def admit(self, request: Request) -> None:
        """Raise the Refusal of a request without a valid token (401; 429 after many), or of one whose principal may not
        read a table (403). A valid token is let in whatever others at the same address do."""
        client = request.client.host if request.client else ""
        holder = self._holder(request)
        if holder is None:
            self._refuse(client)
        else:
            self._failures.forget(client)
            if not all(may_select(grants, holder.principal, holder.groups) for grants in self._grants.values()):
                reason = "this principal may not SELECT from every table that is read for an answer; see fstk grant -h"
                raise Refusal(HTTPStatus.FORBIDDEN, reason)

    def _holder(self, request: Request) -> Token | None:
        given = request.headers.getlist("authorization")
        if len(given) != 1 or not _IN_THE_ADDRESS.isdisjoint(name.lower() for name in request.query_params):
            return None
        scheme, _, shown = given[0].partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            return self._tokens.holder(shown.strip())
        except FstkError as error:
            _log.error("tokens cannot be read: %s", error)
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "tokens cannot be read", {"Retry-After": "10"}) from error

    def _refuse(self, client: str) -> None:
        wait = self._failures.note(client, time.monotonic())
        if wait > 0:
            headers = {"Retry-After": str(math.ceil(wait))}
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too many requests without a valid token", headers)
        reason = "a valid token is needed, in the header Authorization: Bearer …"
        raise Refusal(HTTPStatus.UNAUTHORIZED, reason, {"WWW-Authenticate": "Bearer"})

    def _asked(self, name: str) -> Grants:
        try:
            return self._catalog.grants(name)
        except UnknownTable:
            return NOBODY


class _Failures:
    """How often each client failed in a row, and until when it is to wait: a second, then twice as long each time."""

    def __init__(self) -> None:
        self._by_client: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def note(self, client: str, now: float) -> float:
        """Count a failure; return how many seconds the client has to wait, 0 while it may try again."""
        count, until = self._by_client.pop(client, (0, 0.0))
        if now < until:
            self._by_client[client] = count, until
            return until - now
        count += 1
        pause = 0.0 if count < _FREE else min(_LONGEST, 2.0 ** (count - _FREE))
        self._by_client[client] = count, now + pause
        while len(self._by_client) > _CLIENTS:
            self._by_client.popitem(last=False)
        return 0.0

    def forget(self, client: str) -> None:
        """Begin again with a client that had a valid token."""
        self._by_client.pop(client, None)
