"""What Spark, Delta, Py4J and gRPC raise, known by name, so that nothing here imports PySpark, turned into one sentence
of fstk; and kernel errors carried across processes."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from fstk import errors
from fstk.errors import FstkError, InvalidInput

_MARK, _END = "fstk-kernel-error ", " end-of-fstk-kernel-error"
_ANSWERABLE = ("PySparkException", "CapturedException", "Py4JError", "Py4JNetworkError", "RpcError", "DeltaError")
_ANSWERABLE += ("ConnectionError", "EOFError")  # of the sockets to the JVM
# What PySpark writes to the terminal, as JSON with the whole stack, beside the exception that says the same.
_LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
_ours: ContextVar[bool] = ContextVar("fstk_statement", default=False)
_REFUSALS = {"AnalysisException", "ArithmeticException", "NumberFormatException", "DateTimeException"}


_NO_PYTHON = (
    "Spark's workers start no Python ({said}). Set PYSPARK_PYTHON, here or of the Connect server, to one that each of "
    "them has, with fstk and of the version that runs here."
)
# How a condition begins, or, where none tells, what is found in class names and text; the error; its message.
# First match wins. The text comes last because it holds what people wrote: a value, a column, a path.
_ANSWERS: tuple[tuple[str | None, str | None, type[FstkError], str], ...] = (
    (
        None,
        r"Python worker exited unexpectedly",
        errors.EngineUnavailable,
        "a Python worker of Spark was ended, most often for want of memory. A worker holds all rows of a key: let "
        "fewer run at once, for example connect(master='local[1]'), or give the machine more.",
    ),
    (None, r'(?P<said>Cannot run program "[^"\n]+")', errors.EngineUnavailable, _NO_PYTHON),
    (None, r"Error from python worker:\s+(?P<said>[^\n]+)", errors.EngineUnavailable, _NO_PYTHON),
    (
        r"DELTA_CONCURRENT_|DELTA_METADATA_CHANGED|DELTA_PROTOCOL_CHANGED",
        r"Concurrent(Append|DeleteRead|DeleteDelete|Transaction|Write|Modification)Exception|MetadataChangedException"
        r"|ProtocolChangedException",
        errors.WriteConflict,
        "another writer changed the table first: {line} The same write may be tried again.",
    ),
    (
        r"DELTA_VERSION_NOT_FOUND|DELTA_TIMESTAMP_(EARLIER|GREATER)|DELTA_MISSING_CHANGE_DATA"
        r"|DELTA_CHANGE_DATA_FILE_NOT_FOUND|DELTA_VERSIONS_NOT_CONTIGUOUS|DELTA_UNSUPPORTED_TIME_TRAVEL_BEYOND",
        r"Cannot time travel Delta table to version",
        errors.ExpiredSnapshot,
        "{line}",
    ),
    (r"DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_", None, errors.IncompatibleChanges, "{line}"),
    (
        r"DELTA_LOG_FILE_|DELTA_TRUNCATED_TRANSACTION_LOG|DELTA_STATE_RECOVER_ERROR|DELTA_FILE_NOT_FOUND"
        r"|DELTA_INVALID_(COMMITTED_VERSION|PROTOCOL)|DELTA_FAILED_READ_FILE|DELTA_SCHEMA_NOT_SET|FAILED_READ_FILE",
        r"is not a Parquet file|Could not read footer|EOFException|Json(Parse|EOF|Mapping)Exception",
        errors.DamagedTable,
        "a table's log or files cannot be read: {line}",
    ),
    (
        r"TABLE_OR_VIEW_NOT_FOUND|SCHEMA_NOT_FOUND|PATH_NOT_FOUND|DELTA_PATH_DOES_NOT_EXIST|DELTA_TABLE_NOT_FOUND"
        r"|DELTA_MISSING_DELTA_TABLE|DELTA_TABLE_ONLY_OPERATION",
        r"NoSuchTableException",
        errors.UnknownTable,
        "{line}",
    ),
    (r"UNRESOLVED_COLUMN|UNRESOLVED_FIELD", None, errors.UnknownColumn, "{line}"),
    (
        r"PARSE_SYNTAX_ERROR|UNRESOLVED_ROUTINE|DATATYPE_MISMATCH|WRONG_NUM_ARGS",
        "ParseException",
        errors.BadExpression,
        "{line}",
    ),
    (
        r"DELTA_CONFIGURE_SPARK_SESSION",
        r"Failed to find (the )?data source: delta|DATA_SOURCE_NOT_FOUND.*delta|DeltaSparkSessionExtension"
        r"|ClassNotFoundException: (io\.delta|org\.apache\.spark\.sql\.delta)",
        errors.EngineUnavailable,
        "this Spark session has no Delta Lake. Stop it (spark.stop()), restart Python and call fstk.connect().",
    ),
    (r"(BINARY_)?ARITHMETIC_OVERFLOW|NUMERIC_VALUE_OUT_OF_RANGE", None, errors.NumericOverflow, "{line}"),
    (
        r"CAST_|DIVIDE_BY_ZERO|NUMERIC_|DATETIME_|REMAINDER_BY_ZERO|EXCEED_LIMIT_LENGTH|DELTA_EXCEED_CHAR_VARCHAR_LIMIT",
        None,
        InvalidInput,
        "{line}",
    ),
    (
        None,
        r"OutOfMemoryError",
        errors.EngineUnavailable,
        "Spark ran out of memory ({line}) Give it more, for example FSTK_DRIVER_MEMORY=8g.",
    ),
    (
        None,
        r"PYTHON_VERSION_MISMATCH|Python versions in the Spark Connect client and server are different",
        errors.EngineUnavailable,
        "this Python and that of Spark's workers are not of one version: use the workers' here.",
    ),
    (
        None,
        r"ModuleNotFoundError: No module named '(fstk|pyarrow|polars|numpy)\b",
        errors.EngineUnavailable,
        "the Python of Spark's workers has no fstk. Install it there: pip install fstk on each machine of a cluster, "
        "into the Python that PYSPARK_PYTHON names; the wheel as a library of a Databricks cluster.",
    ),
    (None, r"No space left on device", errors.Infrastructure, "the disk is full: {line}"),
    (
        r"INVALID_DRIVER_MEMORY",
        r"System memory \d+ must be at least",
        errors.EngineUnavailable,
        "the setting driver_memory (FSTK_DRIVER_MEMORY) is too small for Spark: {line} Set FSTK_DRIVER_MEMORY=1g.",
    ),
    (
        None,
        # By a thread of Spark's own, which nobody asked to.
        r"it was stopped at:\s+org\.apache\.spark\.SparkContext\$\$anon|Master removed our application"
        r"|All masters are unresponsive",
        errors.EngineUnavailable,
        "the cluster ended this application: its master does not answer, or no worker could start it. Their logs say "
        "why; workers of a pip-installed Spark need SPARK_HOME and SPARK_SCALA_VERSION=2.13 in their environment.",
    ),
    (
        r"NO_ACTIVE_SESSION|INVALID_HANDLE\.SESSION",
        r"stopped SparkContext|SparkContext was shut down|StatusCode\.UNAVAILABLE",
        errors.EngineUnavailable,
        "Spark does not answer ({line}) Call fstk.connect() again.",
    ),
    (
        None,
        # Py4J says no more of a call during which the connection broke.
        r"Py4JNetworkError|ConnectionError|EOFError|Answer from Java side is empty|while calling [\w.$]+\Z",
        errors.EngineUnavailable,
        "the JVM of Spark does not answer: it has ended, most often for want of memory. fstk.connect() starts another; "
        "frames of the old session are gone with it.",
    ),
)

# Where a message of the JVM begins: at its start, behind what Py4J and the scheduler put before it, or in a cause.
_CONDITION = re.compile(
    r"(?:\A\s*(?:An error occurred while calling \S+\s*:\s*)?(?:Job aborted due to stage failure: [^\n\[]*)?"
    r"|^Caused by: )(?:\([\w.$]+\)\s*|[\w.$]+: )?\[([A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*)\]",
    re.MULTILINE,
)


# Spark says "file not exist" of it; the words are Java's, of its classes of files.
_DENIED = re.compile(
    r"^(?:Caused by: )?java\.(?:io\.FileNotFoundException: (?P<file>.+) \(Permission denied\)"
    r"|nio\.file\.AccessDeniedException: (?P<path>.+))$",
    re.MULTILINE,
)


@contextmanager
def translated(doing: str = "") -> Iterator[None]:
    """Run Spark calls so that only errors of fstk leave the block, by :data:`_ANSWERS`, and a kernel's as the class
    that the kernel raised; ``doing`` (``"writing a.b"``) opens the message. What is neither Spark's nor its transport's
    passes."""
    with quietly():
        try:
            yield
        except Exception as error:
            answer = translation(error, doing)
            if answer is None:
                raise
            raise answer from error


@contextmanager
def quietly() -> Iterator[None]:
    """Keep what PySpark logs beside an exception, JSON and stacks, from the terminal inside the block, and from then on
    what Py4J logs as the root, whose own thread may be late."""
    logging.getLogger().addFilter(_not_of_py4j)
    for logger in _loggers():
        logger.addFilter(_not_ours)
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)


def silence_loggers() -> None:
    """Keep PySpark's own lines about refused statements from the terminal, for sessions that fstk starts."""
    for logger in _loggers():
        logger.disabled = True


