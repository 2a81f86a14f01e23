"""Code as it is told: the same program in lines that a person reads, coloured without a colour of its own."""

import ast
import re
from html import unescape

import pytest

from fstk.verbs.code import Code, call, listed, literal

NAMES = [f"feature_number_{number}" for number in range(84)]
CONDITION = "sum(amount) filter (where " + " and ".join(f"a_{n} > {n} or b = 'x, (''y" for n in range(9)) + ")"
PROGRAMS = {
    "many names": f'rows = fe.read_features("a.b", features={literal(NAMES)})',
    "a long text": call("made = fe.make", [("aggregates", listed([f'Aggregate({literal(CONDITION)}, name="x")']))]),
    "a long keyword": call("fe.publish_table", [("filter_condition", literal(CONDITION + "\\ \n \"' "))]),
    "calls in a row": f'rows = a.select({literal(NAMES[:5])}).join(b(["k"], how={literal(NAMES[:4])})).drop("k")',
    "nothing to fold": "fe = FeatureEngineeringClient()\n\nreport",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_lines_are_short_and_the_program_is_the_same(program: str) -> None:
    code = Code.of(program)
    assert max(map(len, code.text.split("\n"))) <= 100
    assert ast.dump(ast.parse(code.text)) == ast.dump(ast.parse(program))


def test_names_are_packed_and_arguments_stand_alone() -> None:
    lines = Code.of(PROGRAMS["many names"]).text.split("\n")
    assert lines[1] == '    "a.b",'
    assert len(lines) < 30


def test_a_word_that_is_longer_than_a_line_stays_whole() -> None:
    text = f'read("{"x" * 200}", "y")'
    assert Code.of(text).text == f'read(\n    "{"x" * 200}",\n    "y",\n)'


def test_colours_are_the_editors_and_the_text_is_the_code() -> None:
    html = Code.of('from fstk import x  # why\nx("a < b", 3)').html()
    assert unescape(re.sub("<[^>]+>", "", html)) == 'from fstk import x  # why\nx("a < b", 3)'
    assert re.findall(r"editor-(\w+)-color\)\">([^<]*)", html) == [
        ("keyword", "from"),
        ("keyword", "import"),
        ("comment", "# why"),
        ("string", "&quot;a &lt; b&quot;"),
        ("number", "3"),
    ]


def test_what_is_no_python_is_shown_all_the_same() -> None:
    assert unescape(re.sub("<[^>]+>", "", Code("what's (this\t").html())) == "what's (this "
