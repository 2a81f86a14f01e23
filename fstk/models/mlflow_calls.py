"""MLflow at the project's place, without its chatter, and its errors as errors of fstk."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path

from fstk import settings
from fstk.errors import FstkError, Infrastructure, InvalidInput, UnknownModel
from fstk.optional import need

_TRACKING = "MLFLOW_TRACKING_URI"
_SQLITE = "sqlite:///"
_HALF_MADE = "Database migration in unexpected state"
_LEFT = 3600  # seconds after which what a killed process was making is nobody's
_BAR = "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"
_KINDS: dict[str, type[FstkError]] = {
    "RESOURCE_DOES_NOT_EXIST": UnknownModel,
    "INVALID_PARAMETER_VALUE": InvalidInput,
    "BAD_REQUEST": InvalidInput,
    "TEMPORARILY_UNAVAILABLE": Infrastructure,
    "REQUEST_LIMIT_EXCEEDED": Infrastructure,
}


def tracking() -> str | None:
    """Return where MLflow keeps runs and models, None for a place of its own choice. Its default lies in the working
    folder; where nothing else is set, and not on Databricks, it is the project's root instead, so that a notebook in
    ``notebooks/`` and a job started at the root meet the same models."""
    root = settings.root()
    settled = _TRACKING in os.environ or root == Path.cwd() or "DATABRICKS_RUNTIME_VERSION" in os.environ
    if settled or settings.load().engine == "databricks":
        return os.environ.get(_TRACKING)
    files = root / "mlruns"  # the older form, which MLflow goes on with where it is
    return files.as_uri() if any(files.glob("[0-9]*/meta.yaml")) else f"sqlite:///{root}/mlflow.db"


@contextmanager
def quiet() -> Iterator[None]:
    """Run MLflow calls, at the place that :func:`tracking` says, without log lines, warnings or progress bars; what
    MLflow raises leaves as an error of fstk, Infrastructure where server, database or disk do not answer."""
    stream = need("mlflow.utils.logging_utils").MLFLOW_LOGGING_STREAM
    loggers = {name: logging.getLogger(name) for name in ("mlflow", "alembic")}
    levels = {name: logger.level for name, logger in loggers.items()}
    enabled, bar = stream.enabled, os.environ.get(_BAR)
    try:
        stream.enabled = False
        for logger in loggers.values():
            logger.setLevel(logging.CRITICAL)
        os.environ[_BAR] = "false"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mlflow, place = need("mlflow"), tracking()
            if place is not None and not mlflow.is_tracking_uri_set():
                mlflow.set_tracking_uri(place)
            yield
    except need("mlflow.exceptions").MlflowException as error:
        kind = _KINDS.get(error.error_code, FstkError)
        if isinstance(error.__context__, OSError):  # of which those of requests are
            kind = Infrastructure
        broken = isinstance(error.__cause__ or error.__context__, need("sqlalchemy.exc").DatabaseError)
        if broken or _HALF_MADE in str(error):
            raise Infrastructure(_broken(error, need("mlflow").get_tracking_uri())) from error
        raise kind(f"MLflow: {_line(error)}") from error
    except need("sqlalchemy.exc").SQLAlchemyError as error:
        raise Infrastructure(_broken(error, need("mlflow").get_tracking_uri())) from error
    except OSError as error:
        raise Infrastructure(f"MLflow's files or server do not answer: {error}.") from error
    finally:
        stream.enabled = enabled
        for name, logger in loggers.items():
            logger.setLevel(levels[name])
        if bar is None:
            os.environ.pop(_BAR, None)
        else:
            os.environ[_BAR] = bar


@contextmanager
def store(registry: str | None = None) -> Iterator[None]:
    """Run MLflow calls, as :func:`quiet` does, that need its databases: that of runs and that of ``registry``, None for
    where MLflow is set to. Infrastructure: one of them cannot be used."""
    with quiet():
        mlflow = need("mlflow")
        for address in dict.fromkeys((mlflow.get_tracking_uri(), registry or mlflow.get_registry_uri())):
            if address.startswith(_SQLITE):
                _ready(_file(address))
        yield


def log_metrics(metrics: Mapping[str, float], name: str) -> None:
    """Log metrics to MLflow's active run, or else to one of their own called ``name``; raises as :func:`store`."""
    with store():
        mlflow = need("mlflow")
        with nullcontext() if mlflow.active_run() else mlflow.start_run(run_name=name):
            mlflow.log_metrics(dict(metrics))


def is_made(registry: str | None) -> bool:
    """Tell whether ``registry``, None for where MLflow is set to, is more than the name of a file; to be called as
    MLflow is."""
    address = registry or need("mlflow").get_registry_uri()
    return not address.startswith(_SQLITE) or _file(address).exists()


def _file(address: str) -> Path:
    return Path(address.removeprefix(_SQLITE).partition("?")[0]).absolute()


def _ready(file: Path) -> None:
    """Make a SQLite database that is missing. MLflow would make it in its place, in a hundred steps, of which a kill
    leaves what no later start can use; here it gets its name when it is whole."""
    if file.exists():
        try:
            with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True)) as found:
                found.execute("SELECT 1 FROM sqlite_master")
        except sqlite3.DatabaseError as error:  # at once: MLflow would try for minutes to open it
            raise Infrastructure(_broken(error, f"{_SQLITE}{file}")) from error
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{file.name}-"
    for left in file.parent.glob(f"{prefix}*"):
        if time.time() - left.stat().st_mtime > _LEFT:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=file.parent) as folder:
        made = Path(folder) / file.name
        need("mlflow").MlflowClient(f"{_SQLITE}{made}").get_experiment("0")
        with suppress(FileExistsError):  # another process was first
            os.link(made, file)


def _broken(error: Exception, place: str) -> str:
    said = f"MLflow's database {place} cannot be used: {_line(error).rstrip('.')}."
    if not place.startswith(_SQLITE) or "locked" in said:
        return f"{said} Try again later."
    return f"{said} If it is damaged, or was left half made, move that file away, and a new one is made."


def _line(error: Exception) -> str:
    line = next((part.strip() for part in str(error).splitlines() if part.strip()), type(error).__name__)
    return line if len(line) <= 300 else line[:299] + "…"
