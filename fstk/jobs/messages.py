"""What a run and its kernel tell each other, as files in a folder that lives as long as the run.

The kernel never writes the record: a kernel that dies half way cannot leave a record that looks closed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec

from fstk.jobs.record import write_file


class Message(msgspec.Struct, frozen=True):
    """One file of the folder."""

    file: ClassVar[str]

    def send(self, folder: Path) -> None:
        """Write the message, whole or not at all."""
        write_file(folder / self.file, msgspec.json.encode(self))


class Start(Message, frozen=True):
    """From the run: who the kernel is, what its notebook declares, the ``parameters`` that the run has validated and
    recorded (JSON), and the token that its closing must carry."""

    file: ClassVar[str] = "start.json"
    task: str
    token: str
    declaration: str
    parameters: str

    @property
    def values(self) -> dict[str, Any]:
        """The parameters by name, as JSON has them."""
        return json.loads(self.parameters)


class Closing(Message, frozen=True):
    """From the notebook's last cell: it is done, and this is what it did."""

    file: ClassVar[str] = "closing.json"
    token: str
    summary: str
    changed: bool | None
    rows: dict[str, Any]
    metrics: dict[str, float] = {}


M = TypeVar("M", bound=Message)


def receive(folder: Path, kind: type[M]) -> M | None:
    """Return the message of that kind, None when there is none that can be read."""
    try:
        return msgspec.json.decode((folder / kind.file).read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
