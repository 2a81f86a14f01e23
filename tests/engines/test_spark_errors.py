"""No bare Spark stack reaches a person: each failure is one error of fstk, in one to three lines, its cause kept."""

from __future__ import annotations

import io
import logging
import os
import re
import shutil
import signal
from pathlib import Path

import pyarrow as pa
import pytest
from delta.exceptions import ConcurrentAppendException
from py4j.protocol import Py4JNetworkError
from pyspark.errors import PySparkValueError
from pyspark.logger import PySparkLogger

from fstk.engines.base import Engine, TableVersion
from fstk.engines.spark import SparkEngine
from fstk.engines.spark_errors import silence_loggers, translated
from fstk.errors import (
    AccessDenied,
    BadExpression,
    DamagedTable,
    EngineUnavailable,
    ExpiredSnapshot,
    FstkError,
    InvalidInput,
    NumericOverflow,
    UnknownColumn,
    UnknownTable,
    WriteConflict,
)

ROWS = pa.table({"k": [1, 2], "v": ["a", "b"]})


def _table(engine: SparkEngine, folder: Path) -> TableVersion:
    frame = engine.frame(ROWS, "rows")
    frame.write.format("delta").option("delta.enableChangeDataFeed", "true").save(str(folder))
    frame.write.format("delta").mode("append").save(str(folder))
    return TableVersion("s.t", str(folder))


def _one_line(error: pytest.ExceptionInfo[FstkError]) -> str:
    text = str(error.value)
    assert len(text.splitlines()) <= 3, text
    assert not re.search(r"java\.|org\.apache|SQLSTATE|Traceback|\tat ", text), text
    assert error.value.__cause__ is not None
    return text


def test_a_missing_table(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(UnknownTable) as error:
        engine.read(TableVersion("s.t", str(tmp_path / "none")))
    assert "s.t" in _one_line(error)


def test_a_missing_version(spark_engine: SparkEngine, tmp_path: Path) -> None:
    table = _table(spark_engine, tmp_path / "t")
    with pytest.raises(ExpiredSnapshot) as error:
        spark_engine.read(TableVersion(table.name, table.location, 9))
    assert "9" in _one_line(error)


@pytest.mark.parametrize("damage", ["garbage", "gap", "no files"])
def test_a_damaged_table(spark_engine: SparkEngine, tmp_path: Path, damage: str) -> None:
    _table(spark_engine, tmp_path / "t")
    copy = tmp_path / "copy"  # Delta caches what it has read of the first
    shutil.copytree(tmp_path / "t", copy)
    log = copy / "_delta_log"
    for checksum in set(copy.rglob("*.crc")):
        checksum.unlink()
    if damage == "garbage":
        (log / "00000000000000000001.json").write_text('{"add": {"path": \n')
    elif damage == "gap":
        (log / "00000000000000000000.json").unlink()
    else:
        for file in copy.glob("*.parquet"):
            file.unlink()
    with pytest.raises(DamagedTable) as error:
        spark_engine.arrow(spark_engine.read(TableVersion("s.t", str(copy))))
    assert "awaitResult" not in _one_line(error)


class PySparkException(Exception):
    """Stands in for Spark's: errors are known by their names."""


@pytest.mark.parametrize(
    "cause",
    [
        "java.io.FileNotFoundException: /w/s/t/part-0.parquet (Permission denied)",
        "java.nio.file.AccessDeniedException: /w/s/t/part-0.parquet",
    ],
)
def test_what_may_not_be_read_is_not_damaged(cause: str) -> None:
    said = (
        "An error occurred while calling o101.getResult.\n: org.apache.spark.SparkException: [FAILED_READ_FILE.FILE_"
        "NOT_EXIST] Encountered error while reading file file:/w/s/t/part-0.parquet. File does not exist."
    )
    denied = "^reading s.t: /w/s/t/part-0.parquet may not be read or written"
    with pytest.raises(AccessDenied, match=denied), translated("reading s.t"):
        raise PySparkException(f"{said}\nCaused by: {cause}\n\tat java.base/java.io.FileInputStream.open0(Native)")
    with pytest.raises(DamagedTable), translated("reading s.t"):
        raise PySparkException(f"{said}\nCaused by: java.io.FileNotFoundException: '(Permission denied)'")


LOST = (
    "An error occurred while calling o159.getResult.\n: org.apache.spark.SparkException: Exception thrown in "
    "awaitResult: \n\tat org.apache.spark.util.ThreadUtils$.awaitResult(ThreadUtils.scala:359)\nCaused by: "
    "org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 2.0 failed 4 times, most "
    "recent failure: Lost task 0.3 in stage 2.0 (TID 5) (127.0.0.1 executor 1): "
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            LOST + 'java.io.IOException: Cannot run program "/opt/none/python": error=2, No such file or directory',
            r'start no Python \(Cannot run program "/opt/none/python"\)\. Set PYSPARK_PYTHON',
        ),
        (
            LOST + "org.apache.spark.SparkException: \nError from python worker:\n  python3: bad interpreter\n"
            "org.apache.spark.SparkException: EOFException occurred while reading the port number from pyspark.daemon",
            r"start no Python \(python3: bad interpreter\)\. Set PYSPARK_PYTHON",
        ),
        (
            "An error occurred while calling None.org.apache.spark.sql.classic.SparkSession.\n: "
            "java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext.\n"
            "This stopped SparkContext was created at:\n\norg.apache.spark.api.java.JavaSparkContext.<init>(J.scala:59)"
            "\n\nAnd it was stopped at:\n\norg.apache.spark.SparkContext$$anon$3.run(SparkContext.scala:2295)\n",
            r"the cluster ended this application: .*SPARK_HOME and SPARK_SCALA_VERSION=2\.13",
        ),
    ],
)
def test_workers_that_start_nothing(text: str, says: str) -> None:
    with pytest.raises(EngineUnavailable, match=says) as error, translated():
        raise PySparkException(text)
    assert "fstk.connect()" not in _one_line(error)


