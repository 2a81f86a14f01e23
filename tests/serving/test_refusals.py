"""Every line of docs/rules.md#endpoint that is not an answer, through a real socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.serving.asking import GOOD, ask, raw, records
from tests.serving.project import READERS, Project

pytestmark = [pytest.mark.server, pytest.mark.slow]

HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BAD: dict[str, Any] = {
    "overflow": records(GOOD | {"customer_id": 2**40}),
    "a fraction": records(GOOD | {"customer_id": 1.7}),
    "a whole number with a point": b'{"dataframe_records": [{"customer_id": 1.0, "amount": 2}]}',
    "a boolean": records(GOOD | {"customer_id": True}),
    "text for a number": records(GOOD | {"customer_id": "1"}),
    "a number for text": records(GOOD | {"cohort": 5}),
    "a key twice": b'{"dataframe_records": [{"customer_id": 1, "customer_id": 424242, "amount": 2}]}',
    "a form twice": b'{"dataframe_records": [], "dataframe_records": [{"customer_id": 424242}]}',
    "NaN": b'{"dataframe_records": [{"customer_id": 1, "amount": NaN}]}',
    "Infinity": b'{"dataframe_records": [{"customer_id": 1, "amount": -Infinity}]}',
    "a number too large": b'{"dataframe_records": [{"customer_id": 1, "amount": 1e999}]}',
    "a whole number too large": records(GOOD | {"amount": 10**400}),
    "digits without end": b'{"dataframe_records": [{"customer_id": ' + b"9" * 10_000 + b"}]}",
    "text in a column of numbers": records(GOOD | {"amount": "424242"}),
    "a boolean in a column of numbers": records(GOOD | {"amount": True}),
    "half a letter": b'{"dataframe_records": [{"customer_id": 1, "amount": 2, "cohort": "\\ud800", "region": "n"}]}',
    "a null where none was": records(GOOD | {"amount": 1.0, "customer_id": None}),
    "no key": records({"customer_id": 1, "amount": 2.0, "cohort": "old"}),
    "no column": records({"customer_id": 1, "cohort": "old", "region": "n"}),
    "a column lacking in one row": records(GOOD, {"customer_id": 1, "cohort": "old", "region": "n"}),
    "another case": records(GOOD | {"Spend": 424242.0}),
    "nesting": b'{"dataframe_records": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "nesting of objects": b'{"a":' * 100_000,
    "two forms": {"dataframe_records": [GOOD], "instances": [GOOD]},
    "a form and more": {"dataframe_records": [GOOD], "params": {"a": 424242}},
    "no form": {"rows": [GOOD]},
    "a list": [GOOD],
    "no JSON": b'{"dataframe_records": [{"customer_id": 424242',
    "nothing": b"",
    "no rows": {"dataframe_records": []},
    "no UTF-8": b'{"dataframe_records": [{"customer_id": 1, "amount": "\xff424242"}]}',
    "split of other lengths": {"dataframe_split": {"columns": ["customer_id"], "data": [[1, 424242]]}},
    "split of a name twice": {"dataframe_split": {"columns": ["a", "a"], "data": [[1, 424242]]}},
    "split without data": {"dataframe_split": {"columns": ["a"]}},
    "inputs of other lengths": {"inputs": {"customer_id": [1, 2], "amount": [424242]}},
    "inputs of one value": {"inputs": {"customer_id": 424242}},
    "instances without names": {"instances": [[424242]]},
    "a time without a zone": records(GOOD | {"at": "2024-01-09T00:00:00"}),
    "a time of nanoseconds": records(GOOD | {"at": "2024-01-09T00:00:00.123456789Z"}),
    "no time": records(GOOD | {"at": "424242"}),
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_what_cannot_be_meant_is_400_in_one_line_without_data(body: Any, port: int, token: str) -> None:
    said = ask(port, body, token)
    assert said.status == 400, said
    assert set(said.json) == {"error_code", "message"}
    assert said.json["error_code"] == "BAD_REQUEST"
    assert 10 < len(said.reason) < 200
    assert "\n" not in said.reason
    assert "4242" not in said.reason
    assert "Traceback" not in said.body.decode()


def test_the_reason_names_column_row_and_type(port: int, token: str) -> None:
    said = ask(port, records(GOOD, GOOD | {"customer_id": 2**40}), token)
    assert said.reason == "key customer_id, row 2, must be int: a whole number of that size"


REFUSED_TOKENS: dict[str, dict[str, str]] = {
    "none": {},
    "empty": {"Authorization": ""},
    "no scheme": {"Authorization": "{token}"},
    "another scheme": {"Authorization": "Basic {token}"},
    "another's": {"Authorization": "Bearer fstk_00000000_{secret}"},
    "nearly": {"Authorization": "Bearer {token}x"},
    "its id alone": {"Authorization": "Bearer fstk_{id}_"},
    "not ASCII": {"Authorization": "Bearer \xe9\xff"},
}


@pytest.mark.parametrize("headers", REFUSED_TOKENS.values(), ids=REFUSED_TOKENS)
def test_without_a_valid_token_is_401(headers: dict[str, str], port: int, token: str) -> None:
    _, number, secret = token.split("_", 2)
    ask(port, records(GOOD), token)  # a valid one ends the waiting after many failures
    sent = {name: value.format(token=token, id=number, secret=secret) for name, value in headers.items()}
    said = ask(port, records(GOOD), None, headers=sent)
    assert (said.status, said.headers["www-authenticate"]) == (401, "Bearer")
    assert secret not in said.body.decode()


def test_bearer_is_spelt_in_any_case(port: int, token: str) -> None:
    assert ask(port, records(GOOD), None, headers={"Authorization": f"bearer {token}"}).status == 200


def test_two_tokens_are_none(port: int, token: str) -> None:
    body = json.dumps(records(GOOD)).encode()
    line = f"Authorization: Bearer {token}\r\n".encode()
    got = raw(port, HEAD + line * 2 + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert got.startswith(b"HTTP/1.1 401 ")


def test_a_token_in_the_address_is_refused_even_beside_a_good_header(port: int, token: str) -> None:
    for name in ("access_token", "token"):
        assert ask(port, records(GOOD), None, path=f"/invocations?{name}={token}").status == 401
        assert ask(port, records(GOOD), token, path=f"/invocations?{name}={token}").status == 401
    ask(port, records(GOOD), token)


def test_a_revoked_token_and_one_past_its_end_open_nothing(port: int, project: Project) -> None:
    shown, kept = project.tokens.new("leaver", (READERS,))
    assert ask(port, records(GOOD), shown).status == 200
    project.tokens.revoke(kept.id)
    assert ask(port, records(GOOD), shown).status == 401


def test_many_failures_are_told_to_wait_and_a_valid_token_is_not(port: int, token: str) -> None:
    assert ask(port, records(GOOD), token).status == 200
    seen = [ask(port, records(GOOD), "fstk_00000000_wrong") for _ in range(12)]
    assert [said.status for said in seen[:10]] == [401] * 10
    assert {said.status for said in seen[10:]} == {429}
    assert 1 <= int(seen[-1].headers["retry-after"]) <= 60
    assert ask(port, records(GOOD), token).status == 200
    assert ask(port, records(GOOD), "fstk_00000000_wrong").status == 401
    assert ask(port, records(GOOD), token).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": None},
        {"Content-Type": "text/csv"},
        {"Content-Type": "application/xml"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Encoding": "gzip"},
    ],
    ids=str,
)
def test_another_kind_of_body_is_415(headers: dict[str, str | None], port: int, token: str) -> None:
    assert ask(port, records(GOOD), token, headers=headers).status == 415


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"']
)
def test_json_in_utf8_is_taken(kind: str, port: int, token: str) -> None:
    assert ask(port, records(GOOD), token, headers={"Content-Type": kind}).status == 200


def test_another_name_is_404_and_another_method_405(port: int, token: str) -> None:
    assert ask(port, records(GOOD), token, path="/serving-endpoints/other/invocations").status == 404
    assert ask(port, None, token, method="GET").status == 405
    assert ask(port, None, token, path="/docs", method="GET").status == 404


def test_a_body_that_says_it_is_too_large_is_413_before_it_comes(port: int, token: str) -> None:
    line = f"Authorization: Bearer {token}\r\nContent-Length: {16 * 2**20 + 1}\r\n\r\n".encode()
    assert raw(port, HEAD + line).startswith(b"HTTP/1.1 413 ")


def test_sixteen_mebibytes_are_taken(port: int, token: str) -> None:
    body = json.dumps(records(GOOD)).encode()
    assert ask(port, body + b" " * (16 * 2**20 - len(body)), token).status == 200
    assert ask(port, body + b" " * (16 * 2**20 - len(body) + 1), token).status == 413


def test_a_header_without_end_is_refused(port: int, token: str) -> None:
    got = raw(port, b"POST /invocations HTTP/1.1\r\nAuthorization: Bearer ", *[b"a" * (1 << 20)] * 10)
    assert got.split(b" ")[1] in (b"431", b"400") if got else True
    assert ask(port, records(GOOD), token).status == 200


def test_what_is_no_http_is_400(port: int, token: str) -> None:
    assert raw(port, b"\x00\x01nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert ask(port, records(GOOD), token).status == 200
