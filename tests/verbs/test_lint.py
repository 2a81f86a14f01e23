"""``fstk lint`` names what is planted, where it is, and nothing else."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from IPython.core.interactiveshell import InteractiveShell
from msgspec import to_builtins
from msgspec.structs import replace
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from fstk import FeatureFunction, FeatureLookup
from fstk.cli.app import main
from fstk.errors import InvalidInput, UnknownName
from fstk.lint.sources import lint_cell
from fstk.sources.load import create_source
from fstk.tables.configured import open_catalog
from fstk.training.training_set import create_training_set
from fstk.verbs import lint
from tests.notebook.cells import refused, shown
from tests.notebook.tables import COUNT, DAY, INSTANT, SPEND, START, labels, spend, write

CLOCK = 'spark.sql("SELECT *, current_timestamp() AS loaded_at FROM transactions")'


def test_a_clean_warehouse_has_no_findings(shell: InteractiveShell, filled: Path) -> None:
    shell.user_ns["labels"] = labels()
    shown(shell, "%%fstk pit labels --at event_ts -o ts\nfeature_store.customer_features on customer_id\n")
    assert shown(shell, "%fstk lint").startswith("lint: clean.\n")
    assert shown(shell, "%fstk lint ts feature_store.customer_features feature_store.regions").startswith(
        "lint: clean."
    )


def test_cells_that_were_run_are_looked_at(shell: InteractiveShell, filled: Path) -> None:
    shell.run_cell(f"if False:\n    {CLOCK}", store_history=True)
    text = shown(shell, "%fstk lint")
    assert text.startswith("⚠ LEAK  In[1], line 2, uses current_timestamp()")
    assert "Cure: " in text


def test_tables_are_looked_at(shell: InteractiveShell, filled: Path) -> None:
    rows = spend()
    stamped = rows.set_column(1, "as_of", pa.array([START] * rows.num_rows, rows.schema.field("as_of").type))
    write(
        filled / "feature_store" / "stamped",
        stamped,
        primary_keys='["customer_id"]',
        timeseries_column="as_of",
    )
    write(filled / "feature_store" / "loose", rows.slice(0, 1), primary_keys='["customer_id"]')
    write(
        filled / "feature_store" / "closed",
        spend().rename_columns(["customer_id", "as_of", "n", "s"]).slice(0, 2),
        primary_keys='["customer_id"]',
        timeseries_column="as_of",
        **{"tag.source": "transactions", "tag.event_time": "purchased_at", "tag.closed": "both"},
    )
    text = shown(shell, "%fstk lint")
    assert "LEAK  feature_store.stamped.as_of is 1997-01-01 in all" in text
    assert "LEAK  feature_store.loose.as_of is a time outside the table's keys" in text
    assert "feature_store.closed" not in text  # no purchase at the instants of its rows
    assert text.count("LEAK") == 2


def test_a_tag_of_a_table_accepts_with_its_reason(shell: InteractiveShell, filled: Path) -> None:
    rows = spend()
    stamped = rows.set_column(1, "as_of", pa.array([START] * rows.num_rows, rows.schema.field("as_of").type))
    tags = {
        "accept_one_instant": "all was known before the first label",
        "accept_time_outside_keys": "it is a birthday",
    }
    about = {"primary_keys": '["customer_id"]', "timeseries_column": "as_of"}
    write(filled / "feature_store" / "stamped", stamped, **about, **{f"tag.{key}": tags[key] for key in tags})
    text = shown(shell, "%fstk lint feature_store.stamped")
    assert text.startswith("lint: clean.")
    assert "ACCEPTED  one-instant at feature_store.stamped.as_of because all was known before the first" in text
    assert "NOTE  feature_store.stamped accepts time-outside-keys, which nothing there needs." in text
    write(filled / "feature_store" / "bare", stamped, **about, **{"tag.accept_one_instant": " "})
    assert "bare accepts one-instant without a reason" in shown(shell, "%fstk lint feature_store.bare")


def totals_table(warehouse: Path, **properties: str) -> pa.Table:
    """``feature_store.totals``, what 30 customers have spent of all time, without a word of it; returns labels."""
    keys = pa.array([n % 30 for n in range(300)], pa.int64())
    at = pa.array([START + n * DAY / 2 for n in range(300)], INSTANT)
    amounts = pa.array([float(n * 37 % 101) for n in range(300)])
    create_source(
        "shop.bought", df=pa.table({"customer_id": keys, "at": at, "amount": amounts}), event_time="at",
        entity="customer_id",
    )  # fmt: skip
    by = pa.table({"customer_id": keys, "amount": amounts}).group_by("customer_id").aggregate([("amount", "sum")])
    rows = by.rename_columns(["customer_id", "spent"])
    write(warehouse / "feature_store" / "totals", rows, primary_keys='["customer_id"]', **properties)
    return pa.table(
        {
            "customer_id": pa.array(range(30), pa.int64()),
            "event_ts": pa.array([START + 100 * DAY] * 30, INSTANT),
            "y": [float(n * 7 % 11) for n in range(30)],
        }
    )


def test_totals_of_all_time_are_known_by_the_source_that_makes_them(shell: InteractiveShell, filled: Path) -> None:
    shell.user_ns["asked"] = totals_table(filled)
    text = shown(shell, "%fstk lint feature_store.totals feature_store.regions")
    assert text.startswith("⚠ LEAK  feature_store.totals is made of events and has no time column")
    assert text.count("LEAK") == 1
    lines = "feature_store.totals on customer_id\nfeature_store.customer_features on customer_id\n"
    text = shown(shell, f"%%fstk pit asked --at event_ts --label y\n{lines}")
    assert "LEAK  feature_store.totals is made of events and has no time column" in text
    assert "30 labels, 100 % see events that are not before the label." in " ".join(text.split())


def test_a_table_whose_keys_no_source_has_is_not_read(
    shell: InteractiveShell, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    totals_table(filled)
    read: list[str] = []
    rows_among = lint.rows_among
    monkeypatch.setattr(lint, "rows_among", lambda at, among: read.append(at.name) or rows_among(at, among))
    shown(shell, "%fstk lint feature_store.regions feature_store.totals")
    assert read == ["feature_store.totals"]


def test_they_are_accepted_with_a_reason_in_pit_too(shell: InteractiveShell, filled: Path) -> None:
    why = {"tag.accept_static_aggregates": "all labels are of tomorrow"}
    shell.user_ns["asked"] = totals_table(filled, **why)
    text = shown(shell, "%fstk lint feature_store.totals")
    assert text.startswith("lint: clean.")
    assert "ACCEPTED  static-aggregates at feature_store.totals because all labels are of tomorrow" in text
    lines = "feature_store.totals on customer_id\nfeature_store.customer_features on customer_id\n"
    text = shown(shell, f"%%fstk pit asked --at event_ts --label y\n{lines}")
    assert "LEAK" not in text
    assert "ACCEPTED  static-aggregates at feature_store.totals because" in text


def test_the_text_of_a_join_accepts_what_its_labels_show(shell: InteractiveShell, filled: Path) -> None:
    shell.user_ns["asked"] = totals_table(filled)
    accept = "-- fstk: accept static-aggregates because all labels are of tomorrow\n"
    lines = "feature_store.totals on customer_id\nfeature_store.customer_features on customer_id\n"
    cell = f"%%fstk pit asked --at event_ts --label y\n{accept}{lines}"
    text = shown(shell, cell)
    assert text.startswith("lint: clean.")
    assert "ACCEPTED  static-aggregates at feature_store.totals because all labels are of tomorrow" in text
    text = shown(shell, cell.replace("static-aggregates", "rounded-label"))
    assert "LEAK  feature_store.totals" in text
    assert "NOTE  the join accepts rounded-label, which nothing there needs." in text


def test_windows_of_a_frame_that_hold_their_own_event_need_no_tag(shell: InteractiveShell, filled: Path) -> None:
    own = {name: replace(one, closed="both", source=None) for name, one in (("n", COUNT), ("s", SPEND))}
    rows = spend().rename_columns(["customer_id", "as_of", "n", "s"])
    for name, points in (("closed", "events"), ("weeks", "calendar")):
        mark = {"defined": {key: to_builtins(replace(one, points=points)) for key, one in own.items()}}
        mark |= {"points": points}
        keys = {"primary_keys": '["customer_id"]', "timeseries_column": "as_of"}
        write(filled / "feature_store" / name, rows, mark, **keys)
    text = shown(shell, "%fstk lint feature_store.closed feature_store.weeks")
    assert "LEAK  feature_store.closed.n and 1 more closes at the row's own instant" in text
    assert text.count("LEAK") == 1


def test_a_back_fill_is_told_as_what_it_is(shell: InteractiveShell, filled: Path) -> None:
    folder = filled / "feature_store" / "kept"
    rows = spend().filter(pc.field("as_of") < START + 30 * DAY)
    half = rows.filter(pc.field("customer_id") == 1), rows.filter(pc.field("customer_id") == 2)
    for day, part in zip((8, 60), half, strict=True):
        write(folder, part, {"run": None}, primary_keys='["customer_id"]', timeseries_column="as_of")
        log = max((folder / "_delta_log").glob("*.json"))
        when = int((START + day * DAY).timestamp() * 1000)
        log.write_text(re.sub(r'"timestamp": ?\d+', f'"timestamp": {when}', log.read_text()))
    asked = {"customer_id": pa.array([1, 2, 1], pa.int64()), "event_ts": [START + d * DAY for d in (40, 40, 2)]}
    shell.user_ns["asked"] = pa.table(asked)
    cell = "%%fstk pit asked --at event_ts -o ts\nfeature_store.kept on customer_id\n"
    text = " ".join(shown(shell, cell).split())
    assert "LEAK feature_store.kept.as_of holds a back-fill: of 2 labels after its first commit (1997-01-09)" in text
    assert "50 % see a row that was written, or changed, more than a day after the label" in text
    assert "holds a back-fill" in " ".join(shown(shell, "%fstk lint ts").split())
    assert "holds a back-fill" not in " ".join(shown(shell, cell.replace(" -o ts", " --as-known")).split())


def test_a_comment_of_a_file_accepts_with_its_reason(shell: InteractiveShell, filled: Path, tmp_path: Path) -> None:
    book = new_notebook(cells=[new_code_cell(f"{CLOCK}  # fstk: accept current-time because it is no feature")])
    nbformat.write(book, tmp_path / "features.ipynb")
    (tmp_path / "features.sql").write_text("-- fstk: accept current-time because of tests\nSELECT now() FROM t")
    for name in ("features.ipynb", "features.sql"):
        text = shown(shell, f"%fstk lint {tmp_path / name}")
        assert text.startswith("lint: clean.")
        assert f"ACCEPTED  current-time at {name}" in text


def test_a_table_that_cannot_be_read_is_not_called_clean(
    shell: InteractiveShell, filled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(filled / "feature_store" / "broken", spend(), primary_keys='["customer_id"]', timeseries_column="as_of")
    (log,) = (filled / "feature_store" / "broken" / "_delta_log").glob("*.json")
    log.write_text("{")
    text = shown(shell, "%fstk lint")
    assert "NOT LOOKED AT" in text
    assert "feature_store.broken" in text
    assert "clean" not in text
    monkeypatch.setattr(sys, "argv", ["fstk", "lint"])
    assert main() == 4
    assert "NOT LOOKED AT" in capsys.readouterr().out


def test_a_training_set_is_looked_at(shell: InteractiveShell, filled: Path) -> None:
    shell.user_ns["labels"] = pa.concat_tables([labels()] * 20)
    copy = pa.table({"customer_id": pa.array([1, 2, 99], pa.int64()), "gone": [True, True, False]})
    write(filled / "feature_store" / "outcomes", copy, primary_keys='["customer_id"]')
    shell.user_ns["labels"] = pa.table(
        {"customer_id": pa.array(range(60), pa.int64()), "is_churned": [n % 2 == 0 for n in range(60)]}
    )
    outcomes = pa.table({"customer_id": pa.array(range(60), pa.int64()), "gone": [n % 2 == 0 for n in range(60)]})
    write(filled / "feature_store" / "gone", outcomes, primary_keys='["customer_id"]')
    text = shown(shell, "%%fstk pit labels --label is_churned -o ts\nfeature_store.gone on customer_id\n")
    assert text.startswith("⚠ LEAK  feature_store.gone.gone is the label is_churned itself under another name.")
    assert "label is_churned itself" in shown(shell, "%fstk lint ts")


def test_functions_of_a_training_set_are_looked_at(shell: InteractiveShell, filled: Path) -> None:
    rows = range(60)
    labels = pa.table(
        {
            "region": list(map(str, rows)),
            "is_churned": [n % 2 == 0 for n in rows],
            "refund": [float(n % 2) for n in rows],
            "paid": [float(n % 7) for n in rows],
        }
    )
    lines = "expr refund * 2 as twice\nexpr twice + paid as mixed\nexpr if(refund > 0, paid + 10, paid) as told\n"
    cell = f"%%fstk pit labels --label is_churned -o ts\nfeature_store.regions on region\n{lines}"
    shell.user_ns["labels"] = labels
    for text in (shown(shell, cell), shown(shell, "%fstk lint ts")):
        assert "LEAK  FeatureFunction twice is the label is_churned itself: refund * 2 reads" in text
        assert "LEAK  FeatureFunction told alone predicts is_churned" in text
        assert "LEAK  your column refund is the label is_churned itself" in text
        assert text.count("LEAK") == 3
    found = create_training_set(
        labels,
        [FeatureLookup("feature_store.regions", "region"), FeatureFunction("1 / (paid - 3)", "f")],
        "is_churned",
        catalog=open_catalog(),
    )
    shell.user_ns["ts"] = found
    text = shown(shell, "%fstk lint ts")
    assert "NOT LOOKED AT  FeatureFunction f: division by zero" in text
    assert "clean" not in text


@pytest.mark.parametrize(
    ("cell", "leaks"),
    [
        ("%%fstk pit labels --label gone --at t\nt on k\nexpr amount / Gone as ratio,\nexpr amount as gone_too", 1),
        ("%%fstk pit labels --at t --label=gone\nexpr gone as f\nexpr gone +", 1),
        ("%%fstk pit labels --at t\nexpr gone as f", 0),
        ("%%fstk windows gone --label gone\nexpr gone as f", 0),
        ('fe.create_training_set(df=d, feature_lookups=[FeatureFunction("gone + 1", "f")], label="gone")', 1),
        ('f = FeatureFunction(expression="gone", output_name="f")\nfe.create_training_set(df=d, label="gone")', 1),
        ('fe.create_training_set(df=d, feature_lookups=[FeatureFunction("gone(", "f")], label="gone")', 0),
        ('fe.create_training_set(df=d, feature_lookups=[FeatureFunction(text, "f")], label=label)', 0),
        ('FeatureFunction("datediff(current_date(), bought)", "f")', 1),
    ],
)
def test_functions_in_cells_are_looked_at(cell: str, leaks: int) -> None:
    assert len(lint_cell(cell, "In[1]")) == leaks


def test_notebooks_and_sql_files_are_looked_at(shell: InteractiveShell, filled: Path, tmp_path: Path) -> None:
    book = new_notebook(cells=[new_markdown_cell("current_date()"), new_code_cell("x = 1"), new_code_cell(CLOCK)])
    nbformat.write(book, tmp_path / "features.ipynb")
    (tmp_path / "features.sql").write_text("SELECT * FROM t WHERE d >= current_date() - INTERVAL 30 DAYS")
    assert "features.ipynb, cell 3, line 1, uses current_timestamp()" in shown(
        shell, f"%fstk lint {tmp_path / 'features.ipynb'}"
    )
    assert "uses current_date()" in shown(shell, f"%fstk lint {tmp_path / 'features.sql'}")
    (tmp_path / "features.py").write_text(CLOCK)
    assert "features.py, line 1, uses current_timestamp()" in shown(shell, f"%fstk lint {tmp_path / 'features.py'}")


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("feature_store.region", UnknownName, "Nearest: feature_store.regions"),
        ("nothing.ipynb", InvalidInput, "nothing.ipynb cannot be read"),
    ],
)
def test_a_name_of_nothing_is_said(shell: InteractiveShell, filled: Path, name: str, kind: type, says: str) -> None:
    error = refused(shell, f"%fstk lint {name}")
    assert type(error) is kind
    assert says in str(error)


def test_in_a_terminal_the_projects_notebooks_are_looked_at(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()
    nbformat.write(new_notebook(cells=[new_code_cell("x = 1")]), tmp_path / "notebooks" / "10.ipynb")
    monkeypatch.setattr(sys, "argv", ["fstk", "lint"])
    assert main() == 0
    nbformat.write(new_notebook(cells=[new_code_cell(CLOCK)]), tmp_path / "notebooks" / "20.ipynb")
    assert main() == 3
    assert "20.ipynb, cell 1, line 1, uses current_timestamp()" in capsys.readouterr().out


@pytest.mark.slow
def test_in_a_terminal_findings_are_exit_code_3(filled: Path, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("SELECT now()")
    (tmp_path / "b.sql").write_text("SELECT at FROM t")
    for name, code, out in (("a.sql", 3, "⚠ LEAK  a.sql uses now()"), ("b.sql", 0, "lint: clean.")):
        done = subprocess.run(
            [sys.executable, "-c", "from fstk.cli.app import main; raise SystemExit(main())", "lint", name],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert done.stdout.startswith(out)
        assert done.stderr.startswith("GateRefused: 1 leak found." if code else "")
