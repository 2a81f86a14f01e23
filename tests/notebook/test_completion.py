"""What the Tab key offers in lines and cells of the magic."""

import time
from pathlib import Path
from typing import Any

import jupyter_client
import polars as pl
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from tests.notebook.cells import shown
from tests.notebook.tables import labels

VERBS = {"windows", "pit", "explain", "lint", "publish", "parity", "tables", "show", "tag", "run", "doctor"}
WINDOWS = "%%fstk windows t --source transactions --entity customer_id --time purchased_at"


def offered(shell: InteractiveShell, cell: str) -> list[str]:
    """Return what completes ``cell`` at the bar, each as the whole text up to the cursor would then read."""
    before, _, after = cell.partition("|")
    with provisionalcompleter():
        found = list(shell.Completer.completions(before + after, len(before)))
    return [before[: one.start] + one.text for one in found]


@pytest.fixture
def notebook(shell: InteractiveShell, filled: Path) -> InteractiveShell:
    """A notebook with a frame of labels and a training set."""
    shell.user_ns["labels"] = labels()
    shown(shell, "%%fstk pit labels --at event_ts -o ts\nfeature_store.customer_features on customer_id\n")
    return shell


def test_verbs(notebook: InteractiveShell) -> None:
    assert {one.removeprefix("%fstk ") for one in offered(notebook, "%fstk |")} >= VERBS
    assert offered(notebook, "x = 1\n%fstk wi|") == ["x = 1\n%fstk windows"]
    assert offered(notebook, "fstk tab|") == ["fstk tables"]


@pytest.mark.parametrize(
    ("cell", "ends"),
    [
        ("%fstk show feature|", ["feature_store.customer_features", "feature_store.regions"]),
        ("%fstk publish feature_store.customer_features --feature total|", ["total_spend_30d"]),
        ("%fstk publish feature_store.regions --to mem|", ["memory://"]),
        ("%fstk publish feature_store.regions --dr|", ["--dry-run"]),
        ("%fstk publish feature_store.regions --pr|", ["--prune"]),
        ("%fstk parity feature_store.reg|", ["feature_store.regions"]),
        ("%fstk parity feature_store.regions --to mem|", ["memory://"]),
        ("%fstk parity feature_store.regions --sa|", ["--sample"]),
        ("%fstk explain t|", ["ts", "transactions"]),
        ("%%fstk windows t --source lab|", ["labels"]),
        ("%%fstk windows t --source tra|", ["transactions"]),
        ("%%fstk windows t --source=tra|", ["transactions"]),
        ("%%fstk windows t --source transactions --entity cust|", ["customer_id"]),
        ("%%fstk windows t --source transactions --entity customer_id,q|", ["quantity"]),
        ("%%fstk windows t --source transactions --time |", ["purchased_at"]),
        ("%%fstk windows t --source 'transactions' --time pur|", ["purchased_at"]),
        ("%%fstk windows t --closed |", ["left", "right", "both"]),
        ("%%fstk windows t --windows 7d,life|", ["lifetime"]),
        ("%%fstk windows t \\\n  --source transactions \\\n  --time pur|", ["purchased_at"]),
        (f"{WINDOWS}\nsu|", ["sum("]),
        (f"{WINDOWS}\ncount(*) as n\nsum(am|", ["amount"]),
        (f"{WINDOWS}\nsum(amount) filter (where quan|\nx", ["quantity"]),
        ("%%fstk pit lab|", ["labels"]),
        ("%%fstk pit labels --at eve|", ["event_ts"]),
        ("%%fstk pit labels --at |", ["event_ts"]),
        ("%%fstk pit labels --tz Europe/Lon|", ["Europe/London"]),
        ("%%fstk pit labels --at event_ts\nfeature_store.c|", ["feature_store.customer_features"]),
        ("%%fstk pit labels --at event_ts\nfeature_store.customer_features (txn|", ["txn_count_30d"]),
        ("%%fstk pit labels --at event_ts\nfeature_store.customer_features o|", ["on"]),
        ("%%fstk pit labels --at event_ts\nex|", ["expr"]),
        ("%%fstk pit labels --at event_ts\nexpr nullif(reg|", ["region"]),
        ("%%fstk pit labels --at event_ts\nexpr nul|", ["nullif("]),
        ("%%fstk pit labels --at event_ts\nexpr region a|", ["as"]),
        ("%%fstk pit labels --at event_ts\nfeature_store.customer_features on c|", ["customer_id"]),
        ("%%fstk pit labels --at event_ts\nfeature_store.customer_features on customer_id w|", ["within"]),
    ],
)
def test_words_of_every_kind(notebook: InteractiveShell, cell: str, ends: list[str]) -> None:
    found = offered(notebook, cell)
    assert len(found) == len(ends)
    assert all(any(one.endswith(end) for one in found) for end in ends), found


