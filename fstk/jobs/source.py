"""A notebook file as it is before a run: its cells, its declaration, and a hash of what would be executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fstk.errors import InvalidInput, UnknownName, nearest
from fstk.jobs.parameters import Declaration, parse

TAG = "parameters"


@dataclass(frozen=True)
class NotebookSource:
    """One notebook; ``hash`` covers its code cells and their tags: saved outputs and prose do not count as a change."""

    path: Path
    content: Mapping[str, Any]
    declared_in: str
    declaration: Declaration
    hash: str


def read_notebook(path: Path) -> NotebookSource:
    """Read a notebook of format 4 without executing anything; raises UnknownName, InvalidInput."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = [other.name for other in path.parent.glob("*.ipynb")]
        raise UnknownName(f"no notebook {path}.{nearest(path.name, known)}") from error
    except (ValueError, OSError) as error:
        raise InvalidInput(f"{path} cannot be read as a notebook: {error}.") from error
    if not isinstance(content, dict) or content.get("nbformat") != 4 or not isinstance(content.get("cells"), list):
        raise InvalidInput(f"{path} is not a notebook of format 4.")
    code = [(_text(cell), _tags(cell)) for cell in content["cells"] if cell.get("cell_type") == "code"]
    declared = [text for text, tags in code if TAG in tags]
    if len(declared) > 1:
        raise InvalidInput(f"{path}: {len(declared)} cells are tagged {TAG}; there can be one.")
    source = declared[0] if declared else ""
    digest = hashlib.sha256(json.dumps(code).encode()).hexdigest()
    return NotebookSource(path, content, source, parse(source, path.name), f"sha256:{digest}")


def _text(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _tags(cell: Mapping[str, Any]) -> list[str]:
    return list(cell.get("metadata", {}).get("tags", []))
