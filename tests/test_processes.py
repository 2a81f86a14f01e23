"""A server that a test starts tells its port; one that dies is not waited for."""

import os
import sys
from pathlib import Path

import pytest

from tests.processes import server

SERVER = """
import socket
with socket.create_server(("127.0.0.1", 0)) as listening:
    print("here at", listening.getsockname()[1], flush=True)
    print("more", flush=True)
    listening.accept()
"""


def test_a_server_tells_the_port_that_it_chose(tmp_path: Path) -> None:
    with server([sys.executable, "-c", SERVER], r"here at (\d+)", os.environ, tmp_path) as port:
        assert 1024 <= port < 65536


def test_a_server_that_dies_says_why_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no port for me')"]
    with (
        pytest.raises(RuntimeError, match="ended with 1 before it listened:\nno port for me"),
        server(command, r"at (\d+)", os.environ, tmp_path),
    ):
        pass


def test_a_server_that_dies_after_telling_its_port_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('here at 1', flush=True); raise SystemExit('taken meanwhile')"]
    with (
        pytest.raises(RuntimeError, match="ended with 1 before it listened:\nhere at 1\ntaken meanwhile"),
        server(command, r"at (\d+)", os.environ, tmp_path),
    ):
        pass
