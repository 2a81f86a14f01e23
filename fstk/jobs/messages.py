"""What a run and its kernel tell each other, as files in a folder that lives as long as the run.

The kernel never writes the record: a kernel that dies half way cannot leave a record that looks closed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from fstk.jobs.record import replace_text


class Message(BaseModel):
    """One file of the folder."""

    model_config = ConfigDict(frozen=True)
    file: ClassVar[str]

    def send(self, folder: Path) -> None:
        """Write the message, whole or not at all."""
        replace_text(folder / self.file, self.model_dump_json())


class Start(Message):
    """From the run: who the kernel is, what its notebook declares, and the token that its closing must carry."""

    file: ClassVar[str] = "start.json"
    job: str
    task: str
    token: str
    declaration: str


class Closing(Message):
    """From the notebook's last cell: it is done, and this is what it did."""

    file: ClassVar[str] = "closing.json"
    token: str
    summary: str
    changed: bool | None
    rows: dict[str, Any]


class CellError(Message):
    """From the kernel: a cell raised; ``exit_code`` is the error's own."""

    file: ClassVar[str] = "error.json"
    error: str
    message: str
    exit_code: int


M = TypeVar("M", bound=Message)


def receive(folder: Path, kind: type[M]) -> M | None:
    """Return the message of that kind, None when there is none that can be read."""
    try:
        return kind.model_validate_json((folder / kind.file).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
