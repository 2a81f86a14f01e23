"""What the endpoint takes and gives, as an OpenAPI document: msgspec's schemas of the columns that a model, or
feature set, has."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pyarrow as pa

from fstk.engines.base import Schema
from fstk.engines.types import arrow_type
from fstk.serving.endpoint import Endpoint, Lookup

_REF = "#/components/schemas/{name}"
_REFUSALS = {
    "400": "the body is not as what is served takes it",
    "401": "no valid token",
    "403": "the principal may not read a table that is read for an answer",
    "408": "the body did not come in time",
    "413": "the body has more than 16 MiB",
    "415": "the body is not JSON in UTF-8",
    "429": "too many requests without a valid token",
    "500": "the model failed",
    "503": "the online store does not answer, or too many requests wait",
    "504": "the deadline has passed",
}


class Refused(msgspec.Struct, frozen=True):
    """Why a request is not answered."""

    error_code: str
    message: str


class Health(msgspec.Struct, frozen=True):
    """Whether requests can be served, by which model or feature set, and what else is to be known."""

    status: str
    version: int | str | None
    problems: list[str]
    model: str | msgspec.UnsetType = msgspec.UNSET
    features: str | msgspec.UnsetType = msgspec.UNSET


def document(endpoint: Endpoint) -> dict[str, Any]:
    """Return the document, as JSON values."""
    features = endpoint.features
    needed = [name for name in features.required if name in features.whole]
    row = _struct("Row", features.columns, needed, [*features.required])
    cell = Any
    split = msgspec.defstruct("Split", [("columns", list[str]), ("data", list[list[cell]])])
    bodies = [
        msgspec.defstruct("Records", [("dataframe_records", Annotated[list[row], msgspec.Meta(min_length=1)])]),
        msgspec.defstruct("Frame", [("dataframe_split", split)]),
        msgspec.defstruct("Instances", [("instances", Annotated[list[row], msgspec.Meta(min_length=1)])]),
        msgspec.defstruct("Inputs", [("inputs", dict[str, list[cell]])]),
    ]
    answer, what = _told(endpoint)
    _, schemas = msgspec.json.schema_components([*bodies, answer, Refused, Health], ref_template=_REF)
    asked = {"oneOf": [{"$ref": _REF.format(name=body.__name__)} for body in bodies]}
    refusals = {status: _answer(why, "Refused") for status, why in _REFUSALS.items()}
    invoke = {
        "summary": f"{what} for one or more rows, their features looked up",
        "security": [{"token": []}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": asked}}},
        "responses": {"200": _answer(f"{what}, one for each row", answer.__name__), **refusals},
    }
    alive = {"responses": {"200": {"description": "alive", "content": {"application/json": {"schema": {}}}}}}
    health = {"200": _answer("requests can be served", "Health"), "503": _answer("they cannot", "Health")}
    counts = {"200": {"description": "counts", "content": {"text/plain": {"schema": {"type": "string"}}}}}
    version = "0" if endpoint.version is None else str(endpoint.version)
    return {
        "openapi": "3.1.0",
        "info": {"title": endpoint.name, "version": version},
        "paths": {
            "/invocations": {"post": invoke},
            f"/serving-endpoints/{endpoint.name}/invocations": {"post": invoke},
            "/ping": {"get": alive},
            "/health": {"get": {"responses": health}},
            "/metrics": {"get": {"responses": counts}},
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _told(endpoint: Endpoint) -> tuple[type[msgspec.Struct], str]:
    """Return the struct of an answer, and what it holds."""
    if isinstance(endpoint.answers, str):
        one = _python(arrow_type(endpoint.answers)) | None
        return msgspec.defstruct("Predictions", [("predictions", list[one])]), "Predictions"
    vector = _struct("Vector", endpoint.answers, (), endpoint.answers)
    fields = [("predictions", list[vector]), ("lookups", list[list[Lookup]])]
    return msgspec.defstruct("Vectors", fields), "Feature vectors"


def _answer(why: str, schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REF.format(name=schema)}}}
    return {"description": why, "content": content}


def _struct(name: str, columns: Schema, whole: Collection[str], required: Collection[str]) -> Any:
    """Return a struct of columns, whose names may be none of Python's; those not ``whole`` may be null."""
    fields: list[Any] = []
    for place, (column, spark) in enumerate(sorted(columns.items(), key=lambda item: item[0] not in required)):
        kind = _python(arrow_type(spark))
        kind = kind if column in whole else kind | None
        field = (f"c{place}", kind) if column in required else (f"c{place}", kind | msgspec.UnsetType, msgspec.UNSET)
        fields.append(field)
    ordered = sorted(columns, key=lambda column: column not in required)
    return msgspec.defstruct(name, fields, rename={f"c{place}": column for place, column in enumerate(ordered)})


def _python(kind: pa.DataType) -> Any:
    if pa.types.is_boolean(kind):
        return bool
    if pa.types.is_integer(kind):
        bound = 2 ** (kind.bit_width - 1)
        return Annotated[int, msgspec.Meta(ge=-bound, le=bound - 1)]
    if pa.types.is_floating(kind):
        return float
    if pa.types.is_decimal(kind):
        return Decimal
    if pa.types.is_date32(kind):
        return dt.date
    if isinstance(kind, pa.TimestampType):
        return Annotated[dt.datetime, msgspec.Meta(tz=kind.tz is not None)]
    if pa.types.is_binary(kind):
        return bytes
    return str if pa.types.is_string(kind) else Any
