"""Online rows in one container of Azure Cosmos DB (its API for NoSQL): for production on Azure, one item per key.

The container has ``/id`` as its partition key, so that every item is found by its id alone. A row's order lies in the
item as whole numbers below 2**53, all that a number of the service holds exactly: the event time in seconds and
microseconds, versions in two halves. The service itself compares them: a first write creates the item, a later one is a
patch under that condition.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from dataclasses import KW_ONLY, replace
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeVar
from urllib.parse import quote, unquote, urlencode, urlsplit

from pydantic import Field

from fstk.errors import AccessDenied, FstkError, InvalidInput, StoreUnavailable, WriteConflict
from fstk.online.cosmos_client import (
    NO_CONTAINER,
    WORKERS,
    Answer,
    Client,
    client_of,
    detail_of,
    headers_of,
    no_login,
    page_of,
    passes,
    said_of,
    status_of,
)
from fstk.online.keys import KeyCodec
from fstk.online.store import (
    NO_FLOOR,
    Counts,
    OnlineTable,
    Row,
    SecretReference,
    Ttl,
    Verdict,
    Wanted,
    Watermark,
    check_same,
    replaces,
    verdict,
)
from fstk.optional import need
from fstk.secret import Secret
from fstk.validated import validated

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError
    from azure.cosmos import ContainerProxy

_PATIENCE, _PATIENCE_READING = 30.0, 5.0  # seconds without success until a busy service counts as unavailable
_ROUNDS = 100  # at items that others write at the same time: a round that fails is a success of theirs

_ID_BYTES = 100  # the service takes 1,023, but 101 as the partition key of a container that was made long ago
_ITEM_BYTES = 2 * 1024 * 1024
_AROUND_BYTES = 1_000  # of an item beside id, key and value
_MICROS = 1_000_000
_HALF = 32  # bits of the lower half of a version
_LONGEST_TTL = 2**31 - 1  # seconds
_LATE = 86_400  # seconds by which the service removes later than a row expires: its clock and ours are two
_NEVER = -1

_TABLES, _DROPPED = "tables", "dropped"  # in place of a generation
_NO_ROW = -(10**12)  # seconds, of an item that keeps only a floor: before every instant
_NOTHING = (HTTPStatus.NOT_FOUND, NO_CONTAINER)
_CHANGED = (HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED)
_TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
_INDEXED = {"indexingMode": "consistent", "includedPaths": [{"path": "/g/?"}], "excludedPaths": [{"path": "/*"}]}
T = TypeVar("T")
R = TypeVar("R")


@validated()
class AzureCosmosDBSpec:
    """An online store in one container of Azure Cosmos DB, for any number of publishers and readers.

    Args:
        account_uri: the account, ``https://shop.documents.azure.com``.
        database_name: its database.
        container_name: the container, with ``/id`` as its partition key. Database and container are made by the first
            publication, if the login may do so; one made by hand is taken as it is.
        write_secret_prefix: ``scope/prefix``: the account's key is the secret ``prefix-authorization-key`` of that
            Databricks scope.
        read_secret_prefix: the same for reading, where another key is to be used; with it alone nothing can be written.
        ttl: a published row expires when ``now > event time + ttl``. Only tables with a time column can have one.
            None leaves the table's as it is: none at first, then the one last published with.
        key: where the account's key is kept, such as ``env:COSMOS_KEY`` (see :class:`fstk.secret.Secret`), in place of
            the prefixes. Without any of the three the login is azure-identity's (``az login``, a managed identity, …).

    Raises:
        InvalidInput: no such account, name, place of a secret or ``ttl``.

    >>> AzureCosmosDBSpec("https://shop.documents.azure.com", "features", "online", key="env:COSMOS_KEY").open().url
    'cosmos://shop.documents.azure.com/features/online?key=env:COSMOS_KEY'
    """

    forms: ClassVar[str] = "cosmos://account.documents.azure.com/database/container?key=env:NAME"
    options: ClassVar[tuple[str, ...]] = ("key", "write_secret_prefix", "read_secret_prefix")

    account_uri: str = Field(description="an address such as 'https://shop.documents.azure.com'")
    database_name: str = Field(description="a name")
    container_name: str = Field(description="a name")
    write_secret_prefix: str | None = Field(default=None, description="scope/prefix of a secret")
    read_secret_prefix: str | None = Field(default=None, description="scope/prefix of a secret")
    _: KW_ONLY
    ttl: Ttl = None
    key: SecretReference = None

    def __post_init__(self) -> None:
        # None of it is repeated: it may hold a key.
        if not re.fullmatch(r"https://[\w.-]+(:\d+)?/?", self.account_uri, re.ASCII):
            raise InvalidInput("account_uri must be https:// and a host, such as https://shop.documents.azure.com.")
        for what, name in {"database": self.database_name, "container": self.container_name}.items():
            if not re.fullmatch(r"[^/\\?#\s]([^/\\?#]{0,253}[^/\\?#\s])?", name):
                raise InvalidInput(f"{what}_name must be a name of 1 to 255 letters, none of them / \\ ? #.")
        if self.key is not None and (self.write_secret_prefix or self.read_secret_prefix):
            raise InvalidInput("a key is given once: as key, or by the prefix of its secret.")
        for reading in (True, False):
            self.secret(reading)

    @classmethod
    def from_url(cls, place: str, ttl: timedelta | None, options: Mapping[str, str]) -> Self:
        """Return the spec of ``cosmos://`` and ``place``; see :class:`fstk.online.spec.URLSpec`.

        >>> AzureCosmosDBSpec.from_url("shop.documents.azure.com/features/online", None, {}).container_name
        'online'
        """
        account, *names = place.split("/")
        if len(names) != 2:
            raise InvalidInput("it names an account, a database and a container")
        database, container = map(unquote, names)
        return cls(f"https://{account}", database, container, ttl=ttl, **options)

    def secret(self, reading: bool) -> Secret | None:
        """Return where the key is kept, None for a login of azure-identity; one that only reads has none to write.

        >>> AzureCosmosDBSpec("https://shop.documents.azure.com", "features", "online", "shop/cosmos").secret(True)
        Secret('databricks:shop/cosmos-authorization-key')
        """
        if self.key is not None:
            return Secret(self.key)
        prefix = self.read_secret_prefix if reading and self.read_secret_prefix else self.write_secret_prefix
        if prefix is not None:
            return Secret(f"databricks:{prefix}-authorization-key")
        return None

    def open(self) -> CosmosStore:
        """Return the store; it connects when it is first used.

        >>> with AzureCosmosDBSpec("https://shop.documents.azure.com:443/", "features", "online").open() as store:
        ...     store.url
        'cosmos://shop.documents.azure.com/features/online'
        """
        return CosmosStore(self)


class _Held(NamedTuple):
    """What an item says of a key: ``row`` None where there is only a floor, ``etag`` None where there is no item."""

    row: Row | None
    floor: int
    etag: str | None


class CosmosStore:
    """The store of a spec; see :class:`fstk.online.store.OnlineStore`. Threads may share one object.

    All stores of one process share one client for each account and login, and its connections. A read of up to ten
    keys is as many point reads at once (1 request unit a kB each); of more it is a query for each thousand keys of each
    physical partition, all at once: the service has nothing cheaper. What a read sees is the account's consistency: at
    ``Session``, the usual one, what another process wrote may be seen some milliseconds late, never torn.

    Of a batch as many rows are offered at once as the service lets through; where it refuses one, half as many. A batch
    is written, or the error says how many of its rows are not: it comes after ``patience_seconds`` without any success.

    A ttl is told to the service, too. Where the container's time to live is on, it removes a row a day after the row
    expired, but none whose key was ever removed: such an item keeps the floor.
    """

    row_bytes = 3 * (_ITEM_BYTES - _AROUND_BYTES - _ID_BYTES) // 4  # in base64
    """Key and value together that an item holds."""

    def __init__(self, spec: AzureCosmosDBSpec, patience_seconds: float = _PATIENCE) -> None:
        account = urlsplit(spec.account_uri).netloc.removesuffix(":443")
        names = quote(spec.database_name, safe=""), quote(spec.container_name, safe="")
        given = {name: getattr(spec, name) for name in spec.options}
        query = urlencode({name: value for name, value in given.items() if value is not None}, safe="/:")
        self.url = f"cosmos://{account}/{'/'.join(names)}" + (f"?{query}" if query else "")
        self._spec, self._patience = spec, patience_seconds
        self._writes = False
        self._lock = Lock()
        self._units = self._units_of_writes = 0.0
        self._written = 0
        self._example: dict[str, Any] | None = None  # of the rows that were written

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass  # the client is the process's

    def names(self) -> list[str]:
        return sorted(name for page in self._query("VALUE c.name", _TABLES) for name in page)

    def table(self, name: str) -> OnlineTable | None:
        return _table(self._entry(name))

    def put_table(self, table: OnlineTable, seen: OnlineTable | None) -> OnlineTable:
        self._begin_writing()
        self._make()
        entry = self._entry(table.name)
        held = _table(entry)
        check_same(table.name, held, seen)
        if entry is None or held is None:
            put = replace(table, generation=uuid.uuid4().hex, watermark=None)
            done = self._create(_description(put)).body is not None
        else:
            put = replace(table, generation=held.generation, watermark=held.watermark)
            if held.ttl is not None and (put.ttl is None or put.ttl > held.ttl):
                self._prolong(put)
            done = self._replace(entry, _description(put))
        if not done:
            raise WriteConflict(f"online table {table.name} is being described by another publisher; publish again.")
        return put

    def check_sizes(self, table: OnlineTable, rows: Sequence[Row]) -> None:
        for row in rows:
            if len(row.key) + len(row.value) > self.row_bytes:
                raise _too_large(table, row)

    def write(self, table: OnlineTable, rows: Sequence[Row]) -> Counts:
        self._begin_writing()
        self.check_sizes(table, rows)
        check_same(table.name, self.table(table.name), table)
        said: dict[bytes, Verdict] = {}
        again: set[bytes] = set()
        waiting = list(rows)
        try:
            # Where a table was never published no key is expected, and later most of them.
            found = {} if table.watermark is None else self._found(table, [row.key for row in rows])
            for _ in range(_ROUNDS):
                self._each(partial(self._offer, table, found, said, again), waiting)
                waiting = [row for row in waiting if row.key not in said]
                if not waiting:
                    return Counts.of(said.values())
                found = self._found(table, [row.key for row in waiting])
        except StoreUnavailable as error:
            left = f"{len(rows) - len(said):,} of the {len(rows):,} rows of this batch are not written."
            raise StoreUnavailable(f"{error} {left}") from error
        raise self._contended(len(waiting))

    def _offer(
        self,
        table: OnlineTable,
        found: Mapping[bytes, _Held],
        said: dict[bytes, Verdict],
        again: set[bytes],
        row: Row,
    ) -> None:
        """Write a row if it is newer, and say what became of it; say nothing where another writer was quicker.

        ``again`` are keys of which a request was sent twice: the first may have been done, without an answer.
        """
        held = found.get(row.key, _Held(None, NO_FLOOR, None))
        mine = row.key in again and held.row == row
        if not replaces(row, held.row, held.floor):
            said[row.key] = "written" if mine else verdict(row, held.row, held.floor)
            return
        item, repeated = _item(table, row, held.floor), partial(again.add, row.key)
        if held.etag is None:
            done = self._create(item, repeated)
        else:
            changes = {name: value for name, value in item.items() if name not in ("id", "k", "fh", "fl")}
            condition = _older(row, held.floor)
            done = self._patch(item["id"], changes, repeated, filter_predicate=f"from c where {condition}")
        if done.status == _TOO_LARGE:
            raise _too_large(table, row)
        if done.body is not None:
            said[row.key] = verdict(row, held.row, held.floor)
            with self._lock:
                self._written, self._units_of_writes = self._written + 1, self._units_of_writes + done.units
                self._example = item

    def complete(self, table: OnlineTable, watermark: Watermark) -> None:
        self._begin_writing()
        for _ in range(_ROUNDS):
            entry = self._entry(table.name)
            held = _table(entry)
            check_same(table.name, held, table)
            if entry is None or held is None or (held.watermark and watermark.order < held.watermark.order):
                return
            if self._replace(entry, _description(replace(held, watermark=watermark))):
                return
        raise self._contended(1)

    def get(self, wanted: Sequence[Wanted]) -> list[list[Row | None]]:
        ids = [[_row_id(table, key) for key in keys] for table, keys in wanted]
        items = self._items([one for some in ids for one in some])
        return [
            [_held(key, items[one]).row if one in items else None for key, one in zip(keys, some, strict=True)]
            for (_, keys), some in zip(wanted, ids, strict=True)
        ]

    def keys(self, table: OnlineTable) -> Iterator[list[bytes]]:
        for page in self._query("VALUE c.k", table.generation):
            yield [base64.b64decode(key) for key in page]

    def remove(self, table: OnlineTable, keys: Sequence[bytes], version: int) -> int:
        self._begin_writing()
        check_same(table.name, self.table(table.name), table)
        gone: dict[bytes, bool] = {}
        again: set[bytes] = set()
        waiting = list(dict.fromkeys(keys))
        for _ in range(_ROUNDS):
            found = self._found(table, waiting)
            self._each(partial(self._remove, table, found, gone, again, version), waiting)
            waiting = [key for key in waiting if key not in gone]
            if not waiting:
                return sum(gone.values())
        raise self._contended(len(waiting))

    def _remove(
        self,
        table: OnlineTable,
        found: Mapping[bytes, _Held],
        gone: dict[bytes, bool],
        again: set[bytes],
        version: int,
        key: bytes,
    ) -> None:
        """Remove a row of up to a version, keep that as the key's floor, and say whether there was one; say nothing
        where another writer was quicker."""
        held = found.get(key, _Held(None, NO_FLOOR, None))
        removes = held.row is not None and held.row.version <= version
        if held.floor >= version:
            gone[key] = key in again and held.floor == version
            return
        empty, repeated = _emptied(table, key, version), partial(again.add, key) if removes else None
        if held.etag is None:
            done = self._create(empty, repeated)
        else:
            names = empty.keys() - {"id", "k"} if removes else ("fh", "fl", "ttl")
            changes = {name: empty[name] for name in names}
            done = self._patch(empty["id"], changes, repeated, **_unless_changed(held.etag))
        if done.body is not None:
            gone[key] = removes

    def count(self, table: OnlineTable) -> int:
        return sum(sum(page) for page in self._query("VALUE COUNT(1)", table.generation))

    def drop(self, table: OnlineTable) -> None:
        self._begin_writing()
        for _ in range(_ROUNDS):
            entry = self._entry(table.name)
            if entry is None or entry["generation"] != table.generation:
                break
            # The mark comes first: what a drop leaves that is killed is removed by the next one, of whichever table.
            self._create({"id": f"{_DROPPED}-{table.generation}", "g": _DROPPED, "generation": table.generation})
            self._delete(entry["id"], **_unless_changed(entry["_etag"]))
        for marks in self._query("*", _DROPPED):
            for mark in marks:
                for g in (mark["generation"], _without_row(mark["generation"])):
                    for ids in self._query("VALUE c.id", g):
                        self._each(self._delete, ids)
                self._delete(mark["id"])

    def notes(self, table: OnlineTable, rows: int) -> list[str]:
        of_all = ""
        if 0 < self._written < rows:
            of_all = f"; to write all {rows:,} rows takes about {rows * self._units_of_writes / self._written:,.0f}"
        said = [f"{self._units:,.0f} request units{of_all}."]
        container = self._ask(lambda container: container.read(), *_NOTHING).body
        if container is None:
            return said
        if table.ttl is not None and container.get("defaultTtl") is None:
            said.append("The container's time to live is off: rows stay in it after they expired, and are paid for.")
        paths = [path["path"] for path in container["indexingPolicy"].get("includedPaths", [])]
        if "/*" in paths:
            said.append(
                f"The container indexes all that is in an item; /g is needed, everything else costs.{self._price()}"
            )
        return said

    def _price(self) -> str:
        """Return what indexing costs a write, as the service charges it: for a copy of a row as it is and without."""
        if self._example is None:
            return ""
        units = []
        for directive in (0, 1):  # as the container says, exclude
            copy = self._example | {"id": f"price-{uuid.uuid4().hex}", "g": "price"}
            create = partial(_created, copy, {"indexing_directive": directive})
            units.append(self._ask(create).units)
            self._delete(copy["id"])
        return f" A row takes {units[0]:.1f} request units, and {units[1]:.1f} where nothing is indexed."

    def _begin_writing(self) -> None:
        if self._spec.read_secret_prefix is not None and self._spec.write_secret_prefix is None:
            raise InvalidInput(f"{self.url} can only be read; name the secret to write with: write_secret_prefix=….")
        self._writes = True

    def _make(self) -> None:
        """Make database and container where they are missing; refuse a container that is parted by anything else."""
        found = self._ask(lambda container: container.read(), *_NOTHING).body
        if found is None:
            from azure.cosmos import PartitionKey

            client, path = self._client(), PartitionKey("/id")
            self._ask(lambda _: client.azure().create_database(self._spec.database_name), HTTPStatus.CONFLICT)
            database = client.azure().get_database_client(self._spec.database_name)
            make = partial(database.create_container, self._spec.container_name, path, _INDEXED, _NEVER)
            self._ask(lambda _: make(), HTTPStatus.CONFLICT)
        elif (paths := found["partitionKey"]["paths"]) != ["/id"]:
            parted = ", ".join(paths)
            raise InvalidInput(f"{self.url} is parted by {parted}; name a container with the partition key /id.")

    def _prolong(self, table: OnlineTable) -> None:
        """Let the service keep what it would remove by the shorter ttl of before."""

        def prolong(item: dict[str, Any]) -> None:
            self._patch(item["id"], {"ttl": _seconds(table, item["s"] * _MICROS, _whole(item["fh"], item["fl"]))})

        for page in self._query("c.id, c.s, c.fh, c.fl", table.generation):
            self._each(prolong, page)

    def _found(self, table: OnlineTable, keys: Sequence[bytes]) -> dict[bytes, _Held]:
        ids = {_row_id(table, key): key for key in keys}
        return {ids[found]: _held(ids[found], item) for found, item in self._items(list(ids)).items()}

    def _items(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return those of the items that there are."""
        distinct = list(dict.fromkeys(ids))
        if len(distinct) > WORKERS:
            pairs = [(one, one) for one in distinct]
            items = self._ask(lambda container: container.read_items(pairs, max_concurrency=WORKERS)).body
        elif len(distinct) > 1:
            items = self._each(self._read, distinct)
        else:
            items = map(self._read, distinct)
        return {item["id"]: item for item in items if item is not None}

    def _entry(self, name: str) -> dict[str, Any] | None:
        """Return the item of a table; what has no container has no tables."""
        return self._read(_table_id(name), *_NOTHING)

    def _read(self, item: str, *missing: int) -> dict[str, Any] | None:
        return self._ask(lambda container: container.read_item(item, item), HTTPStatus.NOT_FOUND, *missing).body

    def _create(self, item: dict[str, Any], again: Callable[[], object] | None = None) -> Answer:
        return self._ask(partial(_created, item, {}), HTTPStatus.CONFLICT, _TOO_LARGE, again=again)

    def _replace(self, held: dict[str, Any], item: dict[str, Any]) -> bool:
        unless = _unless_changed(held["_etag"])
        done = self._ask(lambda container: container.replace_item(item["id"], item, **unless), *_CHANGED)
        return done.body is not None

    def _patch(
        self, item: str, changes: Mapping[str, Any], again: Callable[[], object] | None = None, **condition: Any
    ) -> Answer:
        sets = [{"op": "set", "path": f"/{name}", "value": value} for name, value in changes.items()]
        patch = partial(_patched, item, sets, condition)
        return self._ask(patch, *_CHANGED, _TOO_LARGE, again=again)

    def _delete(self, item: str, **condition: Any) -> None:
        self._ask(lambda container: container.delete_item(item, item, **condition), *_CHANGED)

    def _query(self, what: str, g: str) -> Iterator[list[Any]]:
        """Yield what a query of one ``g`` selects, a page at a time, from one physical partition after the other."""
        parameters = [{"name": "@g", "value": g}]
        select = partial(page_of, f"SELECT {what} FROM c WHERE c.g = @g", parameters)
        ranges = self._ask(lambda container: list(container.read_feed_ranges()), *_NOTHING).body
        for part in ranges or ():
            token = None
            while True:
                page = self._ask(partial(select, part, token)).body
                if page.items:
                    yield page.items
                token = page.token
                if token is None:
                    break

    def _each(self, do: Callable[[T], R], jobs: Sequence[T]) -> list[R]:
        """Do all jobs, some at once; of one that fails the others are not begun, and nothing goes on after it."""
        futures = [self._client().pool.submit(do, job) for job in jobs]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            for future in futures:
                future.cancel()
            wait(futures)
        return [future.result() for future in futures if not future.cancelled()]

    def _client(self) -> Client:
        return client_of(self._spec.account_uri, self._spec.secret(reading=not self._writes))

    def _ask(
        self, do: Callable[[ContainerProxy], Any], *expected: int, again: Callable[[], object] | None = None
    ) -> Answer:
        """Send a request, and send it anew while the service is busy; ``again`` is told of that.

        An answer with one of the ``expected`` codes has no body.
        """
        client = self._client()
        errors = need("azure.core.exceptions")
        patience = self._patience if self._writes else min(self._patience, _PATIENCE_READING)
        asked = time.monotonic()
        renewed = False
        while True:
            with client.turn():
                until = max(asked, client.succeeded) + patience
                if client.refusal is not None and time.monotonic() > until:
                    refused = client.refusal  # what the others were told meanwhile holds for this one, too
                    break
                try:
                    found = do(client.container(self._spec.database_name, self._spec.container_name))
                except errors.AzureError as error:
                    refused = error
                else:
                    client.let_through()
                    return Answer(HTTPStatus.OK, found, self._spend(headers_of(found)))
            self._spend(headers_of(refused))
            status = status_of(refused)
            if status in expected and (detail_of(refused) or status) in expected:
                return Answer(status, None, 0.0)
            if status == HTTPStatus.UNAUTHORIZED and not renewed:
                client.renew()  # keys are changed while a process lives
                renewed = True
            elif passes(refused, status):
                if again is not None:
                    again()
                if not client.pause(refused, max(asked, client.succeeded) + patience):
                    break
            else:
                raise self._unavailable(refused) from refused
        raise self._unavailable(refused, f" for {patience:g} s") from refused

    def _spend(self, headers: Mapping[str, str]) -> float:
        units = float(headers.get("x-ms-request-charge", 0))
        with self._lock:
            self._units += units
        return units

    def _contended(self, count: int) -> WriteConflict:
        return WriteConflict(f"{self.url}: others change the same {count:,} items all the time; try again.")

    def _unavailable(self, error: AzureError, waited: str = "") -> FstkError:
        """Return what to raise for an answer that is none."""
        status = status_of(error)
        store, said = f"online store {self.url}", said_of(error, status)
        secret = self._spec.secret(reading=not self._writes)
        if status == HTTPStatus.UNAUTHORIZED and secret is not None:
            return AccessDenied(f"{store}: the account does not know the key in {secret.reference}.")
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or no_login(error):
            cure = " Log in (az login), or name the account's key: key=env:NAME." if secret is None else ""
            return AccessDenied(f"{store} refused: {said}.{cure}")
        if status == HTTPStatus.NOT_FOUND and not waited:
            return StoreUnavailable(f"{store} is not there: the account has no such database and container.")
        return StoreUnavailable(f"{store} did not answer{waited}: {said}.")


