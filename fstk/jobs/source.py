"""A notebook file as it is before a run: its cells, its declaration, and a hash of what would be executed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from fstk.errors import InvalidInput, UnknownName, nearest
from fstk.jobs.parameters import Declaration, parse

TAG = "parameters"
_KERNELS = {
    r"ir|r-.*|ark": "R",
    r"julia.*": "Julia",
    r"scala.*|spylon.*|almond.*|spark": "Scala",
    r"bash|zsh|sh": "Bash",
    r"deno|javascript|tslab|jslab": "JavaScript",
    r"sql|xsql": "SQL",
    r"octave|matlab.*": "MATLAB",
    r"\.net-csharp": "C#",
    r"rust|evcxr": "Rust",
    r"gophernotes|gonb": "Go",
}


@dataclass(frozen=True)
class NotebookSource:
    """One notebook; ``hash`` covers its code cells and their tags: saved outputs and prose do not count as a change."""

    path: Path
    content: Mapping[str, Any]
    declared_in: str
    declaration: Declaration
    hash: str


class _CellMetadata(msgspec.Struct):
    tags: list[str] = []


class _Cell(msgspec.Struct):
    cell_type: str
    source: str | list[str] = ""
    id: str | None = None
    metadata: _CellMetadata = msgspec.field(default_factory=_CellMetadata)

    @property
    def text(self) -> str:
        return self.source if isinstance(self.source, str) else "".join(self.source)


class _Language(msgspec.Struct):
    name: str = ""
    language: str = ""


class _Metadata(msgspec.Struct):
    kernelspec: _Language | None = None
    language_info: _Language | None = None
    databricks: _Language | None = msgspec.field(default=None, name="application/vnd.databricks.v1+notebook")

    @property
    def language(self) -> str:
        """What the notebook says it is written in; where it only names its kernel, what that is known for."""
        kernel, info, databricks = (
            one or _Language() for one in (self.kernelspec, self.language_info, self.databricks)
        )
        known = (language for name, language in _KERNELS.items() if re.fullmatch(name, kernel.name, re.IGNORECASE))
        return kernel.language or info.name or databricks.language or next(known, "")


class _Notebook(msgspec.Struct):
    nbformat: int
    cells: list[_Cell]
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    nbformat_minor: int = 4


def read_notebook(path: Path) -> NotebookSource:
    """Read a notebook of format 4, in Python, without executing anything; raises UnknownName, InvalidInput."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(content, ensure_ascii=False).encode()  # JSON can hold halves of letters, which no file can
        notebook = msgspec.convert(content, _Notebook)
    except FileNotFoundError as error:
        known = [other.name for other in path.parent.glob("*.ipynb")]
        raise UnknownName(f"no notebook {path}.{nearest(path.name, known)}") from error
    except (ValueError, OSError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise InvalidInput(f"{path} cannot be read as a notebook: {reason}.") from error
    if notebook.nbformat != 4:
        raise InvalidInput(f"{path} is not a notebook of format 4.")
    language = notebook.metadata.language
    if language and not re.fullmatch(r"i?python[ \d.]*", language, re.IGNORECASE):
        raise InvalidInput(f"{path} is a notebook in {language}; fstk run executes notebooks in Python.")
    code = [(cell.text, cell.metadata.tags) for cell in notebook.cells if cell.cell_type == "code"]
    declared = [text for text, tags in code if TAG in tags]
    if len(declared) > 1:
        raise InvalidInput(f"{path}: {len(declared)} cells are tagged {TAG}; there can be one.")
    source = declared[0] if declared else ""
    digest = hashlib.sha256(json.dumps(code).encode()).hexdigest()
    return NotebookSource(path, _executable(content), source, parse(source, path.name), f"sha256:{digest}")


def _executable(content: dict[str, Any]) -> dict[str, Any]:
    # what a runner takes for granted, without what was saved of an earlier execution
    fresh = {"outputs": [], "execution_count": None}
    cells = [
        {
            "metadata": {},
            **cell,
            "source": "".join(cell.get("source", "")),
            **(fresh if cell["cell_type"] == "code" else {}),
        }
        for cell in content["cells"]
    ]
    made = {"metadata": {}, "nbformat_minor": 4, **content, "cells": cells}
    return _with_ids(made) if made["nbformat_minor"] >= 5 else made


def _with_ids(content: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook whose every cell has an id of its own, where it lacks one or shares it: nbformat would warn."""
    known = {cell.get("id") for cell in content["cells"]}
    spare = (name for number in count(1) if (name := f"cell-{number}") not in known)
    seen: set[str] = set()
    cells = []
    for cell in content["cells"]:
        own = cell.get("id")
        if own is None or own in seen:
            own = next(spare)
        seen.add(own)
        cells.append({**cell, "id": own})
    return {**content, "cells": cells}
