"""Rows → predictions: pure Arrow in, Arrow out, wherever the engine calls it."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fstk.display import line_of
from fstk.engines.types import arrow_type
from fstk.errors import FstkError, TypeMismatch
from fstk.models import saved
from fstk.models.predictions import as_arrow, cast, line
from fstk.models.spec import ModelRecord
from fstk.training.dtypes import frames

if TYPE_CHECKING:
    import pandas

PREDICTION = "prediction"

_loaded: dict[tuple[str, str | None], saved.Predict] = {}


@dataclass(frozen=True)
class PackedModel:
    """A model's folder as one value that travels to other processes with the kernel; each loads it once."""

    content: bytes = field(repr=False)
    digest: str

    @classmethod
    def pack(cls, folder: Path) -> PackedModel:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                # without the file's own times, so that one model has one digest
                archive.writestr(zipfile.ZipInfo(str(file.relative_to(folder))), file.read_bytes())
        content = packed.getvalue()
        return cls(content, hashlib.sha256(content).hexdigest())

    def predict(self, method: str | None) -> saved.Predict:
        """Return the model's ``method``, loading it the first time in this process."""
        if (self.digest, method) not in _loaded:
            _loaded[self.digest, method] = saved.load(self._unpacked(), method)
        return _loaded[self.digest, method]

    def _unpacked(self) -> Path:
        """Return the folder on this machine, unpacked once for all processes of this user. It stays: some flavors read
        more of it when they predict, and a worker process is never told that it ends."""
        home = Path(tempfile.gettempdir()) / f"fstk-models-{os.getuid()}"
        home.mkdir(mode=0o700, exist_ok=True)
        status = home.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
            raise FstkError(f"{home} is not a folder that only this user can write; remove it.")
        folder = home / self.digest
        if not folder.is_dir():
            unpacking = Path(tempfile.mkdtemp(dir=home))
            with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
                archive.extractall(unpacking)
            try:
                unpacking.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
                shutil.rmtree(unpacking)  # another process was first
        return folder


@dataclass(frozen=True)
class Scorer:
    """Appends :data:`PREDICTION`, of Spark type ``result_type``, to rows; ``record`` says which columns the model takes
    and in which dtypes, whatever rows come together. TypeMismatch: a value, or a prediction, does not fit its type.
    FstkError: the model fails, in its own words."""

    model: PackedModel
    name: str
    record: ModelRecord
    result_type: str

    def __call__(self, rows: pa.Table) -> pa.Table:
        kind = arrow_type(self.result_type)
        if not rows.num_rows:
            return rows.append_column(PREDICTION, pa.array([], kind))
        predict = self.loaded()
        places, parts = [], []
        for place, frame in self.frames(rows):
            try:
                predicted = predict(frame)
            except Exception as error:
                row = _refused(predict, frame)
                which = "the rows given" if row is None else self._told(rows.slice(place[row], 1))
                raise FstkError(f"{self.name} fails on {which}: {type(error).__name__}: {line(error)}.") from error
            places.append(place)
            parts.append(self.typed(predicted, len(place)))
        return rows.append_column(PREDICTION, together(places, parts))

    def loaded(self) -> saved.Predict:
        """Return what predicts; FstkError: the model cannot be loaded."""
        try:
            return self.model.predict(self.record.method)
        except FstkError:
            raise
        except Exception as error:
            raise FstkError(f"{self.name} cannot be loaded: {type(error).__name__}: {error}") from error

    def frames(self, rows: pa.Table) -> Iterator[tuple[np.ndarray, pandas.DataFrame]]:
        """Yield the rows as the frames that the model takes, each with the places of its rows."""
        columns = {}
        for name, spark in self.record.inputs.items():
            column, kind = rows.column(name), arrow_type(spark)
            try:
                columns[name] = column.cast(kind, safe=not pa.types.is_floating(kind))
            except pa.ArrowInvalid as error:
                raise TypeMismatch(f"{self.name} was trained with {name} as {spark}: {error}.") from error
        try:
            yield from frames(pa.table(columns), self.record.dtypes)
        except (ValueError, TypeError) as error:
            raise FstkError(f"the rows given cannot be made the frame that {self.name} takes: {error}.") from error

    def _told(self, row: pa.Table) -> str:
        """Name a row by what its features are looked up by, and by what it lacks."""
        keys = [name for name in self.record.plan.key_types if name in row.column_names] or list(self.record.inputs)[:3]
        lacking = [name for name in self.record.inputs if row.column(name).null_count]
        known = ", ".join(f"{name} {row.column(name)[0].as_py()!r}" for name in keys)
        return line_of(f"the row of {known}{', without ' if lacking else ''}{', '.join(lacking)}")

    def typed(self, predicted: Any, rows: int) -> pa.Array:
        """Return what the model answered to ``rows`` rows in the type of the predictions."""
        found = as_arrow(predicted, rows, self.name)
        if isinstance(found.type, pa.ListType) and self.record.of_second_class(self.result_type):
            found = pc.list_element(found, 1)
        return cast(found, arrow_type(self.result_type), self.name)


def together(places: list[np.ndarray], parts: list[pa.Array]) -> pa.Array:
    """Return the predictions of parts of the rows in the order of the rows."""
    return parts[0] if len(parts) == 1 else pa.concat_arrays(parts).take(np.argsort(np.concatenate(places)))


def _refused(predict: saved.Predict, frame: pandas.DataFrame) -> int | None:
    """Return the place of a row that a model refuses by itself, None where it is the rows together."""
    low, high = 0, len(frame)
    while True:
        middle = (low + high) // 2 if high - low > 1 else high
        try:
            predict(frame.iloc[low:middle].reset_index(drop=True))
        except Exception:  # noqa: BLE001 whatever a model raises; the first error is told
            if high - low == 1:
                return low
            high = middle
        else:
            if high - low == 1:
                return None
            low = middle