def _created(item: dict[str, Any], options: Mapping[str, Any], container: ContainerProxy) -> Any:
    return container.create_item(item, **options)


def _patched(item: str, sets: list[dict[str, Any]], condition: Mapping[str, Any], container: ContainerProxy) -> Any:
    return container.patch_item(item, item, sets, **condition)


def _unless_changed(etag: str) -> dict[str, Any]:
    from azure.core import MatchConditions

    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _table(entry: dict[str, Any] | None) -> OnlineTable | None:
    if entry is None:
        return None
    mark = None if entry["mark"] is None else Watermark.of(json.loads(entry["mark"]))
    return OnlineTable.of(entry["name"], entry["generation"], entry["description"], mark)


def _description(table: OnlineTable) -> dict[str, Any]:
    """Return the item of a table; texts of JSON, since versions are whole numbers beyond what the service's are."""
    mark = None if table.watermark is None else json.dumps(table.watermark.kept)
    item = {"id": _table_id(table.name), "g": _TABLES, "name": table.name, "generation": table.generation}
    return {**item, "description": table.description, "mark": mark, "ttl": _NEVER}


def _table_id(name: str) -> str:
    return f"{_TABLES}-{_escaped(name.encode())}"


def _row_id(table: OnlineTable, key: bytes) -> str:
    """Return the id of a key's item: readable, or a digest where it would be too long; no two keys share one."""
    escaped = f"{table.generation}-{_escaped(key)}"
    return escaped if len(escaped) <= _ID_BYTES else f"{table.generation}.{hashlib.sha256(key).hexdigest()}"


