"""Each way to look ahead in code is named; its innocent neighbour is not."""

import json
from pathlib import Path

import pytest

from fstk.lint.acceptance import in_code, settled
from fstk.lint.sources import lint_cell, lint_cells, lint_sql

ROOT = Path(__file__).parents[2]
TIMED = (
    'fe.create_training_set(df=d, feature_lookups=[FeatureLookup("t", "k", timestamp_lookup_key="at")], label="y")\n'
)
FLOW = "rows = training_set.to_pandas()\nnumbers = ['a', 'b']\n"
CLOSED = 'w = WindowedFeatures(source="s", entity="k", timestamp="at", aggregates=[a], windows=["7d"], closed="both")\n'

LEAKS = [
    ("later-rows", "spark.sql('SELECT lead(x) OVER (PARTITION BY k ORDER BY at) AS next FROM t')"),
    ("later-rows", "query = 'SELECT lead(x) OVER (PARTITION BY k ORDER BY at) AS next FROM t'\nspark.sql(query)"),
    ("later-rows", "%%sql\nSELECT lag(x) OVER (PARTITION BY k ORDER BY at DESC) AS next FROM t"),
    ("later-rows", "%%sql\nSELECT sum(x) OVER (ORDER BY at DESC) AS rest FROM t"),
    (
        "later-rows",
        "df.selectExpr('sum(x) OVER (PARTITION BY k ORDER BY at "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS s')",
    ),
    (
        "later-rows",
        "%%sql\nSELECT avg(x) OVER w FROM t "
        "WINDOW w AS (ORDER BY at ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING)",
    ),
    ("later-rows", "w = Window.partitionBy('k').orderBy('at')\ndf.withColumn('n', F.lead('x').over(w))"),
    ("later-rows", "w = Window.partitionBy('k').orderBy(F.desc('at'))\ndf.withColumn('n', F.lag('x').over(w))"),
    ("later-rows", "df.withColumn('n', F.sum('x').over(Window.orderBy(F.col('at').desc())))"),
    (
        "later-rows",
        "w = Window.partitionBy('k').orderBy('at')\n"
        "f = w.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)\n"
        "df.withColumn('n', F.sum('x').over(f))",
    ),
    ("later-rows", "df.withColumn('n', F.avg('x').over(Window.orderBy('at').rowsBetween(-3, 3)))"),
    ("later-rows", "df['next'] = df.groupby('k')['x'].shift(-1)"),
    ("later-rows", "df.with_columns(next=pl.col('x').shift(n=-1).over('k', order_by='at'))"),
    ("later-rows", "df['next'] = df.x.diff(periods=-1)"),
    ("later-rows", "df['x'] = df.groupby('k')['x'].bfill()"),
    ("later-rows", "df['x'] = df['x'].fillna(method='bfill')"),
    ("later-rows", "df.with_columns(pl.col('x').fill_null(strategy='backward'))"),
    ("later-rows", "df['x'] = df['x'].rolling(7, center=True).mean()"),
    ("unordered-window", "%%sql\nSELECT (x - avg(x) OVER ()) / stddev(x) OVER () AS z FROM t"),
    ("unordered-window", "%%sql\nSELECT sum(x) OVER (PARTITION BY k) AS total FROM t"),
    ("unordered-window", "%%sql\nSELECT sum(x) OVER (PARTITION BY date_trunc('MONTH', at)) AS total FROM t"),
    (
        "unordered-window",
        "WindowedFeatures('s', 'order_id', 'at', [a], ['7d'])\n"
        "spark.sql('SELECT sum(x) OVER (PARTITION BY order_id) AS total FROM t')",
    ),
    ("unordered-window", "%%sql\nSELECT count(*) OVER (PARTITION BY session_id) AS n, order_id FROM t"),
    ("unordered-window", "df.withColumn('z', F.avg('x').over(Window.partitionBy()))"),
    ("unordered-window", "w = Window.partitionBy('k')\ndf.withColumn('z', F.avg('x').over(w))"),
    ("unordered-window", "df['z'] = df.groupby('k')['x'].transform('mean')"),
    ("unordered-window", "df.with_columns(z=pl.col('x').mean().over('k'))"),
    ("unordered-window", "df['z'] = df['x'] / df['x'].max()"),
    ("label-in-window", TIMED + "spark.sql('SELECT avg(y) OVER (PARTITION BY store) AS rate FROM t')"),
    ("label-in-window", TIMED + "spark.sql('SELECT avg(Y) OVER (PARTITION BY store ORDER BY at) AS rate FROM t')"),
    ("label-in-window", TIMED + "df.withColumn('rate', F.avg('y').over(Window.partitionBy('store').orderBy('at')))"),
    ("label-in-window", TIMED + "df['rate'] = df.groupby('store')['y'].transform('mean')"),
    ("label-in-window", TIMED + "df['rate'] = df.groupby('store').y.transform('mean')"),
    ("local-time", "spark.sql(\"SELECT k, from_utc_timestamp(at, 'Europe/Berlin') AS at FROM t\")"),
    ("local-time", "df.withColumn('at', F.from_utc_timestamp('at', 'Europe/Berlin'))"),
    ("local-time", "df.select('k', F.from_utc_timestamp('at', 'Europe/Berlin').alias('at'))"),
    ("current-time", "spark.sql(f\"SELECT datediff('{datetime.now()}', at) AS age FROM t\")"),
    ("current-time", "today = pd.Timestamp.now()\nspark.sql(f\"SELECT datediff('{today:%F}', at) AS age FROM t\")"),
    ("current-time", "df['age'] = (datetime.now(UTC) - df['at']).dt.days"),
    ("current-time", "now = pd.Timestamp.now('UTC')\ndf['age'] = (now - df['at']).dt.days"),
    ("current-time", "df.assign(age=pd.Timestamp.now('UTC') - df.at)"),
    ("current-time", "df.withColumn('age', F.lit(dt.date.today()))"),
    ("fitted-on-all", FLOW + "rows[numbers] = StandardScaler().fit_transform(rows[numbers])"),
    ("fitted-on-all", FLOW + "train, test = train_test_split(rows, shuffle=False)\ns = StandardScaler()\ns.fit(rows)"),
    ("fitted-on-all", FLOW + "codes = OneHotEncoder().fit(rows[['shop']])"),
    ("fitted-on-all", "model = StandardScaler(inputCol='v', outputCol='s').fit(spark.table('features'))"),
    ("shuffled-split", TIMED + "train, test = train_test_split(rows, shuffle=True)"),
    ("shuffled-split", TIMED + "train, test = train_test_split(rows, test_size=0.2)"),
    ("shuffled-split", TIMED + "train, test = rows.randomSplit([0.8, 0.2])"),
    ("shuffled-split", "train, test = train_test_split(rows, shuffle=True)"),
    ("shuffled-split", TIMED + "folds = KFold(5, shuffle=True)"),
    ("closed-at-event", CLOSED + 'df = w.compute("events")'),
    ("closed-at-event", CLOSED + 'fe.create_table(name="t", features=w, points="events")'),
    ("closed-at-event", CLOSED.replace("both", "right") + 'p = "events"\nfe.create_table(features=w, points=p)'),
    ("closed-at-event", "%%fstk windows t --source s --entity k --time at --windows 7d --closed both\nsum(x) as x"),
    ("closed-at-event", "%%fstk windows t --source s --closed=right --entity k --time at --windows 7d\nsum(x) as x"),
    ("closed-at-event", CLOSED.replace("w = ", "").strip().replace("both", "right") + '.to_arrow("events")'),
]  # fmt: skip

