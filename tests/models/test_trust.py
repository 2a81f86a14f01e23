"""Models that are loaded, those that are not, and what is said of damaged files."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fstk.engines.direct import DirectEngine
from fstk.errors import FstkError, Infrastructure, InvalidInput, UntrustedModel
from fstk.models.log import ModelVersion, log_model
from fstk.models.mlflow_calls import quiet, store
from fstk.models.registry import Registry
from fstk.models.score import score_batch
from fstk.models.spec import FILE, read_record
from fstk.training.training_set import create_training_set

pytestmark = pytest.mark.slow

MLFLOW = importlib.import_module("mlflow")
SKLEARN = importlib.import_module("mlflow.sklearn")
DF = pa.table({"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0]})


class Harm:
    """Unpickled, it leaves a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.file),)


def same(values: Any) -> Any:
    return values


def logged(name: str | None, *, code: bool) -> ModelVersion:
    training_set = create_training_set(DF, [], "y", catalog=None)  # type: ignore[arg-type]
    model = make_pipeline(FunctionTransformer(same), LinearRegression()) if code else LinearRegression()
    rows = training_set.to_pandas()
    return log_model(model.fit(rows[["x"]], rows["y"]), "model", SKLEARN, training_set, name)


def scores(uri: str) -> list[float]:
    scored = score_batch(uri, DF.select(["x"]), "double", engine=DirectEngine(), catalog=None)  # type: ignore[arg-type]
    return [round(value, 6) for value in scored.column("prediction").to_pylist()]


def fetched(uri: str, into: Path) -> Path:
    with quiet():
        return Path(MLFLOW.artifacts.download_artifacts(uri, dst_path=str(into)))


