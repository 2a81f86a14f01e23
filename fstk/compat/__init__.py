"""Names that older guides import and that this machine lacks: ``fstk.compat.install()``, then they run as written.

What is really installed is found first, and never replaced.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

from fstk.compat.dbutils import DBUtils

# Python takes a name that a package lacks, as in `from evidently import ColumnDriftMetric`, for a module of it.
_STAND_INS = {
    "databricks.feature_engineering": ("fstk.compat.feature_engineering", None),
    "evidently.report": ("fstk.compat.evidently", None),
    "evidently.ColumnDriftMetric": ("fstk.compat.evidently", "ColumnDriftMetric"),
}


def install() -> None:
    """Provide ``databricks.feature_engineering``, ``dbutils``, and the names of Evidently before 0.7, where they are
    absent, and let ``rangeBetween`` count whole days in seconds over a column of times; again changes nothing.

    Each warns, when it is used, of what to write instead. ``dbutils.secrets.get("scope", "key")`` reads the environment
    variable ``FSTK_SECRET_SCOPE__KEY``.

    >>> install()
    >>> from databricks.feature_engineering import FeatureEngineeringClient
    >>> [table.name for table in FeatureEngineeringClient().list_tables()]
    ['shop.spend']
    """
    if not any(isinstance(finder, _Last) for finder in sys.meta_path):
        sys.meta_path.append(_Last())
    if not hasattr(builtins, "dbutils") and "DATABRICKS_RUNTIME_VERSION" not in os.environ:
        setattr(builtins, "dbutils", DBUtils())  # noqa: B010 no checker knows the name
    if find_spec("pyspark") is not None:
        importlib.import_module("fstk.compat.ranges").in_seconds()


class _Last(MetaPathFinder, Loader):
    """Asked for a module when nobody else has it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "databricks":
            return ModuleSpec(fullname, self, is_package=True)
        return ModuleSpec(fullname, self) if fullname in _STAND_INS else None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ in _STAND_INS:
            home, name = _STAND_INS[module.__name__]
            found = importlib.import_module(home)
            sys.modules[module.__name__] = found if name is None else getattr(found, name)