def test_workers_without_fstk(spark_engine: SparkEngine) -> None:
    def unpickled(_: pa.Table) -> pa.Table:
        raise ModuleNotFoundError("No module named 'fstk'")  # what a worker says that cannot load a kernel

    with pytest.raises(EngineUnavailable) as error:
        spark_engine.arrow(spark_engine.map(spark_engine.frame(ROWS, "rows"), ["k"], unpickled, {"k": "bigint"}))
    assert "pip install fstk" in _one_line(error)


def test_a_damaged_table_read_without_spark(spark_engine: SparkEngine, tmp_path: Path) -> None:
    from fstk.engines.connect import direct

    table = _table(spark_engine, tmp_path / "t")
    (tmp_path / "t" / "_delta_log" / "00000000000000000001.json").write_text("{")
    with pytest.raises(DamagedTable):
        direct().read(table)
    with pytest.raises(ExpiredSnapshot):
        direct().read(TableVersion("s.t", table.location, 9))


def test_columns_functions_syntax_and_types(spark_engine: SparkEngine) -> None:
    frame = spark_engine.frame(ROWS, "rows")
    for text, kind in {
        "kk + 1": UnknownColumn,
        "nosuch(k)": BadExpression,
        "k +": BadExpression,
        "k + array(1)": BadExpression,
    }.items():
        with pytest.raises(kind) as error:
            spark_engine.select(frame, {"x": text})
        _one_line(error)


@pytest.mark.parametrize(
    "text",
    ["k / (k - 1)", "9223372036854775807 + k", "CAST(v AS INT)", "DATE(v)", "CAST(concat('UNAVAILABLE', v) AS INT)"],
)
def test_values_that_spark_refuses(spark_engine: SparkEngine, text: str) -> None:
    frame = spark_engine.select(spark_engine.frame(ROWS, "rows"), {"x": text})
    with pytest.raises(InvalidInput) as error:
        spark_engine.arrow(frame)
    assert "ansi" not in _one_line(error)


# As Spark 4.1, Py4J and Delta 4.3 write it; {} is what a person wrote.
CAST = (
    '[CAST_INVALID_INPUT] The value \'{}\' of the type "STRING" cannot be cast to "INT" because it is malformed. '
    "Correct the value as per the syntax, or change its target type. Use `try_cast` to tolerate malformed input and "
    "return NULL instead. SQLSTATE: 22018"
)
OVERFLOW = "[ARITHMETIC_OVERFLOW] long overflow in {}. Use 'try_add' to tolerate overflow. SQLSTATE: 22003"
ABORTED = (
    "Job aborted due to stage failure: Task 0 in stage 3.0 failed 1 times, most recent failure: Lost task 0.0 in stage "
    "3.0 (TID 5) (10.0.0.1 executor driver): org.apache.spark.SparkNumberFormatException: "
)
CALLING = "An error occurred while calling o57.save.\n: org.apache.spark.SparkException: "
WRITING = CALLING + "[TASK_WRITE_FAILED] Task failed while writing rows to file:/tmp/t. SQLSTATE: 58030\nCaused by: "
RESOLVING = "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column with name `{}` cannot be resolved. SQLSTATE: 42703"
DELTA = "(org.apache.spark.sql.delta.DeltaAnalysisException) [DELTA_PATH_DOES_NOT_EXIST] {} doesn't exist"
WORDS = ["UNAVAILABLE", "OutOfMemoryError", "No space left on device", "EOFException", "[DELTA_CONCURRENT_APPEND]"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("NumberFormatException", CAST, InvalidInput),
        ("SparkConnectGrpcException", CAST, InvalidInput),
        ("SparkException", ABORTED + CAST, InvalidInput),
        ("Py4JJavaError", WRITING + "org.apache.spark.SparkNumberFormatException: " + CAST, InvalidInput),
        ("ArithmeticException", OVERFLOW, NumericOverflow),
        ("AnalysisException", RESOLVING, UnknownColumn),
        ("AnalysisException", DELTA, UnknownTable),
    ],
)
def test_the_condition_decides_whatever_words_a_value_holds(
    word: str, name: str, text: str, kind: type[FstkError]
) -> None:
    raised = type(name, (type("PySparkException", (Exception,), {}),), {})
    with pytest.raises(kind) as error, translated():
        raise raised(text.format(word))
    assert type(error.value) is kind
    _one_line(error)


