"""What Spark, Delta, Py4J and gRPC raise, turned into one sentence of fstk; and kernel errors carried across processes.

Classes are known by name, so that nothing here imports PySpark.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fstk import errors
from fstk.errors import (
    BadExpression,
    DamagedTable,
    EngineUnavailable,
    ExpiredSnapshot,
    FstkError,
    Infrastructure,
    InvalidInput,
    NumericOverflow,
    UnknownColumn,
    UnknownTable,
    WriteConflict,
)

_MARK, _END = "fstk-kernel-error ", " end-of-fstk-kernel-error"
_ANSWERABLE = ("PySparkException", "CapturedException", "Py4JError", "Py4JNetworkError", "RpcError", "DeltaError")
_REFUSALS = {"AnalysisException", "ArithmeticException", "NumberFormatException", "DateTimeException"}


@dataclass(frozen=True)
class _Answer:
    """What is answered to errors of these ``conditions`` (how theirs begin), or, where no condition tells, to those in
    whose class names or text ``texts`` is found."""

    conditions: str | None
    texts: str | None
    kind: type[FstkError]
    message: str = "{line}"


# First match wins. The text comes last because it holds what people wrote: a value, a column, a path.
_ANSWERS = (
    _Answer(
        None,
        r"Python worker exited unexpectedly",
        EngineUnavailable,
        "a Python worker of Spark was ended, most often for want of memory. A worker holds all rows of a key: let "
        "fewer run at once, for example connect(master='local[1]'), or give the machine more.",
    ),
    _Answer(
        r"DELTA_CONCURRENT_|DELTA_METADATA_CHANGED|DELTA_PROTOCOL_CHANGED",
        r"Concurrent(Append|DeleteRead|DeleteDelete|Transaction|Write|Modification)Exception|MetadataChangedException"
        r"|ProtocolChangedException",
        WriteConflict,
        "another writer changed the table first: {line} The same write may be tried again.",
    ),
    _Answer(
        r"DELTA_VERSION_NOT_FOUND|DELTA_TIMESTAMP_(EARLIER|GREATER)|DELTA_MISSING_CHANGE_DATA"
        r"|DELTA_CHANGE_DATA_FILE_NOT_FOUND|DELTA_VERSIONS_NOT_CONTIGUOUS|DELTA_UNSUPPORTED_TIME_TRAVEL_BEYOND",
        r"Cannot time travel Delta table to version",
        ExpiredSnapshot,
    ),
    _Answer(
        r"DELTA_LOG_FILE_|DELTA_TRUNCATED_TRANSACTION_LOG|DELTA_STATE_RECOVER_ERROR|DELTA_FILE_NOT_FOUND"
        r"|DELTA_INVALID_(COMMITTED_VERSION|PROTOCOL)|DELTA_FAILED_READ_FILE|DELTA_SCHEMA_NOT_SET|FAILED_READ_FILE",
        r"is not a Parquet file|Could not read footer|EOFException|Json(Parse|EOF|Mapping)Exception",
        DamagedTable,
        "a table's log or files cannot be read: {line}",
    ),
    _Answer(
        r"TABLE_OR_VIEW_NOT_FOUND|SCHEMA_NOT_FOUND|PATH_NOT_FOUND|DELTA_PATH_DOES_NOT_EXIST|DELTA_TABLE_NOT_FOUND"
        r"|DELTA_MISSING_DELTA_TABLE|DELTA_TABLE_ONLY_OPERATION",
        r"NoSuchTableException",
        UnknownTable,
    ),
    _Answer(r"UNRESOLVED_COLUMN|UNRESOLVED_FIELD", None, UnknownColumn),
    _Answer(r"PARSE_SYNTAX_ERROR|UNRESOLVED_ROUTINE|DATATYPE_MISMATCH|WRONG_NUM_ARGS", "ParseException", BadExpression),
    _Answer(
        r"DELTA_CONFIGURE_SPARK_SESSION",
        r"Failed to find (the )?data source: delta|DATA_SOURCE_NOT_FOUND.*delta|DeltaSparkSessionExtension"
        r"|ClassNotFoundException: (io\.delta|org\.apache\.spark\.sql\.delta)",
        EngineUnavailable,
        "this Spark session has no Delta Lake. Stop it (spark.stop()), restart Python and call fstk.connect().",
    ),
    _Answer(r"(BINARY_)?ARITHMETIC_OVERFLOW|NUMERIC_VALUE_OUT_OF_RANGE", None, NumericOverflow),
    _Answer(r"CAST_|DIVIDE_BY_ZERO|NUMERIC_|DATETIME_|REMAINDER_BY_ZERO", None, InvalidInput),
    _Answer(
        None,
        r"OutOfMemoryError",
        EngineUnavailable,
        "Spark ran out of memory ({line}) Give it more, for example FSTK_DRIVER_MEMORY=8g.",
    ),
    _Answer(
        None,
        r"PYTHON_VERSION_MISMATCH|Python versions in the Spark Connect client and server are different",
        EngineUnavailable,
        "this Python and that of Spark's workers are not of one version: use the workers' here.",
    ),
    _Answer(
        None,
        r"ModuleNotFoundError: No module named '(fstk|pyarrow|polars|numpy)\b",
        EngineUnavailable,
        "Spark's Python workers have no fstk. Install it where they run: pip install fstk on a server, the wheel as a "
        "library of a Databricks cluster.",
    ),
    _Answer(None, r"No space left on device", Infrastructure, "the disk is full: {line}"),
    _Answer(
        r"NO_ACTIVE_SESSION|INVALID_HANDLE\.SESSION",
        r"stopped SparkContext|SparkContext was shut down|Py4JNetworkError|StatusCode\.UNAVAILABLE|Connection refused"
        r"|Answer from Java side is empty",
        EngineUnavailable,
        "Spark does not answer ({line}) Call fstk.connect() again.",
    ),
)

# Where a message of the JVM begins: at its start, behind what Py4J and the scheduler put before it, or in a cause.
_CONDITION = re.compile(
    r"(?:\A\s*(?:An error occurred while calling \S+\s*:\s*)?(?:Job aborted due to stage failure: [^\n\[]*)?"
    r"|^Caused by: )(?:\([\w.$]+\)\s*|[\w.$]+: )?\[([A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*)\]",
    re.MULTILINE,
)


@contextmanager
def translated(doing: str = "") -> Iterator[None]:
    """Run Spark calls so that only errors of fstk leave the block; ``doing`` (``"writing a.b"``) opens the message.

    Errors that are neither Spark's nor its transport's pass unchanged.

    Raises:
        WriteConflict, DamagedTable, ExpiredSnapshot, UnknownTable, UnknownColumn, BadExpression, EngineUnavailable,
        Infrastructure: by what Spark said. NumericOverflow: a result beyond its type. InvalidInput: another value
        that Spark refused (division by zero, a cast).
        FstkError: the rest, and an error of a kernel as the class that the kernel raised.
    """
    try:
        yield
    except Exception as error:
        answer = translation(error, doing)
        if answer is None:
            raise
        raise answer from error


def translation(error: BaseException, doing: str = "") -> FstkError | None:
    """Return the error of fstk for an error of Spark, or None when it is not Spark's."""
    if isinstance(error, FstkError):
        return None
    names = [cls.__name__ for cls in type(error).__mro__]
    refused = isinstance(error, ConnectionError)
    if not refused and not any(name in _ANSWERABLE for name in names):
        return None
    text = str(error)
    kernel = _kernel_error(text)
    if kernel is not None:
        return kernel
    opening = f"{doing}: " if doing else ""
    status = getattr(error, "getGrpcStatusCode", str)()
    answer, why = _answer(text, " ".join([*names, "Connection refused" if refused else "", str(status), text]))
    line = first_line(why)
    if answer is not None:
        return answer.kind(opening + answer.message.format(line=line))
    if "PythonException" in names:
        return FstkError(f"{opening}Python code run by Spark failed: {_last_line(text)}")
    if _REFUSALS.intersection(names):
        return InvalidInput(opening + line)
    return FstkError(opening + line)


