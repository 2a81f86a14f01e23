"""The widgets without a browser: what choices come to, what the Code view says, what is refused in place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import deltalake
import pytest
from IPython.core.interactiveshell import InteractiveShell
from ipywidgets import HTML

from fstk import FeatureEngineeringClient
from fstk.cli.app import main, run_command
from fstk.errors import InvalidInput, UnknownName
from fstk.notebook import JoinPreview, PublishPanel, WindowBuilder
from fstk.training import run, training_set
from fstk.training.training_set import TrainingSet
from fstk.verbs import pit
from fstk.verbs.code import Code
from fstk.verbs.windows import WindowsRequest
from tests.notebook.cells import refused, result
from tests.notebook.tables import labels, write_defined

LOOKUP = "feature_store.customer_features on customer_id within 30d"
HARD = re.compile(r"#[0-9a-fA-F]{3,8}\b|rgb|hsl|\b(?:black|white(?!-space)|red|green|blue|gr[ae]y)\b")


def words(html: str) -> str:
    """Return the text of HTML, one space between words."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def texts(box: Any) -> list[HTML]:
    """Return the HTML that stands in a box of a widget."""
    return [one for one in getattr(box, "children", ()) if isinstance(one, HTML)]


def pasted(code: str, **variables: Any) -> dict[str, Any]:
    """Run the text of a Code view as a cell of its own; return the variables it leaves."""
    namespace = dict(variables)
    exec(compile(code, "pasted", "exec"), namespace)
    return namespace


@pytest.fixture
def joining(filled: Path) -> JoinPreview:
    return JoinPreview("labels", label="is_churned", lookups=LOOKUP, namespace={"labels": labels()})


def test_a_source_offers_its_columns_and_the_likely_ones_are_chosen(filled: Path) -> None:
    builder = WindowBuilder(source="transactions", namespace={"events": labels()})
    controls = builder.controls
    assert controls["source"].options == (
        "events",
        "transactions",
        "feature_store.customer_features",
        "feature_store.regions",
    )
    assert (controls["entity"].value, controls["time"].value) == (("customer_id",), "purchased_at")
    controls["source"].value = "events"
    assert (controls["entity"].value, controls["time"].value) == (("customer_id",), "event_ts")
    assert [text for text, _ in controls["entity"].options] == [
        "customer_id · bigint",
        "region · string",
        "is_churned · boolean",
    ]
    assert controls["time"].options == (("event_ts · timestamp", "event_ts"),)


def test_an_aggregate_is_chosen_with_its_filter(filled: Path) -> None:
    builder = WindowBuilder(source="transactions", aggregates="count(*) as n", namespace={})
    controls = builder.controls
    functions = dict(controls["function"].options)
    assert controls["argument"].options == (("every event", ""),)
    controls["function"].value = functions["sum(…)"]
    assert [text for text, _ in controls["argument"].options] == [
        "customer_id · bigint",
        "amount · double",
        "quantity · int",
    ]
    controls["argument"].value = "amount"
    controls["column"].value, controls["operator"].value = "quantity", ">"
    controls["value"].value = "many"
    controls["add"].click()
    assert "quantity is int: write such a value; got 'many'." in words(builder.error.value)
    controls["value"].value = "1"
    controls["add"].click()
    written = "sum(amount) filter (where quantity > 1) as sum_amount_where_quantity_1"
    assert controls["aggregates"].value == f"count(*) as n\n{written}"
    assert "sum_amount_where_quantity_1_30d" in words(builder.result.value)
    controls["add"].click()
    assert "sum_amount_where_quantity_1" in words(builder.error.value)
    assert builder.result.value == ""


def test_every_function_that_is_offered_can_be_added(filled: Path) -> None:
    builder = WindowBuilder(source="transactions", namespace={})
    controls = builder.controls
    for number, (text, function) in enumerate(controls["function"].options):
        controls["aggregates"].value = ""
        controls["function"].value = function
        controls["name"].value = f"n{number}"
        controls["add"].click()
        assert not builder.error.value, text
        assert f"n{number}_7d" in words(builder.result.value)


def test_windows_are_chosen_or_written(filled: Path) -> None:
    builder = WindowBuilder(source="transactions", windows="7d,36h", namespace={})
    controls = builder.controls
    assert controls["lengths"].value == ("7d",)
    controls["lengths"].value = ("14d", "lifetime")
    assert controls["windows"].value == "14d,lifetime,36h"
    assert "event_count_36h" in words(builder.result.value)
    controls["windows"].value = "90d"
    assert controls["lengths"].value == ("90d",)
    assert "1 feature " in words(builder.result.value)