def _loggers() -> list[logging.Logger]:
    module = sys.modules.get("pyspark.logger")  # only its own function makes loggers of the class that PySpark needs
    return [] if module is None else [module.PySparkLogger.getLogger(name) for name in _LOGGERS]


def _not_of_py4j(record: logging.LogRecord) -> bool:
    # It logs on the root what it also raises, and what its own thread meets that frees objects of a dead JVM.
    return "py4j" not in Path(record.pathname).parts


def _not_ours(record: logging.LogRecord) -> bool:
    return not _ours.get()


def translation(error: BaseException, doing: str = "") -> FstkError | None:
    """Return the error of fstk for an error of Spark, or None when it is not Spark's."""
    if isinstance(error, FstkError):
        return None
    names = [cls.__name__ for cls in type(error).__mro__]
    if not any(name in _ANSWERABLE for name in names):
        return None
    text = _said(error)
    if "CANNOT_PARSE_DATATYPE" in text and error.__context__ is not None:
        # PySpark says this of whatever kept it from a schema: of a broken connection, for example.
        behind = translation(error.__context__, doing)
        if behind is not None:
            return behind
    kernel = _kernel_error(text)
    if kernel is not None:
        return kernel
    opening = f"{doing}: " if doing else ""
    status = getattr(error, "getGrpcStatusCode", str)()
    answer = _answer(text, " ".join([*names, str(status), text]))
    if answer is not None:
        kind, message = answer
        return kind(opening + message)
    if "PythonException" in names:
        return FstkError(f"{opening}Python code run by Spark failed: {_last_line(text)}")
    return (InvalidInput if _REFUSALS.intersection(names) else FstkError)(opening + first_line(text))


def _said(error: BaseException) -> str:
    """Return an error's text, which of some errors only the JVM knows."""
    py4j = sys.modules.get("py4j.protocol")
    gone = (ConnectionError, AssertionError) if py4j is None else (ConnectionError, AssertionError, py4j.Py4JError)
    try:
        return str(error)
    except gone:
        return "ConnectionError"


def _answer(text: str, searched: str) -> tuple[type[FstkError], str] | None:
    denied = _DENIED.search(text)
    if denied is not None:
        return errors.AccessDenied, f"{denied['file'] or denied['path']} may not be read or written by this user."
    for found in _CONDITION.finditer(text):
        for conditions, _, kind, message in _ANSWERS:
            if conditions is not None and re.match(conditions, found[1]):
                return kind, message.format(line=first_line(text[found.end() :]))
    for _, texts, kind, message in _ANSWERS:
        told = None if texts is None else re.search(texts, searched)
        if told is not None:
            return kind, message.format(line=first_line(text), **told.groupdict())
    return None


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
    return getattr(errors, content["class"], FstkError)(content["message"])


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