def _answer(text: str, searched: str) -> tuple[_Answer | None, str]:
    """Return the answer to an error, and the part of its text that says why."""
    for found in _CONDITION.finditer(text):
        for answer in _ANSWERS:
            if answer.conditions is not None and re.match(answer.conditions, found[1]):
                return answer, text[found.end() :]
    return next((answer for answer in _ANSWERS if answer.texts and re.search(answer.texts, searched)), None), text


def kernel_failure(error: FstkError) -> RuntimeError:
    """Return an exception whose text carries ``error`` from a worker process through Spark to :func:`translated`."""
    content = json.dumps({"class": type(error).__name__, "message": str(error)})
    return RuntimeError(f"{_MARK}{content}{_END}")


def _kernel_error(text: str) -> FstkError | None:
    start = text.find(_MARK)
    end = text.find(_END, start)
    if start < 0 or end < 0:
        return None
    content = json.loads(text[start + len(_MARK) : end])
    kind = getattr(errors, content["class"], FstkError)
    return kind(content["message"])


def first_line(text: str) -> str:
    """Return the first line of a Spark message without its error class, SQLSTATE and plan, ending in a full stop."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = lines[0] if lines else "no message"
    # "An error occurred while calling o1.load." and "(org.apache…Exception) …" say nothing; what follows does.
    if line.startswith("An error occurred while calling") and len(lines) > 1:
        line = lines[1].removeprefix(": ")
    causes = re.findall(r"^Caused by: (.+)$", text, re.MULTILINE)
    if "Exception thrown in awaitResult" in line and causes:
        line = causes[-1].strip()
    line = re.sub(r"^\((?:[\w$]+\.)+[\w$]+\)\s*", "", line)
    line = re.sub(r"^(?:[a-z][\w$]*\.)+[\w$]+(?:Exception|Error): ", "", line)
    line = re.sub(r"^\[[A-Z0-9_.]+\] ", "", line)
    line = re.sub(r" If necessary set \"spark\.sql\.ansi\.enabled\".*", "", line)  # fstk's answers are ANSI's
    line = re.sub(r"\s*SQLSTATE: \w+;?.*$", "", line).rstrip(";: ")
    if len(line) > 300:
        line = line[:299] + "…"
    return line if line.endswith((".", "…", "!", "?")) else line + "."


def _last_line(text: str) -> str:
    body = text.split("JVM stacktrace:")[0]
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    return lines[-1] if lines else "no message."
