"""MLflow without its chatter, and its errors as errors of fstk."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from fstk.errors import FstkError, Infrastructure, InvalidInput, UnknownModel
from fstk.optional import need

_BAR = "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"
_KINDS: dict[str, type[FstkError]] = {
    "RESOURCE_DOES_NOT_EXIST": UnknownModel,
    "INVALID_PARAMETER_VALUE": InvalidInput,
    "BAD_REQUEST": InvalidInput,
    "TEMPORARILY_UNAVAILABLE": Infrastructure,
    "REQUEST_LIMIT_EXCEEDED": Infrastructure,
}


@contextmanager
def quiet() -> Iterator[None]:
    """Run MLflow calls without log lines, warnings or progress bars; what MLflow raises leaves as an error of fstk.

    Raises:
        UnknownModel, InvalidInput: as MLflow says. Infrastructure: server, database or disk do not answer.
        FstkError: whatever else MLflow refuses.
    """
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
            yield
    except need("mlflow.exceptions").MlflowException as error:
        kind = _KINDS.get(error.error_code, FstkError)
        if isinstance(error.__context__, OSError):  # of which those of requests are
            kind = Infrastructure
        raise kind(f"MLflow: {_line(error)}") from error
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


def _line(error: Exception) -> str:
    line = next((part.strip() for part in str(error).splitlines() if part.strip()), type(error).__name__)
    return line if len(line) <= 300 else line[:299] + "…"