def _escaped(key: bytes) -> str:
    return re.sub(rb"[^A-Za-z0-9_.-]", lambda found: b"~%02x" % found[0][0], key).decode()


def _item(table: OnlineTable, row: Row, floor: int) -> dict[str, Any]:
    return {
        "id": _row_id(table, row.key),
        "g": table.generation,
        "k": base64.b64encode(row.key).decode(),
        **_order(row),
        "d": base64.b64encode(row.value).decode(),
        **_halves("f", floor),
        "ttl": _seconds(table, row.event_time, floor),
    }


def _emptied(table: OnlineTable, key: bytes, floor: int) -> dict[str, Any]:
    """Return the item of a key that has a floor and no row."""
    item = _item(table, Row(key, _NO_ROW * _MICROS, 0, 0, b""), floor)
    return item | {"g": _without_row(table.generation)}


def _without_row(generation: str) -> str:
    return f"{generation}-removed"


def _halves(name: str, version: int) -> dict[str, int]:
    return {f"{name}h": version >> _HALF, f"{name}l": version & (1 << _HALF) - 1}


def _whole(high: int, low: int) -> int:
    return (high << _HALF) + low


def _held(key: bytes, item: Mapping[str, Any]) -> _Held:
    if base64.b64decode(item["k"]) != key:
        raise StoreUnavailable(f"the item {item['id']} is of another key than the one that was asked for.")
    floor = _whole(item["fh"], item["fl"])
    if item["s"] == _NO_ROW:
        return _Held(None, floor, item["_etag"])
    event_time, version = item["s"] * _MICROS + item["u"], _whole(item["vh"], item["vl"])
    return _Held(Row(key, event_time, version, item["l"], base64.b64decode(item["d"])), floor, item["_etag"])


