"""``fstk tables`` and ``fstk show`` read the tables' own metadata: no JVM, and little to load."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

import fstk
from fstk.cli.app import main, run_command
from fstk.errors import UnknownTable
from fstk.online.spec import open_store
from tests.notebook.tables import write


@pytest.fixture
def customers(warehouse: Path) -> Path:
    """A feature table, written without Spark."""
    folder = warehouse / "feature_store" / "customers"
    rows = pa.table({"customer_id": [1, 2, 3], "spend": [1.0, None, 3.0]})
    write_deltalake(folder, rows)
    log = folder / "_delta_log" / f"{0:020}.json"  # its writer knows no properties but Delta's own
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "metaData" in action:
            action["metaData"]["configuration"]["fstk.primary_keys"] = json.dumps(["customer_id"])
    log.write_text("".join(json.dumps(action) + "\n" for action in actions))
    return folder


@pytest.mark.usefixtures("customers")
def test_tables_are_listed_and_shown() -> None:
    assert repr(run_command(["tables"])).splitlines() == [
        "  table                    version  rows  keys         features",
        "  feature_store.customers        0     3  customer_id         1",
    ]
    shown = run_command(["show", "Feature_Store.Customers"])
    assert (shown.name, shown.features) == ("feature_store.customers", ["spend"])
    with pytest.raises(UnknownTable, match=r"Nearest: feature_store\.customers"):
        run_command(["show", "feature_store.customer"])


def test_tables_are_found_by_tag_and_text(warehouse: Path) -> None:
    rows = pa.table({"id": [1], "spend_30d": [1.0]})
    for name, tags in (("churn", {"team": "growth", "pii": "no"}), ("fraud", {"team": "risk"}), ("plain", {})):
        given = {f"tag.{key}": value for key, value in tags.items()}
        write(warehouse / "fs" / name, rows, primary_keys='["id"]', **given)
    fe = fstk.FeatureEngineeringClient()

    def found(*words: str) -> list[str]:
        return [table.name.removeprefix("fs.") for table in run_command(["tables", *words]).tables]

    assert found("--tag", "team") == ["churn", "fraud"]
    assert found("--tag", "team=risk") == ["fraud"]
    assert found("--tag", "team=growth", "--tag", "pii") == found("--tag", "pii=no") == ["churn"]
    assert found("--tag", "team=") == found("--tag", "Team") == found("--tag", "team=risk", "--text", "churn") == []
    assert found("--text", "GROWTH") == ["churn"]
    assert found("--text", "spend") == found("--text", "FS.") == ["churn", "fraud", "plain"]
    assert repr(run_command(["tables", "--text", "nowhere"])) == "no such feature table."
    assert [table.name for table in fe.list_tables(tags={"team": "risk"})] == ["fs.fraud"]
    assert [table.name for table in fe.list_tables(tags={"team": None}, text="pii")] == ["fs.churn"]


def test_a_table_is_dropped_when_it_is_meant(customers: Path) -> None:
    line = ["drop", "feature_store.customers"]
    assert run_command(line).startswith("feature_store.customers v0 · 3 rows would be removed for good.")
    assert customers.exists()
    assert run_command([*line, "--yes"]) == "feature_store.customers v0 · 3 rows is removed."
    with pytest.raises(UnknownTable):
        run_command(line)


def test_an_empty_warehouse_says_where_it_is(warehouse: Path) -> None:
    assert " ".join(repr(run_command(["tables"])).split()) == f"no feature tables yet. Looked in {warehouse}"


def test_neither_spark_nor_anything_else_that_is_heavy_is_loaded(customers: Path) -> None:
    code = (
        "import sys\nfrom fstk.cli.app import run_command\nrun_command(['tables'])\n"
        "run_command(['show', 'feature_store.customers'])\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"pyspark", "py4j", "mlflow", "evidently", "papermill", "IPython", "matplotlib"}
    assert customers.exists()


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_tags_are_set_and_deleted(customers: Path) -> None:
    assert run_command(["tag", "feature_store.customers", "team=growth", "pii=no"]).tags == {
        "team": "growth",
        "pii": "no",
    }
    assert run_command(["tag", "feature_store.customers", "note=a=b", "--delete", "pii"]).tags == {
        "team": "growth",
        "note": "a=b",
    }
    assert customers.exists()


def test_publishing_says_what_it_would_do_and_then_does_it(customers: Path, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/online.db"
    words = ["publish", "feature_store.customers", "--to", store]
    dry = run_command([*words, "--dry-run"])
    assert (dry.dry_run, dry.written, dry.unchanged) == (True, 3, 0)
    done = run_command([*words, "--feature", "spend", "--where", "customer_id < 3"])
    assert (done.dry_run, done.written) == (False, 2)
    assert customers.exists()


def test_parity_answers_by_its_exit_code(
    customers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = f"sqlite:///{tmp_path}/online.db"
    words = ["feature_store.customers", "--to", store]

    def typed(*argv: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["fstk", *argv])
        code = main()
        said = capsys.readouterr()
        return code, said.out, said.err

    code, out, err = typed("parity", *words)
    assert (code, out) == (2, "")
    assert err.startswith("UnknownTable: no online table feature_store.customers")
    run_command(["publish", *words])
    code, out, err = typed("parity", *words)
    assert (code, err) == (0, "")
    assert "3 equal · 0 different · 0 missing online" in out
    table = DeltaTable(customers)
    table.delete("customer_id = 3")
    write_deltalake(customers, pa.table({"customer_id": [4], "spend": [4.0]}), mode="append")
    run_command(["publish", *words])
    code, out, err = typed("parity", *words)
    assert code == 0
    assert "1 online rows have a key that is gone offline: customer_id=3." in out
    assert run_command(["publish", *words, "--prune", "--dry-run"]).removed == 1
    assert run_command(["publish", *words, "--prune"]).removed == 1
    with open_store(store) as opened:
        online = opened.table("feature_store.customers")
        assert online is not None
        [[row]] = opened.get([(online, [b"i1"])])
        assert row is not None
        opened.write(online, [row._replace(version=9, value=row.value.replace(b"\x3f\xf0", b"\x3f\xf1"))])
        opened.remove(online, [b"i4"], 9)
    code, out, err = typed("parity", *words)
    assert (code, err) == (3, "GateRefused: 1 keys differ online, 1 are missing there.\n")
    lines = [line.split() for line in out.splitlines()]
    assert ["customer_id=1", "spend", "1.0", "1.0625"] in lines
    assert ["customer_id=4", "the", "whole", "row", "there", "None"] in lines
    sampled = run_command(["parity", *words, "--sample", "2", "--seed", "5"], namespace={})
    assert "2 of 3 keys, chosen at random (seed 5)" in repr(sampled)
    assert typed("parity", *words, "--sample", "0")[0] == 2
    namespace: dict[str, Any] = {}
    exec(repr(run_command(["parity", *words, "--sample", "2", "--seed", "5", "--code"])), namespace)
    assert (namespace["parity"].keys, namespace["parity"].seed) == (3, 5)
    exec(repr(run_command(["publish", *words, "--prune", "--code"])), namespace)
    assert namespace["report"].removed == 0


def test_doctor_checks_without_starting_or_making_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FSTK_WAREHOUSE", str(tmp_path / "warehouse"))
    monkeypatch.setenv("FSTK_JARS", str(tmp_path / "jars"))
    monkeypatch.setenv("FSTK_ONLINE_STORE", f"sqlite:///{tmp_path}/online.db")
    lines = repr(run_command(["doctor"])).splitlines()
    assert lines[0].startswith("FIX   delta-spark_4.1_2.13-")
    assert any(line.endswith("python -m fstk.engines.start.jars") for line in lines[:3])
    assert [line[:6] for line in lines if not line.startswith(("FIX", " "))] == ["ok    "] * 6
    assert all(len(line) <= 100 for line in lines)
    html = run_command(["doctor"])._repr_html_()
    assert "python -m fstk.engines.start.jars</td>" in html
    assert html.count(">ok</td>") == 6
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "warehouse").mkdir()
    (tmp_path / "warehouse" / "diary.txt").write_text("mine")
    assert "FIX   warehouse" in repr(run_command(["doctor"]))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert "FIX   Spark needs Java 17" in repr(run_command(["doctor"]))


def test_doctor_names_a_table_of_many_small_files(customers: Path) -> None:
    assert "1 feature table readable" in repr(run_command(["doctor"]))
    for _ in range(21):
        write_deltalake(customers, pa.table({"customer_id": [4], "spend": [1.0]}), mode="append")
    said = "".join(repr(run_command(["doctor"])).split())  # wherever a line ends
    assert "FIXfeature_store.customershas22fileswhere1woulddo" in said
    assert f"spark.sql('OPTIMIZEdelta.`{customers}`')" in said


def test_a_table_that_cannot_be_read_hides_no_other(customers: Path) -> None:
    bad = customers.parent / "bad"
    shutil.copytree(customers, bad)
    (bad / "_delta_log" / f"{0:020}.json").write_text("garbage")
    said = repr(run_command(["tables"]))
    assert "feature_store.customers" in said
    assert "feature_store.bad: its Delta log cannot be read" in said
    assert "FIX   feature_store.bad: its Delta log" in repr(run_command(["doctor"]))
    with pytest.warns(UserWarning, match=r"^feature_store\.bad: its Delta log cannot be read"):
        assert [table.name for table in fstk.FeatureEngineeringClient().list_tables()] == ["feature_store.customers"]