def test_a_server_that_is_gone() -> None:
    known = {"getGrpcStatusCode": lambda self: "StatusCode.UNAVAILABLE"}
    raised = type("SparkConnectGrpcException", (type("PySparkException", (Exception,), {}),), known)
    with (
        pytest.raises(EngineUnavailable, match=r"does not answer \(failed to connect to all addresses\."),
        translated(),
    ):
        raise raised("failed to connect to all addresses")


def test_a_write_conflict(spark_engine: SparkEngine) -> None:
    with pytest.raises(WriteConflict) as error, translated("writing s.t"):
        raise ConcurrentAppendException("[DELTA_CONCURRENT_APPEND] Files were added by a concurrent update.")
    assert _one_line(error).startswith("writing s.t: another writer")


def test_a_kernel_that_breaks_says_its_last_line(spark_engine: SparkEngine) -> None:
    def broken(table: pa.Table) -> pa.Table:
        raise ZeroDivisionError("a bug of ours")

    with pytest.raises(FstkError, match="a bug of ours") as error:
        spark_engine.arrow(spark_engine.map(spark_engine.frame(ROWS, "rows"), ["k"], broken, {"k": "bigint"}))
    _one_line(error)


def test_a_kernel_with_other_columns_than_declared(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="declared"):
        engine.arrow(engine.map(engine.frame(ROWS, "rows"), ["k"], lambda table: table, {"k": "bigint"}))


def test_pyspark_logs_nothing_beside_a_sentence_of_fstk(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    handler = logging.StreamHandler(io.StringIO())
    monkeypatch.setattr(handler, "emit", lambda record: said.append(record.getMessage()))
    logger = PySparkLogger.getLogger("SQLQueryContextLogger")
    monkeypatch.setattr(logger, "disabled", False)  # as in a session that fstk did not start
    monkeypatch.setattr(logger, "handlers", [handler])
    with translated(), translated():
        logger.exception("of a statement of fstk")
    logger.exception("of the user's own")
    assert said == ["of the user's own"]
    silence_loggers()
    logger.exception("in a session that fstk started")
    assert len(said) == 1


def test_an_error_whose_text_only_a_dead_jvm_knows() -> None:
    class Unknown(type("Py4JError", (Exception,), {})):
        def __str__(self) -> str:
            raise ConnectionRefusedError(111, "Connection refused")

    call = type("Py4JError", (Exception,), {})("An error occurred while calling o266.getResult")
    sending = Py4JNetworkError("Error while sending or receiving")
    refused = ConnectionRefusedError(111, "Connection refused")
    for broken in (Unknown(), call, sending, *(_no_schema(error) for error in (Unknown(), call, sending, refused))):
        with (
            pytest.raises(EngineUnavailable, match=r"the JVM of Spark does not answer.* fstk\.connect\(\)"),
            translated(),
        ):
            raise broken


def test_a_schema_that_cannot_be_parsed_is_not_a_dead_jvm() -> None:
    for broken in (_no_schema(KeyError("type")), _no_schema(ValueError("Connection refused"))):
        with pytest.raises(FstkError, match="Unable to parse datatype") as error, translated():
            raise broken
        assert not isinstance(error.value, EngineUnavailable)


def _no_schema(cause: Exception) -> PySparkValueError:
    """Return the error of a frame's schema as PySpark raises it, without a cause, while it handles another."""
    try:
        try:
            raise cause
        except Exception as error:  # noqa: BLE001
            raise PySparkValueError(errorClass="CANNOT_PARSE_DATATYPE", messageParameters={"msg": type(error).__name__})  # noqa: B904
    except PySparkValueError as error:
        return error


def test_a_refused_connection() -> None:
    with pytest.raises(EngineUnavailable) as error, translated("writing s.t"):
        raise ConnectionRefusedError(111, "Connection refused")
    assert "fstk.connect()" in _one_line(error)


def test_other_errors_and_our_own_pass_unchanged() -> None:
    for ours in (KeyError("x"), WriteConflict("x"), KeyboardInterrupt()):
        with pytest.raises(type(ours)) as error, translated():
            raise ours
        assert error.value is ours


def test_a_worker_that_is_killed(spark_engine: SparkEngine) -> None:
    def killed(rows: pa.Table) -> pa.Table:
        os.kill(os.getpid(), signal.SIGKILL)
        return rows

    with pytest.raises(EngineUnavailable, match=r"a Python worker of Spark was ended, most often for want of memory"):
        spark_engine.arrow(spark_engine.map(spark_engine.frame(ROWS, "rows"), ["k"], killed, {"k": "bigint"}))