def test_a_list_says_what_is_chosen_and_how_to_choose_several(filled: Path) -> None:
    builder = WindowBuilder(source="transactions", namespace={})
    builder.controls["entity"].value = ("customer_id", "quantity")
    shown = [one.value for row in builder.box.children for box in getattr(row, "children", ()) for one in texts(box)]
    assert any("chosen: customer_id, quantity · several: Ctrl or ⌘ and a click" in one for one in shown)


def test_plan_rows_and_code_follow_every_change(filled: Path) -> None:
    builder = WindowBuilder(source="transactions", namespace={})
    assert "2 features" in words(builder.result.value)
    assert "event_count_30d" in words(builder.result.value)
    builder.controls["aggregates"].value = "sum(amount) as spend\nmax(quantity) as most"
    builder.controls["windows"].value = "7d,14d,lifetime"
    builder.controls["closed"].value = "both"
    shown = words(builder.result.value)
    assert "6 features" in shown
    assert "max(quantity) over [purchased_at − 14 d, purchased_at]" in shown
    assert 'windows=["7d", "14d", None]' in builder.python
    assert 'closed="both"' in builder.python
    builder.controls["calendar"].value = "1997-01-08,1997-03-01,7d"
    assert "as_of TIMESERIES" in words(builder.result.value)
    assert "points=Calendar(date(1997, 1, 8)" in builder.python