def _older(row: Row, floor: int) -> str:
    """Return the condition under which an item's row is older than this one, and its floor still what it was."""
    before: list[str] = []
    cases = []
    for name, value in _order(row).items():
        cases.append(" and ".join([*before, f"c.{name} < {value}"]))
        before.append(f"c.{name} = {value}")
    same = " and ".join(f"c.{name} = {value}" for name, value in _halves("f", floor).items())
    return f"{same} and ({' or '.join(cases)})"


def _order(row: Row) -> dict[str, int]:
    seconds, micros = divmod(row.event_time, _MICROS)
    return {"s": seconds, "u": micros, **_halves("v", row.version), "l": row.layout}


def _seconds(table: OnlineTable, event_time: int, floor: int) -> int:
    """Return how many seconds from now on the service keeps an item at least; an item with a floor is kept."""
    if table.ttl is None or table.timeseries_column is None or floor != NO_FLOOR:
        return _NEVER
    left = event_time + table.ttl // timedelta(microseconds=1) - time.time_ns() // 1_000
    seconds = max(0, -(-left // _MICROS)) + _LATE
    return seconds if seconds <= _LONGEST_TTL else _NEVER


def _too_large(table: OnlineTable, row: Row) -> InvalidInput:
    key, size = KeyCodec(table.keys).spelled(row.key), len(row.value) / 1e6
    return InvalidInput(
        f"{table.name}, {key}: the row has {size:.1f} MB; Azure Cosmos DB takes items of 2 MB, a row of about 1.5. "
        "Publish fewer features (features=…), or leave the row out (filter_condition=…)."
    )
