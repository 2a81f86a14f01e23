"""Set-up: declared once, done once, needs no network afterwards."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

import fstk

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LAPTOP = tuple(extra for extra in EXTRAS if extra != "databricks")
ENVIRONMENTS = {
    "environment.yml": LAPTOP,
    "environment-databricks.yml": ("databricks", "jobs", "models", "monitoring", "notebook"),
}

LOCKS = {
    "requirements.lock": LAPTOP,
    "requirements-databricks.lock": ("databricks", "jobs", "models", "monitoring"),
}


def _plain(requirement: str) -> str:
    return requirement.split(";")[0].strip()


def _pythons() -> list[str]:
    """Return the versions of Python that the package takes, oldest first."""
    bounds = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"])
    assert bounds
    return [f"3.{minor}" for minor in range(int(bounds[1]), int(bounds[2]))]


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


@pytest.mark.parametrize("file", ENVIRONMENTS)
def test_conda_environments_are_those_of_pyproject(file: str) -> None:
    environment = yaml.safe_load((ROOT / file).read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    declared = PROJECT["dependencies"] + [entry for extra in ENVIRONMENTS[file] for entry in EXTRAS[extra]]
    assert sorted(pip) == sorted({*map(_plain, declared), "-e ."})
    python = next(entry.removeprefix("python=") for entry in conda if entry.startswith("python="))
    assert python in _pythons()
    assert ("openjdk=17" in conda) == ("spark" in ENVIRONMENTS[file])


@pytest.mark.parametrize("file", LOCKS)
def test_locks_hold_one_version_of_all_that_is_declared_and_no_index(file: str) -> None:
    lines = [line for line in (ROOT / file).read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9._-]+(\[[a-z0-9,-]+\])?==[^ ]+( ; .+)?", line) for line in lines)
    held = {requirement.name: requirement for requirement in map(Requirement, lines)}
    for entry in PROJECT["dependencies"] + [entry for extra in LOCKS[file] for entry in EXTRAS[extra]]:
        declared = Requirement(entry)
        (exactly,) = held[_name(declared.name)].specifier
        assert declared.specifier.contains(exactly.version), f"{entry} is not {exactly} of {file}: make lock"


def test_set_up_takes_every_python_that_the_package_takes() -> None:
    makefile = (ROOT / "Makefile").read_text()
    oldest, newest = (tuple(map(int, version.split("."))) for version in (_pythons()[0], _pythons()[-1]))
    assert f"{oldest} <= sys.version_info[:2] < ({newest[0]}, {newest[1] + 1})" in makefile
    assert f"Python {', '.join(_pythons()[:-1])} or {_pythons()[-1]} is needed" in makefile
    assert all(f" python{version} " in makefile for version in _pythons())


def test_spark_and_databricks_exclude_each_other() -> None:
    names = {extra: {_name(entry) for entry in entries} for extra, entries in EXTRAS.items()}
    assert "databricks-connect" in names["databricks"]
    assert all("databricks-connect" not in found for extra, found in names.items() if extra != "databricks")
    assert all("pyspark" not in found for extra, found in names.items() if extra != "spark")


def test_every_dependency_says_why() -> None:
    inside = False
    for line in (ROOT / "pyproject.toml").read_text().splitlines():
        if re.match(rf"(dependencies|{'|'.join(EXTRAS)}) = \[", line):
            inside = True
        elif line == "]":
            inside = False
        elif inside and "pytest>=" not in line:
            assert re.search(r"#\s*\S", line), line


def test_whatever_is_imported_is_declared() -> None:
    homes = metadata.packages_distributions()
    declared = {_name(entry) for entries in (PROJECT["dependencies"], *EXTRAS.values()) for entry in entries}
    # Some come from packages of another name; py4j from PySpark, whose version of it is the one that fits.
    known = {"delta": "delta-spark", "databricks": "databricks-connect", "grpc": "grpcio-status", "py4j": "pyspark"}
    for file in sorted((ROOT / "fstk").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "need":
                names = [part.value for part in node.args if isinstance(part, ast.Constant)]
            for top in {str(name).split(".")[0] for name in names} - {"fstk"} - set(sys.stdlib_module_names):
                found = {known[top]} if top in known else {_name(home) for home in homes.get(top, [top])}
                assert found & declared, f"{file.relative_to(ROOT)} imports {top} ({found}), which pyproject.toml lacks"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks set up: every stamp made, in order."""
    for name in ("Makefile", "pyproject.toml", *LOCKS):
        (tmp_path / name).write_text((ROOT / name).read_text())
        os.utime(tmp_path / name, (1, 1))
    done = tmp_path / ".venv" / "done"
    done.mkdir(parents=True)
    servers = ("postgres", "redis", "cosmos")
    stamps = ("python", "packages", "java", "jars", "pyright", "chromium", *servers, "databricks")
    for second, name in enumerate(stamps, start=2):
        (done / name).touch()
        os.utime(done / name, (second, second))
    return tmp_path