def test_only_what_is_planned_can_be_written(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = WindowBuilder("feature_store.spend", source="transactions", aggregates="sum(amount) as s", namespace={})
    write = builder.controls["write"]
    asked: list[WindowsRequest] = []

    def written(request: WindowsRequest) -> Code:
        asked.append(request)
        return Code("it is written")

    monkeypatch.setattr(WindowsRequest, "write", written)
    builder.controls["windows"].value = "7d,30x"
    assert write.disabled
    builder.controls["windows"].value = "7d,14d"
    assert not write.disabled
    assert "write it: Write" in words(builder.result.value)
    write.click()
    assert [(one.table, one.features.columns) for one in asked] == [("feature_store.spend", ("s_7d", "s_14d"))]
    assert "it is written" in words(builder.result.value)
    builder.controls["table"].value = "feature_store.regions"  # with another key
    assert write.disabled


def test_code_is_shown_as_text(filled: Path) -> None:
    builder = WindowBuilder(source="transactions", namespace={})
    builder.controls["aggregates"].value = "count(*) filter (where amount < 3) as few"
    assert "amount < 3" in builder.python
    assert "amount &lt; 3" in builder.code.value
    assert "amount < 3" not in builder.code.value


def test_what_is_refused_stands_in_place_of_plan_and_code(filled: Path) -> None:
    builder = WindowBuilder(source="transactions", namespace={})
    builder.controls["aggregates"].value = "sum(<b>amont</b>) as spend"
    error = builder.error.value
    assert 'role="alert"' in error
    assert "<b>" not in error
    assert "\n" not in error
    assert (builder.result.value, builder.python) == ("", "")
    builder.controls["aggregates"].value = "sum(amont) as spend"
    assert "UnknownColumn" in builder.error.value
    assert "amount" in builder.error.value
    builder.controls["aggregates"].value = "sum(amount) as spend"
    assert builder.error.value == ""
    assert "2 features" in words(builder.result.value)


def test_a_defect_is_told_in_place_and_raised(filled: Path) -> None:
    builder = WindowBuilder(source="transactions", namespace={})

    def broken() -> None:
        assert "working" in builder.status.value
        raise KeyError("defect")

    with pytest.raises(KeyError):
        builder.work(broken)
    assert "KeyError" in builder.error.value
    assert "working" not in builder.status.value


def test_without_tables_or_lookups_the_next_step_is_said(warehouse: Path) -> None:
    assert "no table yet" in WindowBuilder(namespace={}).result.value
    assert "no table yet" in PublishPanel().result.value
    assert "write one a line" in JoinPreview(namespace={"labels": labels()}).result.value


def test_without_a_table_or_a_feature_nothing_is_tried(warehouse: Path) -> None:
    panel = PublishPanel()
    panel.controls["publish"].click()
    assert "There is no table yet." in words(panel.result.value)
    assert panel.controls["progress"].layout.display == "none"


def test_with_no_feature_chosen_nothing_is_tried(filled: Path) -> None:
    panel = PublishPanel("feature_store.regions")
    panel.controls["features"].value = ()
    panel.controls["dry_run"].click()
    assert "Choose a table and its features." in words(panel.result.value)
    assert not panel.python


def test_of_no_labels_none_is_drawn(filled: Path) -> None:
    preview = JoinPreview("labels", lookups=LOOKUP, namespace={"labels": labels().slice(0, 0)})
    assert words(preview.one.value) == "There are no labels."
    preview.controls["next"].click()
    assert words(preview.one.value) == "There are no labels."


def test_labels_are_stepped_through_one_status_at_a_time(joining: JoinPreview) -> None:
    controls = joining.controls
    assert [text for text, _ in controls["status"].options] == [
        "any",
        "matched (2)",
        "unknown key (1)",
        "only later rows (1)",
        "null key (1)",
        "null timestamp (1)",
    ]
    assert "label 1 of 6 · customer_id 1, event_ts 1997-01-21" in words(joining.one.value)
    assert "<svg" in joining.one.value
    controls["status"].value = (0, "only_later_rows")
    assert "label 1 of 1 · customer_id 1, event_ts 1997-01-02" in words(joining.one.value)
    assert "later, refused" in words(joining.one.value)
    controls["status"].value = (0, "matched")
    controls["next"].click()
    assert "label 2 of 2 · customer_id 2, event_ts 1997-02-20" in words(joining.one.value)
    controls["next"].click()
    assert controls["number"].value == 2
    controls["previous"].click()
    assert "label 1 of 2" in words(joining.one.value)


def test_below_single_labels_the_inputs_are_a_click_away(joining: JoinPreview) -> None:
    seen, _, closed = joining.result.value.partition("<details>")
    assert "6 labels (all)" in words(seen)
    assert "each of the 5 columns" in words(closed)
    told = words(closed.partition("</details>")[0])
    assert all(name in told for name in ("event_ts", "txn_count_30d", "total_spend_30d"))
    assert "worst served" not in words(joining.result.value)


def test_what_the_join_looks_up_is_proven_at_a_click(filled: Path) -> None:
    write_defined(filled / "shop" / "spend")
    given = {"label": "is_churned", "namespace": {"labels": labels()}}
    joining = JoinPreview("labels", lookups="shop.spend on customer_id", **given)
    progress = joining.controls["progress"]
    assert progress.layout.display == "none"
    told: list[int] = []
    progress.observe(lambda change: told.append(change["new"]), "value")
    joining.controls["prove"].click()
    assert "PROVED nothing changed" in words(joining.result.value)
    assert "6 labels (all)" in words(joining.result.value)
    assert told == [1, 2, 3]
    assert (progress.value, progress.max, progress.layout.display) == (3, 3, "")
    joining.controls["lookups"].value = LOOKUP
    assert progress.layout.display == "none"
    assert "PROVED" not in joining.result.value
    joining.controls["prove"].click()
    assert "NOT PROVED feature_store.customer_features: of none" in words(joining.result.value)
    joining.controls["lookups"].value = ""
    joining.controls["prove"].click()
    assert "write one a line" in joining.result.value


def test_a_changed_lookup_keeps_the_status_where_it_still_occurs(joining: JoinPreview) -> None:
    joining.controls["status"].value = (0, "matched")
    joining.controls["lookups"].value = "feature_store.customer_features on customer_id"
    assert joining.controls["status"].value == (0, "matched")
    joining.controls["status"].value = (0, "only_later_rows")
    joining.controls["lookups"].value = "feature_store.regions on region"
    assert joining.controls["status"].value == ""


def test_a_status_is_that_of_one_lookup(joining: JoinPreview) -> None:
    joining.controls["lookups"].value = f"{LOOKUP}\nfeature_store.regions on region"
    offered = [text for text, _ in joining.controls["status"].options]
    assert "customer_features: matched (2)" in offered
    assert "regions: matched (4)" in offered
    joining.controls["status"].value = (1, "matched")
    assert "label 1 of 4" in words(joining.one.value)


class Work:
    """What looking at a join has cost: logs opened, by table, explanations and plans."""

    def __init__(self) -> None:
        self.logs: Counter[str] = Counter()
        self.explanations = self.plans = 0

    def of(self, do: Callable[[], Any]) -> tuple[dict[str, int], int, int]:
        """Return what ``do`` costs."""
        self.__init__()
        do()
        return dict(self.logs), self.explanations, self.plans


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    work = Work()

    def counting(target: Any, name: str, count: Callable[[tuple[Any, ...]], None]) -> None:
        real = getattr(target, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            count(args)
            return real(*args, **kwargs)

        monkeypatch.setattr(target, name, counted)

    counting(deltalake.DeltaTable, "__init__", lambda args: work.logs.update([Path(args[1]).name]))
    counting(run, "explanation", lambda args: setattr(work, "explanations", work.explanations + 1))
    for module in (pit, training_set):
        counting(module, "plan_training_set", lambda args: setattr(work, "plans", work.plans + 1))
    return work


@pytest.mark.parametrize(("as_known", "explanations"), [(False, 1), (True, 2)])
def test_a_join_is_looked_at_once(filled: Path, work: Work, as_known: bool, explanations: int) -> None:
    seen: list[JoinPreview] = []
    namespace = {"labels": labels()}
    arguments: dict[str, Any] = {"label": "is_churned", "lookups": LOOKUP, "namespace": namespace}
    opening = work.of(lambda: seen.append(JoinPreview("labels", **arguments, as_known=as_known)))
    assert opening == ({"customer_features": 1, "regions": 1, "transactions": 1}, explanations, 1)
    (preview,) = seen
    first = preview.one.value
    assert "<svg" in first
    assert work.of(preview.controls["next"].click) == ({}, 0, 0)
    assert preview.one.value != first
    assert work.of(lambda: setattr(preview.controls["status"], "value", (0, "unknown_key"))) == ({}, 0, 0)
    assert "label 1 of 1 · customer_id 99" in words(preview.one.value)


def test_other_widgets_open_each_table_once(filled: Path, work: Work, tmp_path: Path) -> None:
    name = "feature_store.customer_features"
    both = {"customer_features": 1, "transactions": 1}
    seen: list[Any] = []
    assert work.of(lambda: seen.append(WindowBuilder(name, source="transactions", namespace={})))[0] == both
    assert work.of(lambda: setattr(seen[0].controls["windows"], "value", "14d"))[0] == both
    logs, _, _ = work.of(lambda: seen.append(PublishPanel(name, to=f"sqlite:///{tmp_path}/online.db")))
    assert logs == both | {"regions": 1}
    assert work.of(seen[1].controls["publish"].click)[0] == {"customer_features": 1}


def test_a_lookup_is_chosen_changed_and_removed(filled: Path) -> None:
    joining = JoinPreview("labels", label="is_churned", namespace={"labels": labels()})
    controls = joining.controls
    assert [text for text, _ in controls["table"].options] == [
        "feature_store.customer_features · on customer_id bigint · by time as_of",
        "feature_store.regions · on region string",
    ]
    assert controls["features"].options[0] == ("txn_count_30d · bigint", "txn_count_30d")
    controls["add"].click()
    assert controls["lookups"].value == "feature_store.customer_features on customer_id"
    controls["features"].value = ("txn_count_30d",)
    controls["within"].value = "30d"
    controls["lookups"].value += "\nfeature_store.regions on region"
    controls["add"].click()
    assert controls["lookups"].value.splitlines() == [
        "feature_store.regions on region",
        "feature_store.customer_features (txn_count_30d) on customer_id within 30d",
    ]
    assert "labels (all) × 2 lookups" in words(joining.result.value)
    controls["within"].value = "a while"
    controls["add"].click()
    assert "cannot read the lookup" in words(joining.error.value)
    controls["remove"].click()
    assert controls["lookups"].value == "feature_store.regions on region"
    controls["table"].value = "feature_store.regions"
    assert controls["within"].disabled
    controls["features"].value = ()
    controls["add"].click()
    assert "feature_store.regions: choose one or more of its features." in words(joining.error.value)


def test_without_a_table_that_fits_none_can_be_added(filled: Path) -> None:
    controls = JoinPreview("labels", namespace={"labels": labels().select(["event_ts", "is_churned"])}).controls
    assert controls["table"].options == ()
    assert controls["add"].disabled
    assert controls["remove"].disabled


def test_the_training_set_is_made_as_previewed(joining: JoinPreview) -> None:
    joining.controls["variable"].value = "churn set"
    joining.controls["make"].click()
    assert "'churn set' is no name of a variable" in words(joining.error.value)
    joining.controls["variable"].value = "churn"
    joining.controls["make"].click()
    assert "churn is made" in words(joining.result.value)
    made = joining._namespace["churn"]
    assert made.to_arrow().equals(pasted(joining.python, labels=labels())["training_set"].to_arrow())


def test_the_join_pasted_is_the_join_previewed(joining: JoinPreview) -> None:
    training_set = pasted(joining.python, labels=labels())["training_set"]
    assert isinstance(training_set, TrainingSet)
    namespace = {"labels": labels()}
    line = "pit labels --label is_churned --at event_ts -o ts"
    run_command(line.split(), namespace, LOOKUP)
    assert training_set.to_arrow().equals(namespace["ts"].to_arrow())
    assert training_set.label == "is_churned"


def test_the_join_as_known_is_pasted_as_known(joining: JoinPreview) -> None:
    joining.controls["as_known"].value = True
    assert "matched as known" in words(joining.result.value)
    assert pasted(joining.python, labels=labels())["training_set"].as_known


def test_a_table_is_tried_published_and_tried_again(filled: Path, tmp_path: Path) -> None:
    panel = PublishPanel("feature_store.customer_features", to=f"sqlite:///{tmp_path}/online.db")
    panel.controls["dry_run"].click()
    assert "dry run, nothing written" in words(panel.result.value)
    assert not (tmp_path / "online.db").exists()
    seen: list[int] = []
    panel.controls["progress"].observe(lambda change: seen.append(change["new"]), "value")
    panel.controls["publish"].click()
    assert "written unchanged stale failed source version seconds 3 0 0 0" in words(panel.result.value)
    assert (panel.controls["progress"].value, panel.controls["progress"].max) == (3, 3)
    assert seen[-1] == 3
    panel.controls["where"].value = "total_spend_30d > 0"
    assert panel.result.value == ""
    panel.controls["dry_run"].click()
    assert panel.error.value == ""
    assert "removed" not in words(panel.result.value)
    panel.controls["prune"].value = True
    assert "prune=True" in panel.python
    panel.controls["dry_run"].click()
    assert "would remove source version seconds 0" in words(panel.result.value)


def test_the_publication_pasted_is_the_publication_clicked(filled: Path, tmp_path: Path) -> None:
    reports = []
    for name, publish in (("clicked", False), ("pasted", True)):
        store = f"sqlite:///{tmp_path}/{name}.db"
        panel = PublishPanel("feature_store.customer_features", to=store, features=["txn_count_30d"])
        if publish:
            pasted(panel.python)
        else:
            panel.controls["publish"].click()
        reports.append(
            FeatureEngineeringClient().read_online(
                name="feature_store.customer_features",
                keys=[{"customer_id": key} for key in (1, 2, 3, 4)],
                online_store=store,
            )
        )
    assert list(reports[0]) == list(reports[1])
    assert reports[0][0]["txn_count_30d"] is not None
    assert "total_spend_30d" not in reports[0][0]


def test_a_store_that_is_none_is_refused_in_place(filled: Path) -> None:
    panel = PublishPanel("feature_store.customer_features", to="nowhere://x")
    panel.controls["publish"].click()
    assert "InvalidInput: no online store 'nowhere://…'." in words(panel.error.value)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("total_spend_30d >", "'total_spend_30d >' is not one SQL expression: something is missing after >."),
        ("total_spend_30d > 0 and", "something is missing after and."),
        ("spend > 0", "no column spend."),
    ],
)
def test_an_unfinished_condition_is_told_at_once(filled: Path, where: str, says: str) -> None:
    panel = PublishPanel("feature_store.customer_features")
    panel.controls["where"].value = where
    assert says in words(panel.error.value)
    assert panel.python == ""
    panel.controls["where"].value = "total_spend_30d > 0"
    assert not panel.error.value
    assert "total_spend_30d > 0" in panel.python


