"""What a feature table may hold comes back from every store as it was: each type at its ends, each awkward key."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from fstk.online.parity import check_parity
from fstk.online.publish import publish
from fstk.online.read import read_online
from fstk.online.reader import OnlineReader
from fstk.online.spec import OnlineSpec
from tests.online.tables import Made

FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
HARD: dict[str, list[Any]] = {
    "bigint": [2**53 + 1, -(2**63), 2**63 - 1, 0],
    "double": [math.nan, -0.0, math.inf, 5e-324],
    "float": [math.nan, -0.0, 0.10000000149011612, -math.inf],
    "decimal(38,18)": [Decimal("99999999999999999999.999999999999999999"), Decimal("-1E-18"), Decimal("0E-18")],
    "timestamp": [FIRST, LAST, datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)],
    "timestamp_ntz": [moment.replace(tzinfo=None) for moment in (FIRST, LAST)],
    "date": [date.min, date.max],
    "string": ["", "a" * 1_000_000, "\x00\n{}\N{PILE OF POO}", unicodedata.normalize("NFD", "é")],
    "binary": [b"", bytes(range(256))],
    "boolean": [True, False],
    "tinyint": [-128, 127],
    "array<array<double>>": [[], [[], None, [math.nan, None, -0.0]]],
    "struct<a:bigint,b:struct<c:array<string>>>": [{"a": None, "b": None}, {"a": 2**60, "b": {"c": ["", None]}}],
    "map<string,decimal(5,2)>": [[], [("", Decimal("1.20")), ("é", None)]],
}
SCHEMA = {f"c{number}": kind for number, kind in enumerate(HARD)}
NFC = unicodedata.normalize("NFC", "é")
AWKWARD = [
    *("", " ", "a", "A", "a ", "\N{ROCKET}", "\x00", "a\x00", "a\nb", "{a}", "{}", "}{", "a:b", "a/b", "../a", "a#b"),
    *("a?b", "a%2Fb", "%", "a|b", "a\\b", "'", '"', "*", "[a]", "1", "true", "null", "\ufeff", "\u202e", "é" * 2_000),
    *(NFC, unicodedata.normalize("NFD", NFC), "k" * 10_000, "k" * 10_000 + "1"),
]


def test_each_type_comes_back_by_value_and_type(tmp_path: Path, spec: OnlineSpec) -> None:
    rows: list[dict[str, Any]] = [
        {"id": number, "at": LAST if number % 2 else FIRST}
        | {name: HARD[kind][number] if number < len(HARD[kind]) else None for name, kind in SCHEMA.items()}
        for number in range(5)
    ]
    made = Made(tmp_path / "t", {"id": "bigint", "at": "timestamp", **SCHEMA}, ("id",), "at")
    table = made.append(*rows)
    report = publish(table, spec, as_of=LAST)
    assert (report.written, report.failed) == (5, 0)
    read = read_online("s.t", [{"id": row["id"]} for row in rows], store=spec)
    maps = {name for name, kind in SCHEMA.items() if kind.startswith("map")}
    for found, state, row in zip(read, read.found, rows, strict=True):
        assert (state.status, state.event_time) == ("present", row.pop("at"))
        wanted = {name: dict(value) if name in maps and value is not None else value for name, value in row.items()}
        assert repr(found) == repr(wanted)
    assert check_parity(table, spec).equal == 5


def test_each_awkward_key_is_one_of_its_own(tmp_path: Path, spec: OnlineSpec) -> None:
    made = Made(tmp_path / "t", {"id": "string", "n": "int"}, ("id",), None)
    publish(made.append(*({"id": key, "n": n} for n, key in enumerate(AWKWARD))), spec)
    with OnlineReader(["s.t"], spec) as reader:
        read = reader.read({"s.t": [{"id": key} for key in AWKWARD]})["s.t"]
        assert [found["n"] for found in read] == list(range(len(AWKWARD)))
        for n, key in enumerate(AWKWARD[:12]):
            assert reader.read({"s.t": [{"id": key}]})["s.t"] == [{"id": key, "n": n}]
    assert check_parity(made.at(), spec).equal == len(AWKWARD)


def test_each_key_of_several_mixed_columns_is_one_of_its_own(tmp_path: Path, spec: OnlineSpec) -> None:
    schema = {"a": "string", "b": "bigint", "c": "decimal(5,2)", "d": "timestamp", "e": "binary", "n": "int"}
    names = list(schema)[:-1]
    parts = [("a:b", 1), ("a", 1), ("a|i1", 1), ("", -(2**63)), ("1", 2**63 - 1)]
    rest = [(Decimal("1.20"), FIRST, b""), (Decimal("-1.20"), LAST, b"\x00|"), (Decimal("1.20"), LAST, b"|")]
    keys = [dict(zip(names, (*part, *more), strict=True)) for part in parts for more in rest]
    made = Made(tmp_path / "t", schema, tuple(names), None)
    table = made.append(*({**key, "n": n} for n, key in enumerate(keys)))
    assert publish(table, spec).written == len(keys)
    assert [found["n"] for found in read_online("s.t", keys, store=spec)] == list(range(len(keys)))
    assert check_parity(table, spec).equal == len(keys)
    assert publish(made.delete("b = 1"), spec, prune=True).removed == 9
