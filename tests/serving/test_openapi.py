"""The endpoint's own description: for those with a token, true of its answers, and no request made from it is a 500."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.serving.asking import ask, records

pytestmark = [pytest.mark.server, pytest.mark.slow]


def test_it_is_shown_to_those_with_a_token(port: int, token: str) -> None:
    assert ask(port, None, None, path="/openapi.json", method="GET").status == 401
    said = ask(port, None, token, path="/openapi.json", method="GET")
    assert said.status == 200
    row = said.json["components"]["schemas"]["Row"]
    assert row["properties"]["customer_id"] == {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
    assert set(row["required"]) == {"customer_id", "amount"}
    assert {"spend", "v", "vip", "size", "at", "cohort", "region"} <= set(row["properties"])
    assert token not in said.body.decode()


def test_requests_made_from_it_are_never_a_500(port: int, token: str, tmp_path: Path) -> None:
    conforms(ask(port, None, token, path="/openapi.json", method="GET").json, port, token, tmp_path)
    assert ask(port, records({}), token).status == 400


def conforms(document: dict[str, Any], port: int, token: str, folder: Path) -> None:
    """Ask what a document describes; the answers are as it says, and none is a 500."""
    file = folder / "openapi.json"
    file.write_text(json.dumps(document))
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        str(file),
        "--url",
        f"http://127.0.0.1:{port}",
    ]
    options = ["--checks", "not_a_server_error,response_schema_conformance", "--max-examples", "40", "--seed", "1"]
    header = ["-H", f"Authorization: Bearer {token}", "--generation-database", "none", "--no-color"]
    done = subprocess.run(
        [*command, *options, *header], cwd=folder, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