NEIGHBOURS = [
    "spark.sql('SELECT lag(x) OVER (PARTITION BY k ORDER BY at) AS before FROM t')",
    "spark.sql('SELECT lead(x) OVER (PARTITION BY k ORDER BY at DESC) AS before FROM t')",
    "spark.sql('SELECT row_number() OVER (PARTITION BY k ORDER BY at DESC) AS n FROM t')",
    "%%sql\nSELECT sum(x) OVER (PARTITION BY k ORDER BY at ROWS BETWEEN 9 PRECEDING AND 1 PRECEDING) AS s FROM t",
    "%%sql\nSELECT sum(x) OVER (PARTITION BY k ORDER BY at) AS s FROM t",
    "%%sql\nSELECT rank() OVER (PARTITION BY k ORDER BY at) AS n FROM t",
    "%%sql\nSELECT x / avg(x) OVER (PARTITION BY as_of) AS share FROM t",
    "%%sql\nSELECT count(*) OVER (PARTITION BY order_id) AS items FROM t",
    "%%sql\nSELECT x / sum(x) OVER (PARTITION BY customer_id, Invoice_No) AS share FROM t",
    "df.withColumn('items', F.count('*').over(Window.partitionBy('order_id')))",
    "df['items'] = df.groupby('order_id')['x'].transform('count')",
    "df.with_columns(items=pl.col('x').count().over('order_id'))",
    "fe.create_table(name='t', primary_keys=['order_id'], timeseries_column='at', df=df)\n"
    "spark.sql('SELECT sum(x) OVER (PARTITION BY order_id) AS total FROM t')",
    "%%sql\nSELECT 'lead(x) OVER (ORDER BY at)' AS text, x AS lead -- lead(x) OVER (ORDER BY at)\nFROM t",
    TIMED + "spark.sql('SELECT lead(at) OVER (PARTITION BY k ORDER BY at) IS NULL AS y FROM t')",
    "labels = spark.sql('SELECT lead(at) OVER (PARTITION BY k ORDER BY at) IS NULL AS gone FROM t')",
    TIMED + "df['y'] = df.groupby('k')['at'].shift(-1).isna()",
    "labels['gone'] = df.groupby('k')['at'].shift(-1).isna()",
    "w = Window.partitionBy('k').orderBy('at')\ndf.withColumn('n', F.lag('x').over(w))",
    "w = Window.partitionBy('k').orderBy('at')\ndf.withColumn('n', F.sum('x').over(w.rowsBetween(-7, -1)))",
    "w = Window.partitionBy('k').orderBy(F.desc('at'))\ndf.withColumn('n', F.row_number().over(w))",
    "w = Window.partitionBy('k').orderBy(F.desc('at'))\ndf.withColumn('n', F.sum('x').over(w.rowsBetween(0, 6)))",
    "w = Window.partitionBy('as_of')\ndf.withColumn('z', F.avg('x').over(w))",
    "def over(w):\n    return F.avg('x').over(w)",
    "df['before'] = df.groupby('k')['x'].shift(1)",
    "df['change'] = df.x.diff()",
    "df['x'] = df['x'].ffill().fillna(0)",
    "df['x'] = df['x'].rolling(7).mean()",
    "df['x'] = df['x'].rolling(7, center=False).mean()",
    "print('df.shift(-1)')  # df.bfill()",
    "df['n'] = df.groupby('k')['x'].transform('cumsum')",
    "df['z'] = df.groupby('as_of')['x'].transform('mean')",
    "df.with_columns(n=pl.col('x').cum_sum().over('k'))",
    "df.with_columns(z=pl.col('x').mean().over('as_of'))",
    "df['z'] = df['x'] - df['x'].shift(1)",
    "df['z'] = df['x'] / by_day['x'].max()",
    "print(df.x - df.x.mean())",
    TIMED + "spark.sql('SELECT avg(x) OVER (PARTITION BY store ORDER BY at) AS rate FROM t')",
    TIMED + "spark.sql('SELECT store, avg(y) AS rate FROM t GROUP BY store')",
    "spark.sql(\"SELECT k, hour(from_utc_timestamp(at, 'Europe/Berlin')) AS hour FROM t\")",
    "df.withColumn('hour', F.hour(F.from_utc_timestamp('at', 'Europe/Berlin')))",
    "started = datetime.now()\nprint(f'{datetime.now() - started}')",
    "spark.sql(f\"SELECT datediff('{as_of}', at) AS age FROM t\")",
    "fe.create_table(name='t', primary_keys=['k'], df=df, description=f'made {datetime.now()}')",
    FLOW + "train, test = train_test_split(rows, shuffle=False)\nscaler = StandardScaler().fit(train[numbers])",
    FLOW + "train = rows[rows.at < cut]\nscaler = StandardScaler().fit(train[numbers])",
    FLOW + "past = rows.at < cut\nscaler = StandardScaler().fit(rows.loc[past, numbers])",
    "scaler = StandardScaler().fit(rows.filter(pl.col('at') < cut))",
    "def scaled(rows):\n    return StandardScaler().fit_transform(rows)",
    "for train, test in TimeSeriesSplit().split(X):\n    scaler = StandardScaler().fit(X[train])",
    FLOW + "model = make_pipeline(StandardScaler(), Ridge()).fit(rows[numbers], rows['y'])",
    FLOW + "y = LabelEncoder().fit_transform(rows['y'])",
    TIMED + "train, test = train_test_split(rows, shuffle=False)",
    "fe.create_training_set(df=d, feature_lookups=[], label='y')\ntrain, test = train_test_split(rows, shuffle=True)",
    "train, test = train_test_split(rows)",
    CLOSED + "df = w.compute(Calendar(start, end, every='7d'))",
    CLOSED.replace("both", "left") + 'df = w.compute("events")',
    CLOSED + 'fe.create_table(name="t", features=w, points=Calendar(start, end, every="7d"))',
    CLOSED.replace("both", "left") + 'fe.create_table(name="t", features=w, points="events")',
    "%%fstk windows t --source s --entity k --time at --windows 7d --closed left\nsum(x) as x",
    "%%fstk windows t --source s --entity k --time at --windows 7d --closed both --calendar a,b,7d\nsum(x) as x",
    "%%fstk windows t --source s --entity k --time at --windows 7d --closed both --points p,at\nsum(x) as x",
]  # fmt: skip