def test_a_condition_is_chosen(filled: Path) -> None:
    panel = PublishPanel("feature_store.customer_features", where="txn_count_30d > 1")
    controls = panel.controls
    controls["add"].click()
    assert controls["where"].value == "txn_count_30d > 1"
    controls["column"].value, controls["operator"].value = "total_spend_30d", "is not null"
    controls["add"].click()
    assert controls["where"].value == "txn_count_30d > 1 and total_spend_30d is not null"
    assert "total_spend_30d is not null" in panel.python


def test_a_store_is_chosen_by_its_kind(filled: Path) -> None:
    panel = PublishPanel("feature_store.customer_features")
    controls = panel.controls
    of_settings = controls["to"].value
    assert controls["kind"].value == "sqlite:///"
    assert "redis://" in controls["kind"].options
    controls["kind"].value = "redis://"
    assert controls["to"].value == "redis://"
    assert "Write redis://[user@]host[:port][/db]." in words(panel.error.value)
    controls["to"].value = "memory://shop"
    assert controls["kind"].value == "memory://"
    assert 'online_store="memory://shop"' in panel.python
    controls["kind"].value = "sqlite:///"
    assert controls["to"].value == of_settings


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("%fstk windows --widget", WindowBuilder),
        ("%fstk pit --widget", JoinPreview),
        ("%fstk publish --widget", PublishPanel),
    ],
)
def test_a_verb_opens_its_widget_without_further_words(
    shell: InteractiveShell, filled: Path, cell: str, kind: type
) -> None:
    assert type(result(shell, cell)) is kind


