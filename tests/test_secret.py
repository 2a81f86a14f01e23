"""Secrets are read from where they are kept, when they are needed, and no message repeats one."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import pytest

from fstk.errors import AccessDenied, InvalidInput
from fstk.secret import Secret


@pytest.mark.parametrize(
    "text", ["hunter2", "", "env:", "env:a/b", "databricks:scope", "databricks:/key", "vault:a/b", "plain:hunter2"]
)
def test_what_is_no_reference_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInput, match="by where it is kept, env:NAME") as refused:
        Secret(text)
    assert "hunter2" not in str(refused.value)


def test_a_variable_is_read_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secret("env:FSTK_TEST_SECRET")
    for value in ("one", "two"):
        monkeypatch.setenv("FSTK_TEST_SECRET", value)
        assert secret.read() == value
    assert "two" not in repr(secret)
    for value in ("", None):
        monkeypatch.setenv("FSTK_TEST_SECRET", value) if value is not None else monkeypatch.delenv("FSTK_TEST_SECRET")
        with pytest.raises(InvalidInput, match="FSTK_TEST_SECRET, which holds a secret, is not set"):
            secret.read()


class _Workspace(BaseHTTPRequestHandler):
    """The one call of a Databricks workspace that gives a secret."""

    def do_GET(self) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlparse(self.path).query).items()}
        held = asked == {"scope": "shop", "key": "redis"}
        answer = {"key": "redis", "value": base64.b64encode("pässwort".encode()).decode()}
        problem = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Secret does not exist"}
        body = json.dumps(answer if held else problem).encode()
        self.send_response(200 if held else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Workspace) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("DATABRICKS_HOST", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("DATABRICKS_TOKEN", "a-token")
        yield
        server.shutdown()


@pytest.mark.usefixtures("workspace")
def test_a_secret_of_a_databricks_scope() -> None:
    assert Secret("databricks:shop/redis").read() == "pässwort"
    with pytest.raises(AccessDenied, match="the secret shop/none of Databricks cannot be read: Secret does not exist"):
        Secret("databricks:shop/none").read()
