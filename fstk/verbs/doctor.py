"""What ``fstk doctor`` says: each line ok or the command that mends it. Starts no JVM and fetches nothing."""

from __future__ import annotations

import platform
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fstk import settings
from fstk.display import WIDTH, Displayed, Sheet, plural
from fstk.engines.start import jars, java, packages
from fstk.errors import EngineUnavailable, FstkError, MissingPackage
from fstk.models.mlflow_calls import tracking
from fstk.online.spec import open_store
from fstk.online.store import Doubted
from fstk.tables.configured import open_catalog
from fstk.tables.local import file_sizes
from fstk.warehouse import read_only, ready_warehouse

_SCATTERED = 20  # times as many files as their bytes would fill are worth a word
_UNBROKEN = "\N{NO-BREAK SPACE}"  # in a command, which is to be copied whole


@dataclass(frozen=True)
class Check:
    """One line: what was found, and when it is not right, why and how to mend it."""

    ok: bool
    text: str


@dataclass(frozen=True, repr=False)
class Diagnosis(Displayed):
    """What is right and what is not, the latter first."""

    checks: tuple[Check, ...]

    def display(self) -> Sheet:
        lines = []
        for check in sorted(self.checks, key=lambda check: check.ok):
            said, gap, command = check.text.partition("   ")
            text = f"{'ok ' if check.ok else 'FIX'}   {said}{gap}{command.replace(' ', _UNBROKEN)}"
            lines += [one.replace(_UNBROKEN, " ") for one in textwrap.wrap(text, WIDTH, subsequent_indent=" " * 6)]
        return Sheet("", (), (), lines)

    def _repr_html_(self) -> str:
        rows = []
        for check in sorted(self.checks, key=lambda check: check.ok):
            said, _, command = check.text.partition("   ")
            rows.append(("ok" if check.ok else "FIX", said, command))
        return Sheet("", ("", "found", "mend it"), rows).html()


def diagnose() -> Diagnosis:
    checks = (_engine, _jars, _warehouse, _tables, _online, _models, _notebooks)
    # what is wrong with the settings stops several checks, and is said once
    return Diagnosis(tuple(dict.fromkeys(_found(check) for check in checks)))


def _found(check: Callable[[], str]) -> Check:
    try:
        return Check(True, check())
    except FstkError as error:
        return Check(False, str(error))


def _engine() -> str:
    engine = settings.load().engine
    here = f"Python {platform.python_version()} · fstk {packages.installed('fstk')} · engine {engine}"
    if engine == "spark":
        packages.check_pair()
        spark, delta = packages.installed("pyspark"), packages.installed("delta-spark")
        return f"{here} · Java {java.find().version} · Spark {spark} with delta-spark {delta}"
    packages.check_clash()
    client = "databricks-connect" if engine == "databricks" else "pyspark"
    return f"{here} · {client} {_installed(client, 'databricks' if engine == 'databricks' else 'spark')}"


def _jars() -> str:
    loaded = settings.load()
    if loaded.engine != "spark":
        return f"no jars needed by engine {loaded.engine}"
    missing = [jar.file for jar in jars.missing(loaded.jars)]
    if missing or not jars.archive(loaded.jars).is_file():
        listed = f"{', '.join(missing)} not, or not as published,"
        what = listed if missing else "no archive of loaded classes, which halves the start, yet"
        raise EngineUnavailable(f"{what} in {loaded.jars}.   python -m fstk.engines.start.jars")
    return f"Delta's jars and the archive of loaded classes in {loaded.jars}"


def _warehouse() -> str:
    path = settings.load().warehouse
    if not path.exists():
        return f"warehouse {path} is not there yet; the first write makes it"
    writable = "readable, not writable" if read_only(path) else "writable"
    place = path if read_only(path) else ready_warehouse(path)
    size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    return f"warehouse {writable} ({path}, {size / 1e6:.0f} MB)"


def _tables() -> str:
    loaded = settings.load()
    if loaded.engine == "databricks":
        return "tables are Unity Catalog's"
    tables, faults = open_catalog().survey()
    if faults:
        raise faults[0]
    for table in tables:
        sizes = file_sizes(Path(table.location or ""), table.name)
        wanted = sum(max(1, round(sum(sizes[part]) / (loaded.file_mb * 1_000_000))) for part in sizes)
        count = sum(map(len, sizes.values()))
        if count > _SCATTERED * wanted:
            raise FstkError(
                f"{table.name} has {count} files where {wanted} would do, which reads slowly. In a session:   "
                f"spark.sql('OPTIMIZE delta.`{table.location}`')"
            )
    return f"{plural(len(tables), 'feature table')} readable, their files of good size"


def _online() -> str:
    with open_store(None) as store:
        started = time.perf_counter()
        names = store.names()
        took = (time.perf_counter() - started) * 1000
        if isinstance(store, Doubted):
            doubt = store.doubt([table for name in names if (table := store.table(name)) is not None])
            if doubt is not None:
                raise FstkError(f"online store {store.url}: {doubt}")
        return f"online store {store.url} reachable, {took:.1f} ms, {len(names)} tables"


def _models() -> str:
    where = tracking() or "mlflow.db of this folder"
    return f"MLflow {_installed('mlflow', 'models')} · tracking in {where}"


def _notebooks() -> str:
    parts = [f"{package} {_installed(package, 'notebook')}" for package in ("jupyterlab", "ipywidgets")]
    return " · ".join([*parts, f"papermill {_installed('papermill', 'jobs')}"])


def _installed(package: str, extra: str) -> str:
    version = packages.installed(package)
    if version is None:
        raise MissingPackage(f"{package} is not installed.   pip install 'fstk[{extra}]'")
    return version