def test_words_and_lines_are_what_the_controls_begin_with(shell: InteractiveShell, filled: Path) -> None:
    shell.user_ns["mine"] = labels()
    builder = result(
        shell,
        "%%fstk windows a.b --widget --source mine --entity customer_id,region --time event_ts --windows 3d "
        "--closed both --calendar 1997-01-08,1997-02-01,7d\ncount(*) as n",
    )
    expected = {
        "source": "mine",
        "entity": ("customer_id", "region"),
        "time": "event_ts",
        "aggregates": "count(*) as n",
        "windows": "3d",
        "closed": "both",
        "calendar": "1997-01-08,1997-02-01,7d",
        "table": "a.b",
    }
    assert {name: builder.controls[name].value for name in expected} == expected
    assert "n_3d" in words(builder.result.value)
    preview = result(shell, f"%%fstk pit mine --widget --label is_churned --at event_ts --as-known\n{LOOKUP}")
    assert preview.controls["label"].value == "is_churned"
    assert "2 lookups" not in words(preview.result.value)
    assert "as_known=True" in preview.python
    panel = result(
        shell,
        "%fstk publish feature_store.customer_features --widget --feature txn_count_30d --where 'txn_count_30d > 1'",
    )
    assert 'features=["txn_count_30d"]' in panel.python
    assert panel.controls["where"].value == "txn_count_30d > 1"


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%fstk windows --widget --source nothing", "source: there is no 'nothing'"),
        ("%fstk windows --widget --closed leftt", "--closed takes left, right or both"),
        ("%fstk publish feature_store.regions more --widget", "more is a word too many"),
        ("%fstk pit --widgt", "No such option"),
    ],
)
def test_words_that_fit_nothing_are_refused(shell: InteractiveShell, filled: Path, cell: str, says: str) -> None:
    error = refused(shell, cell)
    assert isinstance(error, UnknownName | InvalidInput)
    assert says in str(error)


