"""README promises nothing that a test does not run: its Python blocks here, its commands in the tests named here."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from redis import Redis

from fstk import settings
from tests.notebook.tables import fill

ROOT = Path(__file__).parents[1]
FSTK = Path(sys.executable).with_name("fstk")
README = (ROOT / "README.md").read_text()
ONLINE = (
    "fstk publish feature_store.customer_features --to redis://127.0.0.1:6379",
    "fstk parity feature_store.customer_features --to redis://127.0.0.1:6379",
    "fstk parity feature_store.customer_features --to redis://127.0.0.1:6379 --sample 100",
    "fstk publish feature_store.customer_features --to redis://127.0.0.1:6379 --prune",
)
LOAD = ".venv/bin/fstk load orders.csv as shop.orders --time ordered_at --entity customer_id --tz Europe/London"
RUN_BY = {
    "make demo": "tests/demo/test_demo.py",
    "make test": ".ci/run",
    "fstk init mine": "tests/templates/test_project.py",
    ".venv/bin/fstk run churn -p as_of=1998-03-31": "tests/demo/test_demo.py",
    ".venv/bin/fstk run churn -p as_of=1998-03-31 --resume": "tests/demo/test_demo.py",
    "export FSTK_TOKEN=$(.venv/bin/fstk token new me --only)": "tests/demo/test_demo.py",
    '.venv/bin/fstk grant "GRANT SELECT ON TABLE feature_store.customer_features TO me"': "tests/demo/test_demo.py",
    ".venv/bin/fstk serve models:/churn_model@champion &": "tests/demo/test_demo.py",
    """curl 127.0.0.1:8000/invocations -H "Authorization: Bearer $FSTK_TOKEN" -H "Content-Type: application/json" -d """
    """'{"dataframe_records": [{"customer_id": 17, "cohort": "1996-12-30"}]}'""": "tests/demo/test_demo.py",
    ".venv/bin/fstk runs churn": "tests/demo/test_demo.py",
    LOAD: "tests/demo/test_demo.py",
    ".venv/bin/fstk tables": "tests/demo/test_demo.py",
    ".venv/bin/fstk show feature_store.customer_features": "tests/demo/test_demo.py",
    ".venv/bin/fstk history feature_store.customer_features": "tests/demo/test_demo.py",
    ".venv/bin/fstk why feature_store.customer_features total_spend_30d --key 17": "tests/demo/test_demo.py",
    ".venv/bin/fstk doctor": "tests/demo/test_demo.py",
    **{f".venv/bin/{command}": "tests/test_readme.py" for command in ONLINE},
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_every_command_is_run_by_a_test() -> None:
    lines = [line.split(" #")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    assert set(lines) == set(RUN_BY)
    for command, home in RUN_BY.items():
        assert command.removeprefix(".venv/bin/") in (ROOT / home).read_text(), f"{command} is not in {home}"


def test_the_extras_are_those_that_can_be_installed() -> None:
    table = README.partition("| extra | for |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ", table, flags=re.MULTILINE)
    named = {extra for row in rows for extra in re.findall(r"`(\w+)`", row)}
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert named == set(offered) - {"docs", "dev"}


def test_every_picture_of_a_page_is_there_and_small_and_no_other() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {
        (page.parent / one).resolve() for page in pages for one in re.findall(r"!\[.*?\]\((.*?)\)", page.read_text())
    }
    assert shown == set((ROOT / "docs" / "images").iterdir())
    for picture in shown:
        assert picture.stat().st_size < 150_000, picture


def test_the_settings_are_those_that_exist_with_their_defaults() -> None:
    rows = re.findall(r"^\| `FSTK_(\w+)` \| `(.*?)` \|", README, flags=re.MULTILINE)
    fields = settings.Settings.model_fields
    for name, default in rows:
        assert name.lower() in fields
        if name != "ONLINE_STORE":
            assert str(fields[name.lower()].default) == default


@pytest.mark.server
def test_the_commands_of_online_stores_answer_as_it_says(
    redis_port: int, warehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    fill(warehouse)
    with Redis(port=redis_port) as client:

        def run(command: str) -> tuple[int, str]:
            words = command.replace(":6379", f":{redis_port}").split()[1:]
            done = subprocess.run([FSTK, *words], capture_output=True, text=True, timeout=120, check=False)
            return done.returncode, done.stdout + done.stderr

        client.flushall()
        assert run(ONLINE[1])[0] == 2  # nothing was published there
        said = [run(command) for command in ONLINE]
        assert [code for code, _ in said] == [0, 0, 0, 0], said
        assert "3 equal · 0 different · 0 missing online" in said[1][1]
        assert "3 of 3 keys, chosen at random (seed " in said[2][1]
        assert "removed" in said[3][1]
        rows = [key for key in client.scan_iter() if client.type(key) == b"string" and key.endswith(b"i2")]
        assert len(rows) == 1
        client.delete(*rows)
        code, told = run(ONLINE[1])
        assert (code, "customer_id=2" in told) == (3, True)
        code, told = run(ONLINE[1].replace(":6379", ":1"))
        assert (code, "StoreUnavailable" in told) == (4, True)


@pytest.mark.spark
def test_the_journey_runs_as_written(purchases: Path) -> None:
    (purchases / "orders.csv").write_text("customer_id,ordered_at,amount\n17,2024-07-01 12:30,9.5\n")
    program = purchases / "journey.py"
    program.write_text("\n".join(blocks("python")))
    done = subprocess.run(
        [sys.executable, program], cwd=purchases, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "shop.orders v0 · source · 1 event of customer_id" in done.stdout
    assert "4 labels × 1 lookup · 0 saw the future" in done.stdout
    assert "prediction" in done.stdout
    assert "share_of_month" in done.stdout
    assert "feature_store.monthly_spend online" in done.stdout


@pytest.mark.spark
def test_the_cell_runs_as_written(purchases: Path) -> None:
    [cell] = re.findall(r"^```\n(%%fstk.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    program = "\n".join(
        [
            "from IPython.core.interactiveshell import InteractiveShell",
            "shell = InteractiveShell.instance()",
            "shell.run_line_magic('load_ext', 'fstk')",
            f"done = shell.run_cell({cell!r})",
            "assert done.success, done.error_in_exec",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=purchases, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "txn_count_30d" in done.stdout
