"""What a workspace has and open-source Spark lacks, before a Spark Connect server: Unity Catalog's tags and its primary
keys of time series. Clients of any kind speak to it as they are; every other statement goes on unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from pyspark.sql.connect.proto import base_pb2

_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_REQUESTS = {"ExecutePlan": base_pb2.ExecutePlanRequest, "AnalyzePlan": base_pb2.AnalyzePlanRequest}
_NAME = r"((?:`[^`]+`\.){2}`[^`]+`)"
_TABLE = re.compile(rf"CREATE TABLE {_NAME} .*?(, CONSTRAINT `[^`]+` PRIMARY KEY \(([^)]*)\))\) USING delta", re.DOTALL)
_SET = re.compile(rf"ALTER TABLE {_NAME} SET TAGS \((.*)\)", re.DOTALL)
_TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'")
_TAGS = "system.information_schema.table_tags"
_COLUMNS = "catalog_name, schema_name, table_name, tag_name, tag_value"
_DONE = "SELECT 1"


@dataclass
class Unity:
    """The ``sc://`` address, and what was said of tables by name: their primary keys, their tags."""

    url: str
    keys: dict[str, str] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)

    def carried_out(self, statement: str) -> str:
        """Note what only Unity Catalog takes of a statement; return what open-source Spark takes of it."""
        if made := _TABLE.match(statement):
            self.keys[_plain(made[1])] = made[3]
            return statement[: made.start(2)] + statement[made.end(2) :]
        if tagged := _SET.fullmatch(statement):
            texts = _TEXT.findall(tagged[2])
            self.tags.setdefault(_plain(tagged[1]), {}).update(zip(texts[::2], texts[1::2], strict=True))
            return _DONE
        return statement.replace(_TAGS, self._tags()) if _TAGS in statement else statement

    def _tags(self) -> str:
        rows = [(*table.split("."), *tag) for table, tags in self.tags.items() for tag in tags.items()]
        texts = ["(" + ", ".join(f"'{text}'" for text in row) + ")" for row in rows]
        return f"(SELECT * FROM VALUES {', '.join(texts)} AS t({_COLUMNS}))"


@contextmanager
def unity(url: str) -> Iterator[Unity]:
    """Stand before the Spark Connect server at ``url``."""
    options = _UNLIMITED
    with grpc.insecure_channel(url.removeprefix("sc://"), options) as channel, ThreadPoolExecutor(32) as threads:
        server = grpc.server(threads, options=options)
        catalog = Unity(f"sc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        server.add_generic_rpc_handlers([_PassOn(channel, catalog)])
        server.start()
        try:
            yield catalog
        finally:
            server.stop(None).wait()


class _PassOn(grpc.GenericRpcHandler):
    """Every call as bytes: one message is a stream of one."""

    def __init__(self, channel: grpc.Channel, catalog: Unity) -> None:
        self._channel = channel
        self._catalog = catalog

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler:
        method = handler_call_details.method
        request_type = _REQUESTS.get(method.rpartition("/")[2])

        def passed(requests: Iterator[bytes]) -> Iterator[bytes]:
            for data in requests:
                yield data if request_type is None else self._changed(request_type.FromString(data), data)

        def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            call = self._channel.stream_stream(method)(passed(requests), metadata=context.invocation_metadata())

            def ended() -> None:
                call.cancel()

            context.add_callback(ended)
            try:
                yield from call
            except grpc.RpcError:
                context.set_trailing_metadata(call.trailing_metadata())
                context.abort(call.code(), call.details())

        return grpc.stream_stream_rpc_method_handler(answer)

    def _changed(self, request: Message, data: bytes) -> bytes:
        statements = list(_statements(request))
        for holder, name in statements:
            setattr(holder, name, self._catalog.carried_out(getattr(holder, name)))
        return request.SerializeToString() if statements else data


def _statements(message: Message) -> Iterator[tuple[Message, str]]:
    """Each text of SQL in a plan: the message that holds it, and the name of its field."""
    for kind, value in message.ListFields():
        if kind.full_name in ("spark.connect.SqlCommand.sql", "spark.connect.SQL.query"):
            yield message, kind.name
        elif isinstance(value, Message):
            yield from _statements(value)
        elif kind.message_type is not None and not kind.message_type.GetOptions().map_entry:
            for part in value:
                yield from _statements(part)


def _plain(name: str) -> str:
    return name.replace("`", "")