def test_a_terminal_has_no_widgets(
    filled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["fstk", "windows", "--widget"])
    assert main() == 2
    assert "a terminal has no widgets" in capsys.readouterr().err


def test_a_saved_view_holds_nothing_that_was_typed(filled: Path) -> None:
    panel = PublishPanel("feature_store.regions", to="sqlite:///secret-place.db")
    bundle = panel._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    assert "regions" not in str(bundle)
    assert "secret" not in str(bundle)


def test_no_colour_is_fixed(joining: JoinPreview) -> None:
    builder = WindowBuilder(source="transactions", namespace={})
    builder.controls["windows"].value = "x"
    for html in (builder.error.value, joining.result.value, joining.one.value, joining.code.value):
        assert not HARD.search(re.sub(r">[^<]*<", "><", html)), html


@pytest.mark.spark
def test_the_windows_pasted_make_the_table_that_was_previewed(spark: Any, filled: Path) -> None:
    builder = WindowBuilder(
        "feature_store.spend", source="transactions", aggregates="sum(amount) as spend", windows="30d", namespace={}
    )
    pasted(builder.python)
    found = FeatureEngineeringClient().get_table(name="feature_store.spend")
    assert found.features == ["spend_30d"]
    assert f"keys ({', '.join(found.primary_keys)}, {found.timeseries_column} TIMESERIES)" in words(
        builder.result.value
    )
    assert found.rows == 7
    builder.controls["windows"].value = "7d,30d"
    builder.controls["write"].click()
    assert "updated" in words(builder.result.value)
    assert FeatureEngineeringClient().get_table(name="feature_store.spend").features == ["spend_30d", "spend_7d"]
    builder.controls["windows"].value = "7d"  # without a feature that is there
    assert "it is refused, and nothing can be written" in words(builder.result.value)
