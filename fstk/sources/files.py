"""What is to be loaded, as Arrow with a digest of its content: files, a folder of them, a Delta table, a frame."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from fstk import settings
from fstk.columns.arrays import nulls, whole
from fstk.columns.ordinals import fixed
from fstk.engines.base import TableVersion
from fstk.engines.connect import direct
from fstk.engines.frames import to_arrow
from fstk.errors import InvalidInput
from fstk.sources.faults import Fault

_TEXTS = {".csv": ",", ".tsv": "\t"}
_KINDS = (*_TEXTS, *(f"{kind}.gz" for kind in _TEXTS), ".parquet")


@dataclass(frozen=True)
class Batch:
    """Rows that came together; ``texts``: their file has no types, every column is text."""

    name: str
    digest: str
    rows: pa.Table
    texts: bool = False


def paths_of(path: str | Path | Iterable[str | Path]) -> list[Path]:
    """Return the files that a path names: itself, or all of a folder in the order of their names; a Delta table is one.
    A relative path starts at the working folder or, where nothing is there, at the project's root, so that a notebook
    and its job name a file alike. InvalidInput: nothing is there that can be read."""
    given = [path] if isinstance(path, str | Path) else list(path)
    found: list[Path] = []
    for one in (_found(Path(name)) for name in given):
        if one.is_dir() and not (one / "_delta_log").is_dir():
            inside = sorted(file for file in one.iterdir() if file.name.endswith(_KINDS))
            if not inside:
                raise InvalidInput(f"folder {one} holds no file of {', '.join(_KINDS)}. Nothing was written.")
            found += inside
        else:
            found.append(one)
    if not found:
        raise InvalidInput("path names no file.")
    return found


def _found(path: Path) -> Path:
    for one in (path, settings.root() / path):
        if one.exists():
            return one
    above = "" if path.is_absolute() else f" in {Path.cwd()} or the project's root {settings.root()}"
    raise InvalidInput(f"there is no file {path}{above}. Nothing was written.")


def read_file(path: Path) -> Batch:
    """Return the rows of a CSV or Parquet file or a Delta table; InvalidInput: it is none that can be read."""
    if path.is_dir():
        rows = direct().read(TableVersion(path.name, str(path.absolute())))
        return Batch(path.name, digest(rows), rows)
    if not path.name.endswith(_KINDS):
        raise InvalidInput(
            f"{path} is no {', '.join(_KINDS)} file nor a Delta table; read it with pandas or Polars and give df=."
        )
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    if path.suffix == ".parquet":
        return Batch(path.name, content, _parquet(path))
    return Batch(path.name, content, _csv(path), texts=True)


def _parquet(path: Path) -> pa.Table:
    import pyarrow.parquet as pq  # brings pandas with it, which only a read should wait for

    try:
        return to_arrow(pq.read_table(path), path.name)
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}.") from error


def _csv(path: Path) -> pa.Table:
    separator = _TEXTS[Path(path.name.removesuffix(".gz")).suffix]
    try:
        rows = pl.read_csv(path, separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        cure = f"   iconv -f latin1 -t utf-8 {path} > utf8.csv" if "utf-8" in reason else ""
        raise InvalidInput(f"{path} cannot be read: {reason}. Nothing was written.{cure}") from error
    return to_arrow(rows, path.name)


def mixed_kinds(frame: Any, types: Iterable[str]) -> tuple[Any, list[Fault]]:
    """Return a pandas frame with the columns of ``types`` that hold objects of several kinds as texts, and a fault for
    each other column of that sort; any other frame as it is."""
    if not type(frame).__module__.startswith("pandas."):
        return frame, []
    faults = []
    for name in [column for column in frame.columns if frame[column].dtype == object]:
        values = [value for value in frame[name] if value is not None and value == value]
        kinds = Counter(type(value).__name__ for value in values)
        if len(kinds) < 2 or "str" not in kinds:
            continue
        if name in types:
            frame = frame.assign(**{name: [_text(value) for value in frame[name]]})
            continue
        counted = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
        faults.append(Fault(str(name), len(values), f"objects of several kinds ({counted})", "types", "string"))
    return frame, faults


def _text(value: Any) -> str | None:
    return None if value is None or value != value else str(value)


def digest(rows: pa.Table) -> str:
    """Return a digest of names, types and values, in the order of the rows, however they are held in memory.

    >>> parts = pa.table({"a": pa.chunked_array([["x"], ["y", None]])})
    >>> digest(parts) == digest(pa.table({"a": ["x", "y", None]}))
    True
    """
    made = hashlib.sha256(repr(list(zip(rows.column_names, map(str, rows.schema.types), strict=True))).encode())
    for column in rows.columns:
        made.update(nulls(column).tobytes())
        for part in _parts(column):
            made.update(part)
    return made.hexdigest()


def _parts(column: pa.ChunkedArray) -> Iterator[bytes]:
    numbers = fixed(column) if not pa.types.is_nested(column.type) else None
    if numbers is not None:
        yield numbers.tobytes()
    elif pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        values = whole(column.cast(pa.large_binary()).fill_null(b""))
        yield pc.binary_length(values).to_numpy().tobytes()
        yield b"".join(values.to_pylist())
    else:
        yield repr(column.to_pylist()).encode()
