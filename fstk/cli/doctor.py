"""``fstk doctor``: one screen, each line ok or the command that mends it. Starts no JVM and fetches nothing."""

from __future__ import annotations

import platform
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass

from fstk import settings
from fstk.display import WIDTH, Displayed, Table
from fstk.errors import EngineUnavailable, FstkError, MissingPackage


@dataclass(frozen=True)
class Finding:
    """One line: what was found, and when it is not right, why and how to mend it."""

    ok: bool
    text: str


@dataclass(frozen=True, repr=False)
class Diagnosis(Displayed):
    """What is right and what is not, the latter first."""

    findings: tuple[Finding, ...]

    def display(self) -> Table:
        """Show one finding a line."""
        ordered = sorted(self.findings, key=lambda finding: finding.ok)
        lines = []
        for finding in ordered:
            mark = "ok    " if finding.ok else "FIX   "
            lines += textwrap.wrap(mark + finding.text, WIDTH, subsequent_indent=" " * len(mark))
        return Table("", (), (), lines)


def doctor() -> Diagnosis:
    """Check what fstk needs, and say how to mend it."""
    checks = (_engine, _jars, _warehouse, _online, _models, _notebooks)
    return Diagnosis(tuple(_found(check) for check in checks))


def _found(check: Callable[[], str]) -> Finding:
    try:
        return Finding(True, check())
    except FstkError as error:
        return Finding(False, str(error))


def _engine() -> str:
    # the grammar must be there at once: what a check needs is loaded by the check
    from fstk.engines import java, packages

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
    from fstk.engines import jars

    loaded = settings.load()
    if loaded.engine != "spark":
        return f"no jars needed by engine {loaded.engine}"
    missing = [jar.file for jar in jars.JARS if not (loaded.jars / jar.file).is_file()]
    if missing or not jars.archive(loaded.jars).is_file():
        what = f"{', '.join(missing)} not" if missing else "no archive of loaded classes, which halves the start, yet"
        raise EngineUnavailable(f"{what} in {loaded.jars}.   python -m fstk.engines.jars")
    return f"Delta's jars and the archive of loaded classes in {loaded.jars}"


def _warehouse() -> str:
    from fstk.engines.location import ready_warehouse

    path = settings.load().warehouse
    if not path.exists():
        return f"warehouse {path} is not there yet; the first write makes it"
    size = sum(file.stat().st_size for file in ready_warehouse(path).rglob("*") if file.is_file())
    return f"warehouse writable ({path}, {size / 1e6:.0f} MB)"


def _online() -> str:
    from fstk.online.spec import open_store

    with open_store(None) as store:
        started = time.perf_counter()
        names = store.names()
        took = (time.perf_counter() - started) * 1000
        return f"online store {store.url} reachable, {took:.1f} ms, {len(names)} tables"


def _models() -> str:
    from fstk.models import registry

    where = registry.tracking() or "mlflow.db of this folder"
    return f"MLflow {_installed('mlflow', 'models')} · tracking in {where}"


def _notebooks() -> str:
    parts = [f"{package} {_installed(package, 'notebook')}" for package in ("jupyterlab", "ipywidgets")]
    return " · ".join([*parts, f"papermill {_installed('papermill', 'jobs')}"])


def _installed(package: str, extra: str) -> str:
    from fstk.engines import packages

    version = packages.installed(package)
    if version is None:
        raise MissingPackage(f"{package} is not installed.   pip install 'fstk[{extra}]'")
    return version
