"""What loading the magic and looking at previews costs: heavy packages wait for the verb that needs them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAVY = ["pyspark", "py4j", "mlflow", "evidently", "papermill", "nbclient", "sklearn"]
PROGRAM = """
import json, os, sys, threading, time
from IPython.core.interactiveshell import InteractiveShell

cells, heavy = json.loads(sys.argv[1]), json.loads(sys.argv[2])
shell = InteractiveShell.instance()
start = time.perf_counter()
assert shell.run_cell("%load_ext fstk").success
took = time.perf_counter() - start
for thread in threading.enumerate():
    if thread.name == "fstk-grammar":
        thread.join()
fetched = [name for name in ("fstk.cli.app", "fstk.verbs.why", "polars") if name in sys.modules]
for cell in cells:
    assert shell.run_cell(cell).success, cell
parents = {}
for process in filter(str.isdigit, os.listdir("/proc")):
    try:
        parents[process] = open(f"/proc/{process}/stat").read().rpartition(")")[2].split()[1]
    except FileNotFoundError:
        continue
children = [process for process, parent in parents.items() if parent == str(os.getpid())]
answer = {"took": took, "heavy": [name for name in heavy if name in sys.modules], "children": children}
print("\\n" + json.dumps(answer | {"fetched": fetched}))
"""


def run(*cells: str) -> dict[str, Any]:
    """Load the magic and run cells in a Python of their own; return what that cost."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(cells), json.dumps(HEAVY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_loading_the_magic_imports_nothing_heavy_and_fetches_the_grammar_meanwhile() -> None:
    cost = run()
    assert cost["heavy"] == []
    assert cost["fetched"] == ["fstk.cli.app", "fstk.verbs.why"]  # and no second library of frames
    print(f"%load_ext fstk took {cost['took']:.3f} s")  # how fast is for the bench to say


@pytest.mark.slow
def test_previews_start_no_process_and_import_no_pyspark(filled: Path) -> None:
    cost = run(
        "%%fstk windows feature_store.spend --source transactions --entity customer_id --time purchased_at "
        "--windows 7d,30d\nsum(amount) as spend\n",
        "import datetime as dt, pyarrow as pa\n"
        'labels = pa.table({"customer_id": [1], "at": [dt.datetime(1997, 1, 20, tzinfo=dt.UTC)]})',
        "%%fstk pit labels --at at --as-known -o ts\nfeature_store.customer_features on customer_id\n",
        "%fstk explain ts 1",
        "%fstk explain feature_store.customer_features 1",
        "%fstk lint",
        "%fstk lint ts",
        "%fstk tables",
        "%fstk show feature_store.customer_features",
        "ts.to_pandas()",
    )
    assert cost["heavy"] == []
    assert cost["children"] == []
