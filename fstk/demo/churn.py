"""``fstk demo``: CDNOW's purchases into the warehouse, the job ``churn`` over them, and a closing screen."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from fstk import settings
from fstk.client import FeatureEngineeringClient
from fstk.demo import cdnow
from fstk.display import Displayed, Sheet, short_path
from fstk.errors import InvalidInput, UnknownTable
from fstk.jobs.runner import JobRun, run_job
from fstk.online.reader import OnlineRows
from fstk.sources.load import create_source
from fstk.tables.configured import local_table
from fstk.tables.spec import FeatureTable
from fstk.windows.calendar import Calendar
from fstk.windows.features import WindowedFeatures
from fstk.windows.spec import Aggregate

TABLE = "transactions"
"""Name of the purchases in the warehouse."""
_CUSTOMER = 17
_REASONS = (("no such key", "unknown_key"), ("only later rows", "only_later_rows"), ("no key", "null_key"))


@dataclass(frozen=True, repr=False)
class Demo(Displayed):
    """The demo after its run: why features are null, and one customer as the online store has it."""

    run: JobRun
    nulls: dict[str, dict[str, int]]
    customer: OnlineRows

    def display(self) -> Sheet:
        [row], [found] = self.customer, self.customer.found
        spend = row["total_spend_30d"] or 0.0
        return Sheet(
            "",
            ("why a feature is null", *(name.rpartition(".")[2] for name in self.nulls)),
            [(words, *(statuses[status] for statuses in self.nulls.values())) for words, status in _REASONS],
            [
                f" customer {_CUSTOMER} online    txn_count_30d {row['txn_count_30d']} · "
                f"total_spend_30d {spend:.2f} · as of {found.event_time:%Y-%m-%d}",
                f" notebooks             {short_path(self.run.folder)}/   the jobs that ran, open any of them",
                " next                  .venv/bin/jupyter lab notebooks/   ·   .venv/bin/fstk -h",
                " the champion as HTTP  .venv/bin/fstk serve models:/churn_model@champion",
            ],
        )


def run() -> Demo:
    """Load the purchases unless they are there, run the job ``churn``, and return the closing screen; raises
    InvalidInput outside a clone of the project, JobFailed."""
    if not (settings.root() / "databricks.yml").is_file():
        raise InvalidInput(f"no databricks.yml in {settings.root()}: the demo runs the jobs of a clone of the project.")
    print(f"fstk demo · {cdnow.TITLE}", flush=True)
    place = "go into the warehouse" if load() else "are in the warehouse already"
    print(f" the purchases {place}", flush=True)
    done = run_job("churn")
    records = {task.record.task: task.record for task in done.tasks}
    fe = FeatureEngineeringClient()
    customer = fe.read_online(name="feature_store.customer_features", keys=[{"customer_id": _CUSTOMER}])
    return Demo(done, records["20_build_training_set"].rows["why_null"], customer)


def load() -> bool:
    """Keep the purchases as the source ``transactions``; return whether they were missing."""
    if local_table(TABLE) is not None:
        return False
    create_source(TABLE, df=cdnow.purchases(), event_time="purchased_at", entity="customer_id")
    return True


def example(name: str) -> FeatureTable:
    """Return the feature table ``name``; where there is none, it is made of the purchases, for a template to begin
    with."""
    load()
    fe = FeatureEngineeringClient()
    with suppress(UnknownTable):
        return fe.get_table(name=name)
    aggregates = [Aggregate("count(*)", name="txn_count"), Aggregate("sum(amount)", name="total_spend")]
    features = WindowedFeatures(TABLE, "customer_id", "purchased_at", aggregates, windows=["30d", "90d"])
    weekly = Calendar(date(1997, 2, 1), date(1998, 4, 1), every="7d")
    return fe.create_table(name=name, features=features, points=weekly)
