"""What a request's body says by column, in each of its forms, without a server; what would be guessed is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fstk.models.lookups import ABSENT
from fstk.serving.body import Rows, parse
from fstk.serving.refusal import Refusal

TWO = {"a": [1, 2], "b": ["x", None]}
ALIKE: dict[str, bytes] = {
    "records": b'{"dataframe_records": [{"a": 1, "b": "x"}, {"b": null, "a": 2}]}',
    "instances": b'{"instances": [{"a": 1, "b": "x"}, {"a": 2, "b": null}]}',
    "split": b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2, null]]}}',
    "split with its index": b'{"dataframe_split": {"index": [], "columns": ["b", "a"], "data": [["x", 1], [null, 2]]}}',
    "inputs by column": b'{"inputs": {"a": [1, 2], "b": ["x", null]}}',
    "inputs by row": b'{"inputs": [{"a": 1, "b": "x"}, {"a": 2, "b": null}]}',
}
REFUSED: list[tuple[bytes, str]] = [
    (b'{"instances": [{"a": 1, "a": 2}]}', "names a key twice"),
    (b'{"instances": [{"a": Infinity}]}', "NaN or Infinity"),
    (b'{"instances": [{"a": 1e309}]}', "too large"),
    (b'{"instances": [{"a": -1e309}]}', "too large"),
    (b'{"instances": [{"a": "\xff"}]}', "not UTF-8"),
    (b'{"instances": ' + b"[" * 100_000, "nested too deeply"),
    (b'{"instances": [', "no JSON"),
    (b'[{"a": 1}]', "must be an object with one of"),
    (b'{"rows": [{"a": 1}]}', "must be an object with one of"),
    (b'{"instances": [{"a": 1}], "inputs": [{"a": 1}]}', "must be an object with one of"),
    (b'{"instances": [{"a": 1}], "params": {}}', "must be an object with one of"),
    (b'{"instances": []}', "instances has no row"),
    (b'{"inputs": {}}', "inputs has no row"),
    (b'{"inputs": {"a": []}}', "inputs has no row"),
    (b'{"dataframe_split": {"columns": ["a"], "data": []}}', "dataframe_split has no row"),
    (b'{"inputs": {"a": [1], "b": 1}}', "all of one length"),
    (b'{"inputs": {"a": [1], "b": [1, 2]}}', "all of one length"),
    (b'{"instances": {"a": [1]}}', "list of objects"),
    (b'{"instances": [{"a": 1}, [1]]}', "list of objects"),
    (b'{"dataframe_split": [[1]]}', "an object with columns and data"),
    (b'{"dataframe_split": {"columns": ["a"]}}', "an object with columns and data"),
    (b'{"dataframe_split": {"columns": ["a"], "data": [[1]], "rows": 1}}', "an object with columns and data"),
    (b'{"dataframe_split": {"columns": "a", "data": [[1]]}}', "list of names"),
    (b'{"dataframe_split": {"columns": ["a", 1], "data": [[1, 2]]}}', "list of names"),
    (b'{"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}', "list of names"),
    (b'{"dataframe_split": {"columns": ["a"], "data": {"a": 1}}}', "list of rows"),
    (b'{"dataframe_split": {"columns": ["a"], "data": [[1], [1, 2]]}}', "list of rows"),
    (b'{"dataframe_split": {"columns": ["a"], "data": ["x"]}}', "list of rows"),
]


@pytest.mark.parametrize("body", ALIKE.values(), ids=ALIKE)
def test_one_request_is_the_same_columns_in_every_form(body: bytes) -> None:
    assert parse(body) == Rows(2, TWO)


@pytest.mark.parametrize(("body", "words"), REFUSED, ids=lambda x: x if isinstance(x, str) else "")
def test_what_could_be_taken_for_something_else_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(Refusal, match=words) as told:
        parse(body)
    assert told.value.status == 400


def test_a_cell_that_a_row_leaves_out_is_absent_and_not_null() -> None:
    found = parse(b'{"instances": [{"a": null}, {"b": 1}]}')
    assert found.columns == {"a": [None, ABSENT], "b": [ABSENT, 1]}


@pytest.mark.parametrize(("decimals", "kind"), [(False, float), (True, Decimal)])
def test_numbers_with_a_point_keep_their_digits_where_a_column_has_them(decimals: bool, kind: type[Any]) -> None:
    text = "0.10000000000000000000001"
    [value] = parse(f'{{"instances": [{{"a": {text}}}]}}'.encode(), decimals).columns["a"]
    assert (type(value), value) == (kind, kind(text))
    largest = parse(b'{"instances": [{"a": 1.7976931348623157e308}]}', decimals).columns["a"]
    assert largest == [kind("1.7976931348623157e308")]