@pytest.fixture
def harmful(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A model's folder with a pickle of someone else's, and what that would make."""
    folder, harm = fetched(logged("honest", code=True).uri, tmp_path / "copy"), tmp_path / "harm"
    with (folder / "model.pkl").open("wb") as file:
        importlib.import_module("pickle").dump(Harm(harm), file)
    yield folder, harm
    assert not harm.exists()


def test_a_model_is_loaded_wherever_its_files_lie(tmp_path: Path) -> None:
    version = logged("wherever", code=True)
    folder = fetched(version.uri, tmp_path / "copy")
    assert scores(version.uri) == scores(str(folder)) == scores(logged(None, code=True).uri) == [1.0, 2.0, 3.0]


def test_a_pickle_that_is_not_the_logged_one_is_not_loaded(harmful: tuple[Path, Path]) -> None:
    folder, _ = harmful
    with pytest.raises(UntrustedModel, match="are not those that were logged"):
        scores(str(folder))


def test_a_pickle_in_the_place_of_a_registered_one_is_not_loaded(harmful: tuple[Path, Path], tmp_path: Path) -> None:
    uri = logged("replaced", code=True).uri
    with quiet():
        address = MLFLOW.MlflowClient().get_model_version_download_uri("replaced", "1")
        place = Path(MLFLOW.artifacts.download_artifacts(address))
    shutil.copy(harmful[0] / "model.pkl", place / "model.pkl")
    with pytest.raises(UntrustedModel, match=r"replaced v1 are not those that were logged\. .* name it: FSTK_TRUSTED"):
        scores(uri)


@pytest.mark.parametrize(("old", "new"), [("model_id: m-", "model_id: m-0"), ("model_id:", "number:")])
def test_a_model_of_nobody_knows_whom_is_not_loaded(harmful: tuple[Path, Path], old: str, new: str) -> None:
    description = harmful[0] / "MLmodel"
    description.write_text(description.read_text().replace(old, new))
    with pytest.raises(UntrustedModel, match="runs code when it is loaded, and fstk did not log it here"):
        scores(str(harmful[0]))


def test_a_model_that_is_named_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fetched(logged("named", code=True).uri, tmp_path / "copy")
    description = folder / "MLmodel"
    description.write_text(description.read_text().replace("model_id:", "number:"))
    monkeypatch.setenv("FSTK_TRUSTED_MODELS", f"another, {folder}")
    assert scores(str(folder)) == [1.0, 2.0, 3.0]


def test_a_model_without_code_needs_no_name(tmp_path: Path) -> None:
    folder = fetched(logged("plain", code=False).uri, tmp_path / "copy")
    description = folder / "MLmodel"
    description.write_text(description.read_text().replace("model_id:", "number:"))
    assert scores(str(folder)) == [1.0, 2.0, 3.0]
    for old, new in (
        ("loader_module: mlflow.sklearn", "loader_module: os"),
        ("serialization_format: skops", "serialization_format: pickle"),
        ("    code: null", "    code: code"),
        ("skops_trusted_types: []", "skops_trusted_types: [posix.system]"),
    ):
        whole = description.read_text()
        assert old in whole
        description.write_text(whole.replace(old, new))
        with pytest.raises(UntrustedModel, match="runs code when it is loaded"):
            scores(str(folder))
        description.write_text(whole)


def test_a_model_without_code_is_loaded_from_nowhere_else(tmp_path: Path) -> None:
    """MLflow reads what ``data`` names by a description beside it, which here says that it is a pickle."""
    folder, harm = fetched(logged("elsewhere", code=False).uri, tmp_path / "copy"), tmp_path / "harm"
    description, inner = folder / "MLmodel", folder / "inner"
    whole = description.read_text().replace("model_id:", "number:")
    description.write_text(
        whole.replace("    loader_module: mlflow.sklearn", "    data: inner/model\n    loader_module: mlflow.sklearn")
    )
    inner.mkdir()
    (inner / "MLmodel").write_text(whole.replace("serialization_format: skops", "serialization_format: pickle"))
    with (inner / "model").open("wb") as file:
        importlib.import_module("pickle").dump(Harm(harm), file)
    with pytest.raises(UntrustedModel, match="runs code when it is loaded"):
        scores(str(folder))
    assert not harm.exists()


def damaged(value: Any) -> Iterator[Any]:
    """Yield a JSON value with each of its parts replaced, or left out, once."""
    yield from (None, 5, "x", [], {}, True, [[]])
    if not isinstance(value, dict | list):
        return
    for place, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
        if isinstance(value, dict):
            yield {key: item for key, item in value.items() if key != place}
        for other in damaged(part):
            copy: Any = value.copy()
            copy[place] = other
            yield copy


def read(folder: Path) -> str:
    """Read a record and plan with it; return what is said of damage."""
    try:
        record = read_record(folder, "m")
        create_training_set(DF.select(["x"]), record.lookups, None, catalog=None)  # type: ignore[arg-type]
        record.predicts("double")
    except InvalidInput as error:
        return str(error)
    return ""


def test_a_damaged_record_is_one_line(tmp_path: Path) -> None:
    folder = fetched(logged("damaged", code=False).uri, tmp_path / "copy")
    file = folder / FILE
    whole = file.read_bytes()
    assert read(folder) == ""
    for content in (b"", b"{", b"[" * 100_000, b"\xff\xfe{}", whole[:-20], b"null", b'"x"'):
        file.write_bytes(content)
        assert read(folder).startswith("feature_lookups.json of m is damaged (")
    for value in damaged(json.loads(whole)):
        file.write_text(json.dumps(value))
        assert "\n" not in read(folder)
    file.unlink()
    file.mkdir()
    assert read(folder).startswith("feature_lookups.json of m is damaged (IsADirectoryError)")


def test_a_record_of_the_first_form_is_read(tmp_path: Path) -> None:
    """It knows no dtypes, and so takes those of rows without a null."""
    folder = fetched(logged("first", code=False).uri, tmp_path / "copy")
    content = json.loads((folder / FILE).read_text())
    for name in ("dtypes", "method", "answers", "classes"):
        del content[name]
    (folder / FILE).write_text(json.dumps(content | {"format": 1}))
    record = read_record(folder, "m")
    assert ({name: dtype.name for name, dtype in record.dtypes.items()}, record.method) == ({"x": "float64"}, None)
    assert record.predicts("double")
    assert record.predicts("string")


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"flavors: [", b"flavors: 5", b"[1]"])
def test_a_damaged_description_is_one_line(content: bytes, tmp_path: Path) -> None:
    folder = fetched(logged("described", code=False).uri, tmp_path / "copy")
    (folder / "MLmodel").write_bytes(content)
    with pytest.raises(FstkError) as caught:
        scores(str(folder))
    assert "\n" not in str(caught.value)


def test_a_kill_while_mlflow_makes_its_database_leaves_none(
    tmp_path: Path, tracking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The maker stands in for MLflow, which takes seconds; the second time it is let be."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    kills = iter([True, False])

    class Maker:
        def __init__(self, uri: str) -> None:
            self.file = Path(uri.removeprefix("sqlite:///"))

        def get_experiment(self, number: str) -> None:
            self.file.write_bytes(Path(tracking.removeprefix("sqlite:///")).read_bytes())
            if next(kills):
                raise KeyboardInterrupt

    monkeypatch.setattr(MLFLOW, "MlflowClient", Maker)
    with pytest.raises(KeyboardInterrupt), store():
        pass
    assert list(tmp_path.iterdir()) == []
    left, new = tmp_path / ".mlflow.db-killed", tmp_path / ".mlflow.db-at-work"
    for folder in (left, new):
        folder.mkdir()
    os.utime(left, (0, 0))
    with store():
        assert sorted(path.name for path in tmp_path.iterdir()) == [new.name, "mlflow.db"]
    with store():
        pass  # where it is, it is not made again


def test_a_broken_database_is_one_line_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half, text, folder = tmp_path / "half.db", tmp_path / "text.db", tmp_path / "folder.db"
    with closing(sqlite3.connect(half)) as made:
        made.execute("CREATE TABLE secrets (a INT)")
    text.write_text("no database" * 100)
    folder.mkdir()
    for file in (half, text, folder):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
        with pytest.raises(
            Infrastructure, match="cannot be used: .* move that file away, and a new one is made"
        ) as got:
            Registry(None).find("models:/m/1")
        assert "\n" not in str(got.value)
