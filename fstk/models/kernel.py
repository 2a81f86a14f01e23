"""Rows → predictions: pure Arrow in, Arrow out, wherever the engine calls it."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fstk.engines.types import arrow_type
from fstk.errors import FstkError, TypeMismatch
from fstk.models import saved
from fstk.training.rows import as_pandas

PREDICTION = "prediction"

_loaded: dict[str, saved.Predict] = {}


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

    def predict(self) -> saved.Predict:
        """Return the model's prediction, loading it the first time in this process."""
        if self.digest not in _loaded:
            _loaded[self.digest] = saved.load(self._unpacked())
        return _loaded[self.digest]

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
    """Appends :data:`PREDICTION`, of Spark type ``result_type``, to rows; ``inputs`` are the model's columns, in order.
    TypeMismatch: the predictions do not fit ``result_type``. FstkError: the model fails, in its own words."""

    model: PackedModel
    name: str
    inputs: tuple[str, ...]
    result_type: str

    def __call__(self, rows: pa.Table) -> pa.Table:
        kind = arrow_type(self.result_type)
        if not rows.num_rows:
            return rows.append_column(PREDICTION, pa.array([], kind))
        predict = self.model.predict()
        frame = as_pandas(rows.select(self.inputs))
        try:
            predicted = predict(frame)
        except Exception as error:
            raise FstkError(f"{self.name} fails on the rows given: {type(error).__name__}: {error}") from error
        return rows.append_column(PREDICTION, self._typed(predicted, rows.num_rows, kind))

    def _typed(self, predicted: Any, rows: int, kind: pa.DataType) -> pa.Array:
        values = np.asarray(predicted)
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if len(values) != rows:
            raise FstkError(f"{self.name} gave {len(values):,} predictions for {rows:,} rows.")
        found = pa.array(list(values) if values.ndim > 1 else values, from_pandas=False)
        try:
            return found.cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise TypeMismatch(
                f"{self.name} predicts {found.type}, which result_type={self.result_type!r} does not hold: {error}"
            ) from error