def test_jobs_and_their_notebooks_are_offered(
    notebook: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "10_build.ipynb").touch()
    (tmp_path / "notebooks" / "notes.txt").touch()
    assert offered(notebook, "%fstk run |") == ["%fstk run notebooks/10_build.ipynb"]
    tasks = "[{task_key: a, notebook_task: {notebook_path: notebooks/10_build.ipynb}}]"
    (tmp_path / "databricks.yml").write_text(f"resources: {{jobs: {{churn: {{tasks: {tasks}}}}}}}")
    assert offered(notebook, "%fstk run |") == ["%fstk run churn", "%fstk run notebooks/10_build.ipynb"]


@pytest.mark.parametrize("frame", [pl.LazyFrame(labels()), pl.DataFrame(labels()), labels().to_pandas()])
def test_columns_of_every_local_frame_are_offered(notebook: InteractiveShell, frame: Any) -> None:
    notebook.user_ns["labels"] = frame
    assert offered(notebook, "%%fstk pit labels --at eve|") == ["%%fstk pit labels --at event_ts"]


def test_where_no_column_is_a_time_all_are_offered(notebook: InteractiveShell) -> None:
    notebook.user_ns["texts"] = pl.DataFrame({"id": [1], "when": ["2024-01-01"]})
    assert [one.split()[-1] for one in offered(notebook, "%%fstk pit texts --at |")] == ["id", "when"]


def test_an_option_is_offered_once_and_required_ones_first(notebook: InteractiveShell) -> None:
    found = [one.split()[-1] for one in offered(notebook, "%%fstk windows t --source transactions --|")]
    assert "--source" not in found
    assert "--entity" in found
    waiting = [one.split()[-1] for one in offered(notebook, "%%fstk windows t |")]
    assert waiting[:4] == ["--source", "--entity", "--time", "--windows"]


@pytest.mark.parametrize(
    "cell", ["%fstk nope |", "%fstk show zzz|", "%fstk explain ts |", f"{WINDOWS}\ncount(*) as n|"]
)
def test_where_nothing_fits_python_does_not_answer_instead(notebook: InteractiveShell, cell: str) -> None:
    assert offered(notebook, cell) == [cell.replace("|", "")]


@pytest.mark.parametrize("cell", ["pri|", "%time pri|", "%%time\npri|", "x = fstk.pri|", "'%fstk '.upp|"])
def test_nothing_is_offered_outside_the_magic(notebook: InteractiveShell, cell: str) -> None:
    assert not any(verb in one for one in offered(notebook, cell) for verb in ("publish", "customer_features"))


def test_a_warehouse_that_cannot_be_read_is_no_error_here(
    notebook: InteractiveShell, monkeypatch: pytest.MonkeyPatch, filled: Path
) -> None:
    for log in (filled / "feature_store" / "regions" / "_delta_log").iterdir():
        log.write_text("{")
    assert offered(notebook, "%fstk publish feature_store.regions --feature |")
    monkeypatch.setenv("FSTK_ENGINE", "nonsense")
    assert offered(notebook, "%fstk show |") == ["%fstk show "]


@pytest.mark.server
def test_a_kernel_answers_at_once_and_starts_nothing(filled: Path) -> None:
    manager, client = jupyter_client.manager.start_new_kernel(kernel_name="python3")
    try:

        def run(code: str) -> None:
            reply = client.execute_interactive(code, timeout=60, output_hook=lambda message: None)
            assert reply["content"]["status"] == "ok", reply["content"]

        run("%load_ext fstk")
        run("import threading\nfor t in threading.enumerate():\n    if t.name == 'fstk-grammar': t.join()")
        took = []
        for code, expected in (
            ("%fstk pub", "publish"),
            ("%fstk show feature_store.c", "feature_store.customer_features"),
            (f"{WINDOWS} --clo", "--closed"),
            (f"{WINDOWS}\nsum(amo", "amount"),
            ("%fstk publish feature_store.customer_features --feature tot", "total_spend_30d"),
        ):
            start = time.perf_counter()
            message = client.complete(code, len(code))
            reply = client.get_shell_msg(timeout=30)
            while reply["parent_header"].get("msg_id") != message:
                reply = client.get_shell_msg(timeout=30)
            took.append(time.perf_counter() - start)
            assert reply["content"]["matches"] == [expected]
        run("import sys\nassert not {'pyspark', 'py4j', 'mlflow'} & set(sys.modules)")
        print("completions through a kernel:", ", ".join(f"{1000 * one:.0f} ms" for one in took))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
