"""Functions of texts without a JVM give Spark's own answer: random calls over texts full of edges, compared with it."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from fstk.engines.connect import direct, engine_of
from fstk.errors import BadExpression, InvalidInput

TEXTS = [
    "",
    " ",
    "a",
    "A",
    "ab,c,,d",
    " a b ",
    "\ta\n",
    "ä",
    "a\u0308",
    "😀a😀",
    "aaa",
    "a%b_",
    "'",
    "\u00a0a\u00a0",
    None,
]
ROWS = pa.table(
    {
        "s": pa.array([one for one in TEXTS for _ in range(4)], pa.string()),
        "t": pa.array([TEXTS[(place * 7) % len(TEXTS)] for place in range(4 * len(TEXTS))], pa.string()),
        "i": pa.array([(place % 9) - 4 if place % 10 else None for place in range(4 * len(TEXTS))], pa.int32()),
        "h": pa.array([(place % 5) - 2 for place in range(4 * len(TEXTS))], pa.int16()),
        "d": pa.array([0.5] * (4 * len(TEXTS))),
    }
)
PATTERNS = ["%", "_", "a%", "%a", "%a%", "a_c", "", "_%_", ".", "a.b", "%,%,%", "ä", "(", "%😀_😀", "%%", "[a]%"]


class _Writer:
    def __init__(self, seed: int) -> None:
        self.chosen = random.Random(seed)

    def text(self, depth: int) -> str:
        r = self.chosen
        if depth == 0:
            return r.choice(["s", "t", "s", "t", "'a'", "','", "''", "'😀'", "' '", "NULL"])
        a, b, c = (self.text(r.randrange(depth)) for _ in range(3))
        n = self.number(depth - 1)
        calls = [
            f"concat({a}, {b}, {c})",
            f"({a} || {b})",
            f"substring({a}, {n}, {self.number(0)})",
            f"substr({a}, {n})",
            f"substring({a} FROM {n} FOR {self.number(0)})",
            f"left({a}, {n})",
            f"RIGHT({a}, {n})",
            f"replace({a}, {b}, {c})",
            f"replace({a}, {b})",
            f"split_part({a}, {b}, nullif({n}, 0))",
            f"lpad({a}, {n}, {b})",
            f"rpad({a}, {n})",
            f"lpad({a}, 7)",
            f"rpad({a}, 7, {b})",
            f"trim({a})",
            f"ltrim({a})",
            f"rtrim({a})",
            f"trim({r.choice(['BOTH', 'LEADING', 'TRAILING', ''])} {b} FROM {a})",
            f"trim(LEADING FROM {a})",
            f"{r.choice(['upper', 'lower', 'ucase', 'lcase'])}({a})",
            f"coalesce({a}, {b})",
        ]
        return r.choice(calls)

    def number(self, depth: int) -> str:
        if depth == 0 or self.chosen.random() < 0.5:
            return self.chosen.choice(["i", "h", "0", "1", "-1", "3", "NULL"])
        return f"{self.chosen.choice(['length', 'len', 'char_length', 'character_length'])}({self.text(depth - 1)})"

    def truth(self, depth: int) -> str:
        a, b = self.text(depth), self.text(depth - 1)
        if self.chosen.random() < 0.5:
            sign = self.chosen.choice(["LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE"])
            return f"{a} {sign} '{self.chosen.choice(PATTERNS)}'"
        return f"{self.chosen.choice(['startswith', 'endswith', 'contains'])}({a}, {b})"


def _written() -> list[str]:
    writer = _Writer(3)
    makers = (writer.text, writer.number, writer.truth)
    return [makers[number % 3](1 + number % 2) for number in range(450)]


@pytest.mark.spark
def test_random_calls_as_spark_answers_them(spark: SparkSession) -> None:
    engine = engine_of(spark)
    asked = {f"e{number}": text for number, text in enumerate(_written())}
    ours = direct().select(ROWS, asked)
    theirs = engine.arrow(engine.select(engine.frame(ROWS, "rows"), asked))
    for name, text in asked.items():
        assert ours.schema.field(name).type == theirs.schema.field(name).type, text
        rows = zip(ours[name].to_pylist(), theirs[name].to_pylist(), ROWS.to_pylist(), strict=True)
        assert [(row, one, two) for one, two, row in rows if one != two] == [], text


@pytest.mark.spark
def test_every_letter_has_the_cases_that_spark_gives_it(spark: SparkSession) -> None:
    engine = engine_of(spark)
    letters = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]
    spaced = [" ".join(letters[start : start + 1000]) for start in range(0, len(letters), 1000)]
    sigmas = ["ΑΣ", "ΑΣ.", "Σ", "ΑΣΑ", "aΣ b", "ΑΣ\u0345", "1Σ", "ΑΣ'Α", "Α.Σ"]
    rows = pa.table({"s": [*spaced, *sigmas]})
    asked = {"lower": "lower(s)", "upper": "upper(s)"}
    theirs = engine.arrow(engine.select(engine.frame(rows, "rows"), {"s": "s"} | asked))
    ours = direct().select(theirs.select(["s"]), asked)
    for name in asked:
        pairs = zip(ours[name].to_pylist(), theirs[name].to_pylist(), strict=True)
        differ = [word for one, two in pairs if one != two for word in zip(one.split(" "), two.split(" "), strict=True)]
        assert [ascii(word) for word in differ if word[0] != word[1]] == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("'a' || s", ["aab,c", None]),
        ("split_part(s, ',', -1)", ["c", None]),
        ("substring(s, -3, 2)", ["b,", None]),
        ("lpad(s, 6, 'xy')", ["xyab,c", None]),
        ("length(s) + 1", [5, None]),
        ("s LIKE '_b%' AND NOT contains(s, 'x')", [True, None]),
        ("coalesce(s, 'none') NOT LIKE 'n%'", [True, False]),
    ],
)
def test_a_call_is_evaluated_without_a_jvm(text: str, wanted: list[object]) -> None:
    assert direct().select(pa.table({"s": ["ab,c", None]}), {"it": text})["it"].to_pylist() == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("s RLIKE 'a'", "REGEXP_LIKE"),
        ("s LIKE 'a!%' ESCAPE '!'", "ESCAPE"),
        ("s LIKE t", "a text without a backslash"),
        (r"s LIKE 'a\%'", "a text without a backslash"),
        ("s LIKE ANY ('a', 'b')", "a text without a backslash"),
        ("(s = t) = (s LIKE 'a') = TRUE", "parentheses"),
        ("initcap(s)", "INITCAP"),
        ("length(i)", "of int, where it takes string"),
        ("left(s, 5000000000)", "of bigint, where it takes int"),
        ("s || i", "no text"),
        ("concat()", "CONCAT"),
        ("ltrim('x', s)", "LTRIM"),
        ("replace(s)", "REPLACE"),
        ("builtin.length(s)", "builtin"),
    ],
)
def test_what_is_not_held_to_spark_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(BadExpression, match=f"(?i){says}"):
        direct().select(ROWS, {"it": text})


def test_part_0_is_an_error_where_it_is_asked_for() -> None:
    assert direct().select(ROWS, {"it": "CASE WHEN FALSE THEN split_part(s, ',', 0) END"}).num_rows == ROWS.num_rows
    with pytest.raises(InvalidInput, match="counts its parts from 1"):
        direct().select(ROWS, {"it": "split_part(s, ',', 0)"})