def _planned(folder: Path, target: str) -> str:
    run = subprocess.run(["make", "-n", target], cwd=folder, capture_output=True, text=True, check=True)
    return run.stdout


def test_a_second_setup_repeats_nothing(checkout: Path) -> None:
    assert "Nothing to be done for 'setup'" in _planned(checkout, "setup")
    for target in ("demo", "bench", "check", "test"):
        planned = _planned(checkout, target)
        assert not re.search(r"pip install|apt-get|fstk\.engines\.jars|-m venv", planned), planned


@pytest.mark.parametrize("changed", ["pyproject.toml", "requirements.lock"])
def test_changed_dependencies_are_installed_into_the_same_environment(checkout: Path, changed: str) -> None:
    (checkout / changed).touch()
    planned = _planned(checkout, "setup")
    assert "pip install" in planned
    assert "fstk.engines.start.jars" in planned
    assert "-m venv" not in planned


def test_importing_fstk_waits_with_what_is_heavy() -> None:
    script = "import fstk, sys; print(sorted({name.split('.')[0] for name in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded: Any = ast.literal_eval(run.stdout)
    assert not {"pyspark", "mlflow", "evidently", "papermill", "pandas", "polars", "pyarrow", "deltalake"} & set(loaded)


def test_every_public_name_is_there() -> None:
    assert fstk.__version__ == metadata.version("fstk")
    assert set(fstk.__all__) <= set(dir(fstk))
    for name in fstk.__all__:
        assert getattr(fstk, name) is not None
    with pytest.raises(AttributeError, match="No fstk attribute nonsense"):
        fstk.nonsense  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


OFFLINE = """
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    up = struct.pack("16sh", b"lo", 0x1 | 0x40)  # the loopback interface: UP, RUNNING
    fcntl.ioctl(control, 0x8914, up)
    try:
        control.connect(("192.0.2.1", 9))
        print("there is a route")
    except OSError as error:
        print("no route:", error.strerror)
import fstk
from fstk.engines.base import TableVersion
from fstk.engines.connect import active, direct
session = fstk.connect("spark", master="local[1]")
session.range(5).write.format("delta").save("t")
table = TableVersion("t", "t")
mapped = active().map(active().read(table), ["id"], lambda rows: rows, {"id": "bigint"})
print(active().arrow(mapped).num_rows, direct().read(table).num_rows)
"""


@pytest.mark.spark
def test_spark_and_delta_work_with_the_network_unplugged(tmp_path: Path) -> None:
    run = subprocess.run(
        ["unshare", "--map-root-user", "--net", sys.executable, "-c", OFFLINE],
        cwd=tmp_path,
        env=os.environ | {"FSTK_WAREHOUSE": str(tmp_path / "warehouse"), "FSTK_DRIVER_MEMORY": "1g"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.stdout.splitlines() == ["no route: Network is unreachable", "5 5"], run.stderr
