"""What Azure has around a store, on loopback: the place where a managed identity gets its tokens, and a Key Vault."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

ADDRESS = "127.0.0.2"
TOKEN = "a.b.c"


class _JSON(BaseHTTPRequestHandler):
    """Answers with what the server's ``tell`` returns for a request: a code, a body and headers."""

    def do_GET(self) -> None:
        status, content, headers = self.server.tell(self)  # type: ignore[attr-defined]
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _server(tell: Any, context: ssl.SSLContext | None = None) -> Iterator[int]:
    with ThreadingHTTPServer((ADDRESS, 0), _JSON) as server:
        server.tell = tell  # type: ignore[attr-defined]
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@contextmanager
def identity() -> Iterator[list[str]]:
    """Be where azure-identity finds a managed identity; yield the paths by which tokens were asked for."""
    asked: list[str] = []

    def tell(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], dict[str, str]]:
        asked.append(request.path)
        expires = str(int(time.time()) + 3_600)
        return 200, {"access_token": TOKEN, "expires_on": expires, "resource": "r", "token_type": "Bearer"}, {}

    with pytest.MonkeyPatch.context() as patch, _server(tell) as port:
        patch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
        patch.setenv("IDENTITY_ENDPOINT", f"http://{ADDRESS}:{port}/token")
        patch.setenv("IDENTITY_HEADER", "a-header")
        yield asked


@contextmanager
def key_vault(secrets: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Be a Key Vault over HTTPS whose authority is trusted; yield its host. ``forbidden`` is a secret that nobody may
    read."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "vault.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(ADDRESS).configure_cert(context)

    def tell(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, Any], dict[str, str]]:
        host = request.headers["Host"]
        if request.headers["Authorization"] != f"Bearer {TOKEN}":
            asks = f'Bearer authorization="https://login.test/tenant", resource="https://{host.partition(".")[2]}"'
            return 401, {"error": {"code": "Unauthorized", "message": "a token is missing"}}, {"WWW-Authenticate": asks}
        name = urlsplit(request.path).path.split("/")[2]
        if name == "forbidden":
            return 403, {"error": {"code": "Forbidden", "message": "hunter2\nmay not be read"}}, {}
        if name not in secrets:
            return 404, {"error": {"code": "SecretNotFound", "message": "not here"}}, {}
        return 200, {"value": secrets[name], "id": f"https://{host}/secrets/{name}/1"}, {}

    with pytest.MonkeyPatch.context() as patch, _server(tell, context) as port:
        patch.setenv("REQUESTS_CA_BUNDLE", str(folder / "vault.pem"))
        yield f"{ADDRESS}:{port}"
