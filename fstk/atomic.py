"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

TEMPORARY = ".part-"
"""What the names of files begin with that are being written, or were when their writer died."""


def replace_file(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file so that a reader sees the old one or the new one, whole, whenever the power goes; who may read it is
    what ``mode`` and the umask say. OSError: it cannot be written, and nothing is left of the attempt.

    >>> replace_file(Path("note.txt"), b"whole")
    >>> Path("note.txt").read_bytes()
    b'whole'
    """
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")  # as short for a name that is as long as may be
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
