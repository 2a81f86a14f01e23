"""A finding is accepted where its reason stands; what accepts nothing, or without a reason, is told."""

import pytest

from fstk.lint.acceptance import Acceptance, in_code, in_tags, settled
from fstk.lint.report import LintReport
from fstk.lint.sources import lint_cells

LEAK = "df['next'] = df.x.shift(-1)"
BECAUSE = "# fstk: accept later-rows because next is the outcome"


def linted(*sources: str) -> LintReport:
    cells = [(source, f"In[{number}]") for number, source in enumerate(sources, 1)]
    return settled(lint_cells(cells), [one for source, where in cells for one in in_code(source, where)])


@pytest.mark.parametrize(
    "source",
    [
        f"{BECAUSE}\n{LEAK}",
        f"{LEAK}  {BECAUSE}",
        f"%load_ext fstk\n{LEAK}\n{BECAUSE}",
        "%%sql\n-- fstk: accept later-rows because next is the outcome\nSELECT lead(x) OVER (ORDER BY at) AS n FROM t",
        "%%sql\nSELECT lead(x) OVER (ORDER BY at) FROM t -- fstk: accept later-rows because next is the outcome",
        "SELECT lead(x) OVER (ORDER BY at) FROM t /* fstk: accept later-rows because next is the outcome */",
    ],
)
def test_a_comment_in_the_cell_accepts_with_its_reason(source: str) -> None:
    report = linted("a = 1", source)
    assert report.clean
    assert [one.accepted for one in report.accepted] == ["next is the outcome"]
    lines = repr(report).splitlines()
    assert lines[0] == "lint: clean."
    assert lines[-1].startswith("ACCEPTED  later-rows at In[2]")
    assert lines[-1].endswith(" because next is the outcome")


@pytest.mark.parametrize(
    ("sources", "note"),
    [
        ([LEAK, BECAUSE], "In[2] accepts later-rows, which nothing there needs."),
        ([f"{LEAK}  # fstk: accept shuffled-split because of this"], "accepts shuffled-split, which nothing"),
        ([f"{LEAK}  # fstk: accept later-rows"], "In[1] accepts later-rows without a reason"),
        ([f"{LEAK}  # fstk: accept later-rows because"], "In[1] accepts later-rows without a reason"),
        ([f"{LEAK}  # fstk: accept later-rows since it is so"], "In[1] accepts later-rows without a reason"),
    ],
)  # fmt: skip
def test_what_accepts_nothing_is_told_and_the_leak_stays(sources: list[str], note: str) -> None:
    report = linted(*sources)
    assert [one.code for one in report.findings] == ["later-rows"]
    assert not report.clean
    assert report.accepted == ()
    assert len(report.notes) == 1
    assert note in report.notes[0]
    assert f"NOTE  {report.notes[0][:40]}" in repr(report)
    assert "NOTE  In[" in report._repr_html_()


def test_what_only_a_join_finds_is_not_missed_in_a_cell() -> None:
    assert linted("%%fstk pit l\n-- fstk: accept rounded-label because of nights\nt on k").notes == ()


def test_text_that_is_no_comment_accepts_nothing() -> None:
    assert linted(f'{LEAK}\nprint("{BECAUSE}")').notes == ()
    assert not linted(f'{LEAK}\nprint("{BECAUSE}")').clean


def test_a_place_is_itself_and_what_is_in_it() -> None:
    sources = ["a = 1"] * 11 + [LEAK]
    assert linted(*sources).findings[0].where == "In[12], line 1,"
    sources[0] = BECAUSE  # In[1] is no part of In[12]
    assert not linted(*sources).clean


def test_a_tag_of_the_table_accepts() -> None:
    tags = {"team": "risk", "accept_one_instant": "loaded once, labels are later"}
    assert in_tags(tags, "fs.t", ["one-instant"]) == [
        Acceptance("one-instant", "fs.t", "loaded once, labels are later", True)
    ]
    assert in_tags(tags, "fs.t")[0].told is False
