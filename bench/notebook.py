"""How long a person waits at a cell: ``python -m bench.notebook`` prints seconds in IPython, on the demo's purchases.

The warehouse is the setting's. ``python -m bench.notebook prepare`` fills it first, with Spark; measuring starts none.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import date

from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from bench import process

_WINDOWS = """%%fstk windows feature_store.spend --source transactions --entity customer_id --time purchased_at \\
  --windows 7d,14d,30d,90d
count(*)    as txn_count
sum(amount) as total_spend
avg(amount) as avg_spend"""
_PIT = """%%fstk pit transactions --at purchased_at
feature_store.customer_features on customer_id"""
_LINE = "%fstk show feature_store.cust"
_REPEATS = 5
LIMITS = {
    "import fstk": None,
    "%load_ext fstk": 0.3,
    "%%fstk windows, a preview": 0.5,
    "%%fstk pit, a preview": 0.5,
    "completion of a table's name": 0.05,
}
"""The steps, and the seconds that each may take; all but the first two are warm, the best of five."""


def prepare() -> None:
    """Write all purchases, and a feature table of a row per customer and week."""
    from fstk import Aggregate, Calendar, FeatureEngineeringClient, WindowedFeatures
    from fstk.demo import churn

    churn.load()
    aggregates = [Aggregate("count(*)", name="txn_count"), Aggregate("sum(amount)", name="total_spend")]
    features = WindowedFeatures("transactions", "customer_id", "purchased_at", aggregates, ["30d", "90d"])
    weekly = Calendar(date(1997, 1, 8), date(1998, 7, 1), every="7d")
    FeatureEngineeringClient().create_table(
        name="feature_store.customer_features",
        primary_keys="customer_id",
        timeseries_column="as_of",
        df=features.compute(weekly, timestamp="as_of"),
    )


def measure() -> list[float]:
    """Return the seconds of each step of :data:`LIMITS`."""
    shell = InteractiveShell.instance()

    def run(cell: str) -> float:
        started = time.perf_counter()
        with capture_output():
            done = shell.run_cell(cell)
        took = time.perf_counter() - started
        if not done.success:  # IPython prints why, and raises nothing
            raise SystemExit(f"{cell}: {done.error_in_exec}")
        return took

    def complete() -> float:
        started = time.perf_counter()
        with provisionalcompleter():
            found = list(shell.Completer.completions(_LINE, len(_LINE)))
        took = time.perf_counter() - started
        if not found:
            raise SystemExit("nothing completes the name of a table")
        return took

    def warm(step: Callable[[], float]) -> float:
        return min([step() for _ in range(_REPEATS + 1)][1:])

    seconds = [run("import fstk"), run("%load_ext fstk")]
    seconds += [warm(lambda: run(_WINDOWS)), warm(lambda: run(_PIT)), warm(complete)]
    if "pyspark" in sys.modules:
        raise SystemExit("a preview imported pyspark")
    return seconds


if __name__ == "__main__":
    if sys.argv[1:] == ["prepare"]:
        prepare()
        process.report()
    else:
        process.report(steps=dict(zip(LIMITS, measure(), strict=True)))
