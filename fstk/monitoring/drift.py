"""Feature drift: do the features still look like those the model was trained on?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from fstk.columns.typing import DataFrameLike
from fstk.display import Displayed, Sheet
from fstk.engines.choice import engine_for
from fstk.engines.types import quoted_name
from fstk.errors import GateRefused, InvalidInput, UnknownColumn, nearest
from fstk.monitoring.evidently import Answers, Question, Test, ask
from fstk.monitoring.samples import Of, Sample, pair
from fstk.progress import at_work

_FEW_ROWS = 2_000  # up to here chance alone may move a distance to its limit, so the test asks for a p-value
_DISTANCE = 0.1
_CHANCE = 0.05
_NAMES: dict[Test, str] = {
    "ks": "Kolmogorov-Smirnov p",
    "wasserstein": "Wasserstein",
    "chi-square": "chi-square p",
    "jensenshannon": "Jensen-Shannon",
}


@dataclass(frozen=True)
class Drift:
    """One test of one feature: of its ``values``, or of the share of rows where it has none (``missing``) or one that
    the reference never had (``unseen``).

    ``value`` is a distance (drift from ``limit`` upwards) or, when ``test`` ends with ``p``, a p-value (drift below).
    ``reference`` and ``now`` are sparklines on one scale, or the missing shares.
    """

    feature: str
    of: Of
    test: str
    value: float
    limit: float
    drifted: bool
    reference: str
    now: str

    @property
    def severity(self) -> float:
        """How far past its limit: above 1 is drift, whatever the test."""
        if self.test.endswith(" p"):
            return self.limit / self.value if self.value > 0 else float("inf")
        return self.value / self.limit


@dataclass(repr=False)
class DriftReport(Displayed):
    """What :func:`detect_feature_drift` found, worst first.

    ``title`` heads the table and may be set to say which periods or model were compared.

    >>> import pandas as pd
    >>> then = pd.DataFrame({"spend": range(100), "visits": [1, 2, 3, 4] * 25})
    >>> report = detect_feature_drift(then, then.assign(spend=then["spend"] + 60), ["spend", "visits"])
    >>> report.features, report.drifted
    (('spend', 'visits'), ['spend'])
    """

    title: str
    features: tuple[str, ...]
    reference_rows: int
    current_rows: int
    tests: tuple[Drift, ...]
    full: Answers = field(repr=False)
    saved: Path | None = None

    @property
    def drifted(self) -> list[str]:
        """Features of which at least one test drifted, worst first."""
        return list(dict.fromkeys(test.feature for test in self.tests if test.drifted))

    def gate(self, max_drifted: int = 0) -> DriftReport:
        """Return this report, or stop the job when more than ``max_drifted`` features drifted.

        Raises:
            GateRefused: names up to three of the worst.

        >>> import pandas as pd
        >>> then = pd.DataFrame({"spend": range(100)})
        >>> detect_feature_drift(then, then + 60, ["spend"]).gate(max_drifted=0)
        Traceback (most recent call last):
        fstk.errors.GateRefused: 1 of 1 features drifted, allowed 0: spend (Kolmogorov-Smirnov p ...
        """
        worst = {test.feature: test for test in reversed(self.tests) if test.drifted}
        names = self.drifted
        if len(names) > max_drifted:
            said = [
                f"{name} ({worst[name].test} {_number(worst[name].value)}, limit {_number(worst[name].limit)})"
                for name in names[:3]
            ]
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise GateRefused(
                f"{len(names)} of {len(self.features)} features drifted, allowed {max_drifted}: "
                f"{', '.join(said)}{more}."
            )
        return self

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON.

        >>> import pandas as pd
        >>> then = pd.DataFrame({"spend": range(100)})
        >>> found = detect_feature_drift(then, then + 60, ["spend"]).as_dict()
        >>> list(found), found["current_rows"]
        (['reference_rows', 'current_rows', 'features', 'drifted', 'tests'], 100)
        """
        return {
            "reference_rows": self.reference_rows,
            "current_rows": self.current_rows,
            "features": list(self.features),
            "drifted": self.drifted,
            "tests": [dict(vars(test)) for test in self.tests],
        }

    def save_html(self, path: str | Path) -> Path:
        """Write Evidently's full report (distributions of each feature, one file, no network) and return its path.

        >>> import pandas as pd
        >>> then = pd.DataFrame({"spend": range(100)})
        >>> detect_feature_drift(then, then + 60, ["spend"]).save_html("drift.html").exists()
        True
        """
        self.saved = Path(path)
        self.saved.parent.mkdir(parents=True, exist_ok=True)
        self.full.save_html(self.saved)
        return self.saved

    def display(self) -> Sheet:
        rows = []
        for one in self.tests:
            name = one.feature if one.of == "values" else f"{one.feature}, {one.of}"
            value, test = _number(one.value), one.test.removesuffix(" p")
            distance, chance = (None, value) if test != one.test else (value, None)
            drifts = f"{'p <' if test != one.test else '≥'} {_number(one.limit)}"
            rows.append((name, test, distance, chance, drifts, one.drifted, one.reference, one.now))
        notes = [f"{len(self.drifted)} of {len(self.features)} drifted"]
        if self.saved is not None:
            notes.append(f"full report: {self.saved}")
        title = f"{self.title} ({self.current_rows:,} against {self.reference_rows:,} rows)"
        columns = ("feature", "test", "distance", "p", "drifts at", "drifted", "reference", "now")
        return Sheet(title, columns, rows, notes)


@at_work("comparing")
def detect_feature_drift(
    reference_df: DataFrameLike, current_df: DataFrameLike, features: Sequence[str]
) -> DriftReport:
    """Compare each feature now with the same feature then.

    Numbers, decimals, dates and instants (as seconds) are compared as numbers, booleans, strings and numbers of at most
    five distinct values as categories (the 20 most common, the others together: then the share of rows whose value the
    reference never had is compared for itself). Null, NaN and infinity are no value: they are left out of the
    comparison, and their share is compared for itself wherever there are any.

    With more than 2,000 values on both sides the test is a distance with limit 0.1 (Wasserstein over the reference's
    standard deviation; Jensen-Shannon for categories), because any trifle is significant then. Otherwise it is a
    p-value (two-sample Kolmogorov-Smirnov; chi-square) with limit 0.05 divided by the number of such tests in the
    report, so that twelve undrifted features do not raise an alarm every second day. Numbers further from the
    reference's median than ten times the width of its middle half count as there: a few outliers hide no shift.

    Args:
        reference_df: Spark, pandas, Polars or Arrow frame with the columns ``features``, such as the training set. Of a
            Spark frame only these columns are computed, and all their rows brought here.
        current_df: the same columns now.
        features: column names.

    Raises:
        UnknownColumn: a feature that one of the frames lacks.
        InvalidInput: no feature named, or a frame without rows.
        TypeMismatch: a feature of two kinds, such as a string then and a number now.
        UnsupportedType: a feature of arrays, maps, structs or bytes.
        MissingPackage: Evidently is not installed.

    >>> import pandas as pd
    >>> then = pd.DataFrame({"spend": range(100), "visits": [1, 2, 3, 4] * 25})
    >>> detect_feature_drift(then, then.assign(spend=then["spend"] + 60), ["spend", "visits"])
    now against the reference (100 against 100 rows)
      feature  test                distance        p  drifts at  drifted  reference  now
      spend    Kolmogorov-Smirnov         –  4.5e-17  p < 0.03   yes      █▇▇▇▇▁▁▁   ▁▁▁▇▇▇▇█
      visits   chi-square                 –     1.00  p < 0.03   no       ████       ████
    1 of 2 drifted
    """
    if isinstance(features, str) or not features:
        raise InvalidInput(f"features must be a list of column names; got {features!r}.")
    names = list(dict.fromkeys(features))
    reference = _columns(reference_df, names, "reference_df")
    current = _columns(current_df, names, "current_df")
    asked: list[tuple[str, Of, Sample]] = []
    for name in names:
        for of, sample in pair(name, reference.column(name), current.column(name)).items():
            asked.append((name, of, sample))
    tests: list[Test] = [_test(sample) for _, _, sample in asked]
    chance = _CHANCE / max(1, sum(test in {"ks", "chi-square"} for test in tests))
    labels = _labels(asked, names)
    limits = [chance if test in {"ks", "chi-square"} else _DISTANCE for test in tests]
    questions = [
        Question(label, test, limit, sample.reference, sample.now)
        for label, test, limit, (_, _, sample) in zip(labels, tests, limits, asked, strict=True)
    ]
    answers = ask(questions)
    tested = [
        Drift(name, of, _NAMES[test], value, limit, _drifted(test, value, limit), *sample.pictures)
        for (name, of, sample), test, limit, value in zip(asked, tests, limits, answers.values, strict=True)
    ]
    tested.sort(key=lambda drift: (not drift.drifted, -drift.severity))
    return DriftReport(
        "now against the reference", tuple(names), reference.num_rows, current.num_rows, tuple(tested), answers
    )


def _columns(data: Any, names: Sequence[str], argument: str) -> pa.Table:
    engine = engine_for(data)
    frame = engine.frame(data, argument)
    known = engine.schema(frame)
    for name in names:
        if name not in known:
            raise UnknownColumn(f"{argument} has no column {name}.{nearest(name, known)}")
    table = engine.arrow(engine.select(frame, {name: quoted_name(name) for name in names}))
    if not table.num_rows:
        raise InvalidInput(f"{argument} has no rows: there is nothing to compare.")
    return table


def _test(sample: Sample) -> Test:
    few = min(sample.sizes) <= _FEW_ROWS
    if sample.numeric:
        return "ks" if few else "wasserstein"
    return "chi-square" if few else "jensenshannon"


def _labels(asked: Sequence[tuple[str, str, Sample]], names: Sequence[str]) -> list[str]:
    # What Evidently's report calls each column; a feature may itself be called "x (missing)".
    labels = []
    for name, of, sample in asked:
        what = of if of != "values" else sample.adjusted
        label = f"{name} ({what})" if what else name
        while label in labels or (label != name and label in names):
            label += "'"
        labels.append(label)
    return labels


def _drifted(test: Test, value: float, limit: float) -> bool:
    return value < limit if test in {"ks", "chi-square"} else value >= limit


def _number(value: float) -> str:
    return f"{value:.2f}" if value == 0 or 0.01 <= value < 1_000 else f"{value:.2g}"
