"""The one file that talks to Evidently (0.7): it computes the drift numbers and writes the full HTML report."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fstk.optional import need

Test = Literal["ks", "wasserstein", "chi-square", "jensenshannon"]


# the two lines of its page that hold what came from the data, each JSON in a script
_DATA = re.compile(r"^    var (?:additional_graphs_)?metric_\w+ = .*;$", re.MULTILINE)


@dataclass(frozen=True)
class Question:
    """Two samples of one column and the test that compares them: float arrays for ``ks`` and ``wasserstein`` (NaN where
    there is no value), else object arrays of strings (None: no value). Drift is a p-value below ``limit``, or a
    distance from it."""

    label: str
    test: Test
    limit: float
    reference: np.ndarray
    now: np.ndarray

    @property
    def numeric(self) -> bool:
        return self.test in {"ks", "wasserstein"}


class Answers:
    """Evidently's numbers, one per question in their order, and its report."""

    def __init__(self, snapshot: Any) -> None:
        self._snapshot = snapshot
        self.values = [float(metric["value"]) for metric in snapshot.dict()["metrics"]]

    def save_html(self, path: Path) -> None:
        """Write Evidently's own report, one file that needs no network."""
        with _quiet():
            page = self._snapshot.get_html_str(as_iframe=False)
        path.write_text(_DATA.sub(_harmless, page, count=2), encoding="utf-8")


def ask(questions: Sequence[Question]) -> Answers:
    """Run all questions as one Evidently report."""
    with _quiet():
        evidently, metrics, pandas = need("evidently"), need("evidently.metrics"), need("pandas")
        methods = {"chi-square": _two_sample_chi_square()}
        definition = evidently.DataDefinition(
            numerical_columns=[question.label for question in questions if question.numeric],
            categorical_columns=[question.label for question in questions if not question.numeric],
        )
        frames = [
            pandas.DataFrame({one.label: getattr(one, side) for one in questions}) for side in ("now", "reference")
        ]
        now, reference = (evidently.Dataset.from_pandas(frame, definition) for frame in frames)
        drifts = [
            metrics.ValueDrift(column=one.label, method=methods.get(one.test, one.test), threshold=one.limit)
            for one in questions
        ]
        return Answers(evidently.Report(drifts).run(current_data=now, reference_data=reference))


def _two_sample_chi_square() -> str:
    # Evidently's own chi-square takes the reference's shares as exactly known. With samples of equal size that calls
    # one undrifted column in five drifted (at p < 0.05), so both sides' chance is counted here, as SciPy does.
    stattests = need("evidently.legacy.calculations.stattests")
    stats, pandas = need("scipy.stats"), need("pandas")
    name = "fstk_chi_square"

    def chi_square(reference: Any, now: Any, _type: Any, limit: float) -> tuple[float, bool]:
        counts = pandas.concat([reference.value_counts(), now.value_counts()], axis=1).fillna(0).to_numpy()
        p_value = float(stats.chi2_contingency(counts, correction=False).pvalue) if len(counts) > 1 else 1.0
        return p_value, p_value < limit

    kinds = [need("evidently").ColumnType.Categorical]
    test = stattests.StatTest(name=name, display_name="chi-square p_value, two samples", allowed_feature_types=kinds)
    stattests.register_stattest(test, default_impl=chi_square)
    return name


def _harmless(line: re.Match[str]) -> str:
    # as text of the data may end the script, or begin a comment or another; in JSON all three stand in texts only
    return line[0].replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


@contextmanager
def _quiet() -> Iterator[None]:
    # Its import and its plots warn of other packages' deprecations, which no reader of a drift table can act on.
    # DO_NOT_TRACK is what its usage statistics ask before each event.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