@pytest.mark.parametrize(("rule", "cell"), LEAKS)
def test_code_that_looks_ahead_is_named(rule: str, cell: str) -> None:
    found = lint_cell(cell, "In[1]")
    assert {one.code for one in found} == {rule}
    assert all(one.where.startswith("In[1]") and one.cure for one in found)


@pytest.mark.parametrize("cell", NEIGHBOURS)
def test_code_that_only_looks_like_it_is_not(cell: str) -> None:
    assert lint_cell(cell, "In[1]") == []


def test_a_finding_quotes_its_code_and_has_its_line() -> None:
    (found,) = lint_cell("a = 1\ndf['next'] = df.x.shift(-1)", "In[3]")
    assert found.where == "In[3], line 2,"
    assert found.message == "has df.x.shift(-1): each row gets values of rows that come after it."
    (found,) = lint_sql("SELECT lead(x) OVER (ORDER BY at) FROM t", "f.sql")
    assert found.message.startswith("has LEAD(x) OVER (ORDER BY at): ")


def test_cells_know_of_each_other() -> None:
    window, use = "w = Window.partitionBy('k')", "df.withColumn('z', F.avg('x').over(w))"
    assert [one.where for one in lint_cells([(window, "In[1]"), (use, "In[2]")])] == ["In[2], line 1,"]
    assert lint_cells([(window, "In[1]"), ("w = w.orderBy('at')", "In[2]"), (use, "In[3]")]) == []
    label, pit = "df['gone'] = df.at.shift(-1)", "%%fstk pit d --at at --label gone\nt on k"
    assert [one.code for one in lint_cells([(label, "In[1]")])] == ["later-rows"]
    assert lint_cells([(label, "In[1]"), (pit, "In[2]")]) == []
    (found,) = lint_cells([("a, b = train_test_split(d)", "In[1]"), (pit, "In[2]")])
    assert found.code == "shuffled-split"


def test_templates_and_notebooks_hold_no_more_than_was_planted() -> None:
    planted = {"azure_architecture.ipynb": 10, "leaks.ipynb": 6}  # a guide of old; what is told of
    books = [*sorted((ROOT / "templates").glob("*.ipynb")), *sorted((ROOT / "notebooks").glob("*.ipynb"))]
    for book in books:
        cells = [cell for cell in json.loads(book.read_text())["cells"] if cell["cell_type"] == "code"]
        texts = ["".join(cell["source"]) for cell in cells]
        report = settled(
            lint_cells((text, book.name) for text in texts), [a for t in texts for a in in_code(t, book.name)]
        )
        assert len(report.findings) == planted.get(book.name, 0), (book.name, report)
        assert report.notes == ()
