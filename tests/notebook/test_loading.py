import json
import subprocess
import sys

HEAVY = ["pyspark", "mlflow", "evidently", "papermill", "nbclient", "pandas", "polars", "altair", "sklearn"]
PROGRAM = f"""
import json, sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
start = time.perf_counter()
assert shell.run_cell("%load_ext fstk").success
took = time.perf_counter() - start
import threading
for thread in threading.enumerate():
    if thread.name == "fstk-grammar":
        thread.join()
print(json.dumps([took, [name for name in {HEAVY} if name in sys.modules], "fstk.cli.app" in sys.modules]))
"""


def test_loading_the_magic_imports_nothing_heavy_and_fetches_the_grammar_meanwhile() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    took, heavy, grammar = json.loads(done.stdout)
    assert heavy == []
    assert grammar
    print(f"%load_ext fstk took {took:.3f} s")
