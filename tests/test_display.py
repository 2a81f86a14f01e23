from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from fstk.display import Displayed, OnRequest, Sheet, Stacked, duration, instant, key_text


def test_numbers_stand_right_and_words_left() -> None:
    text = Sheet("t", ["name", "rows"], [["a", 1204], ["bb", 7]]).text()
    assert text.splitlines() == ["t", "  name   rows", "  a     1,204", "  bb        7"]


def test_a_time_among_numbers_moves_none_of_them() -> None:
    rows = [["spend", 41.98], ["first_at", datetime(1997, 1, 1, tzinfo=UTC)], ["rate", None]]
    assert repr(Sheet("", ["f", "value"], rows)).splitlines()[1:] == [
        "  spend          41.98",
        "  first_at  1997-01-01",
        "  rate               –",
    ]
    times = [["a", datetime(1997, 1, 1, 12, tzinfo=UTC)], ["b", None], ["c", datetime(1997, 1, 1, tzinfo=UTC)]]
    assert repr(Sheet("", ["f", "at"], times)).splitlines()[2:] == ["  b  –", "  c  1997-01-01"]


def test_no_line_is_longer_than_the_width() -> None:
    table = Sheet("x" * 300, ["a", "b"], [["y" * 200, "z" * 90]], notes=["n" * 150])
    assert max(len(line) for line in table.text(100).splitlines()) <= 100


def test_a_long_title_or_note_goes_on_in_the_next_lines_and_is_cut_at_last() -> None:
    table = Sheet("one two three", [], [], notes=["four\nfive six seven eight nine ten", "東京 東京東京"])
    want = ["one two", "  three", "four", "five six", "  seven", "  eight …", "東京", "  東京東", "  京"]
    assert table.text(9).splitlines() == want


def test_a_line_breaks_between_facts() -> None:
    assert Sheet("abc · de fg h · ij", [], []).text(12).splitlines() == ["abc ·", "  de fg h ·", "  ij"]


def test_columns_move_closer_before_a_cell_is_cut() -> None:
    table = Sheet("", ["abcdef", "gh"], [["uvwxyz", "12"]])
    assert table.text(12).splitlines() == ["  abcdef  gh", "  uvwxyz  12"]
    assert table.text(11).splitlines() == ["  abcdef gh", "  uvwxyz 12"]
    assert table.text(10).splitlines() == ["  abcd… gh", "  uvwx… 12"]


def test_wide_characters_count_as_two_columns() -> None:
    lines = Sheet("", ["k", "v"], [["東京", 1], ["ab", 2]]).text().splitlines()
    assert lines[1].endswith("東京  1")
    assert lines[2].endswith("ab    2")


def test_html_escapes_every_value_and_carries_nothing_active() -> None:
    html = Sheet("<b>", ["<i>"], [["<script>alert(1)</script>"]], notes=["a & b"]).html()
    assert "<script" not in html
    assert "<style" not in html
    assert "&lt;script&gt;" in html
    assert "a &amp; b" in html


def test_many_rows_are_cut_and_counted() -> None:
    table = Sheet("", ["n"], [[i] for i in range(100_000)])
    assert "99,800 more rows" in table.text()
    assert len(table.html()) < 100_000


def test_html_of_anything_stays_under_100_kb_and_counts_what_it_left_out() -> None:
    wide = Sheet("", [f"column_{i}" for i in range(500)], [["é" * 500] * 500] * 500)
    assert len(wide.html().encode()) < 100_000
    assert "… 468 more columns" in wide.html()
    assert "… 494 more rows" in wide.html()


def test_control_characters_never_reach_a_terminal() -> None:
    table = Sheet("\x1b[31mtitle", ["k"], [["\x1b[31mred"]], notes=["\x1b[31mnote"])
    assert "\x1b" not in table.text()
    assert "\x1b" not in table.html()


def test_nothing_is_told_apart_from_zero_and_false() -> None:
    assert Sheet("", ["v"], [[None], [0], [False]]).text().splitlines()[1:] == ["  –", "  0", "  no"]


def test_times_and_lengths_read_in_their_own_units() -> None:
    assert instant(datetime(1997, 2, 1, tzinfo=UTC)) == "1997-02-01"
    assert instant(datetime(1997, 2, 1, 9, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))) == "1997-02-01 04:00"
    assert instant(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == "9999-12-31 23:59:59.999999"
    lengths = [timedelta(days=3, hours=23), timedelta(hours=4), timedelta(minutes=12), timedelta(microseconds=250)]
    assert [duration(length) for length in lengths] == ["3 d", "4 h", "12 min", "0.00025 s"]
    assert duration(timedelta(hours=-4)) == "−4 h"
    lines = Sheet("", ["age"], [[timedelta(days=88)], [timedelta(hours=4)]]).text().splitlines()
    assert lines[1:] == ["  88 d", "   4 h"]


def test_numbers_are_given_to_the_digits_a_person_reads() -> None:
    values = [41.98, 1234567.891234, 1.2e-05, 0.0, -0.5, 1e300, float("nan"), float("inf"), Decimal("1234.50")]
    lines = Sheet("", ["v"], [[value] for value in values]).text().splitlines()[1:]
    assert [line.strip() for line in lines] == [
        *("41.98", "1,234,567.8912", "1.2e-05", "0", "-0.5", "1e+300", "NaN", "Infinity", "1,234.50"),
    ]
    assert {len(line) for line in lines} == {len(lines[0])}


class Two(Stacked):
    def parts(self) -> list[Displayed]:
        return [Sheet(title, ["a", "b", "c"], [["x" * 100] * 3] * 300) for title in ("first", "second")]


def test_parts_stand_below_each_other_and_share_the_room() -> None:
    assert repr(Two()).index("first") < repr(Two()).index("second")
    assert len(Two()._repr_html_().encode()) < 100_000
    assert Two()._repr_html_().count("more rows") == 2
    assert Two().display().title == "first"


def test_a_tall_table_is_low_in_a_notebook_and_whole_on_request() -> None:
    html = Sheet("", ["n"], [[number] for number in range(80)]).html()
    seen, opened = html.split("<details>")
    assert seen.count("<td") == 24
    assert opened.count("<td") == 56
    assert "<summary>the 56 rows below these</summary>" in opened
    assert "<details>" not in Sheet("", ["n"], [[number] for number in range(25)]).html()
    every = OnRequest("each of the 80", ["n"], [[number] for number in range(80)], hint="--columns")
    assert every.text() == "each of the 80: --columns"
    assert every.html().startswith("<details><summary>each of the 80</summary>")
    assert every.html().count("<td") == 80
    low = Sheet("few", ["n"], [[number] for number in range(9)], tall=3)
    assert low.html().split("<details>")[0].count("<td") == 3
    assert OnRequest("few", ["n"], [[number] for number in range(9)]).text() == low.text(), "no hint: text is whole"


def test_a_long_text_is_cut_and_what_is_missing_is_counted() -> None:
    sheet = Sheet("", ["text"], [["x" * 1_200], ["y" * 200]])
    assert "x" * 200 + "… 1,000 more letters<" in sheet.html()
    assert "y" * 200 + "<" in sheet.html()


def test_a_cell_that_is_too_wide_keeps_its_window() -> None:
    cell = "sum(amount) filter (where quantity > 1 and kind = 'gift') over [as_of − 30 d, as_of)"
    [_, line] = Sheet("", ["meaning"], [[cell]]).text(60).splitlines()
    assert line == "  sum(amount) filter (where quan… over [as_of − 30 d, as_of)"
    assert Sheet("", ["meaning"], [[cell]]).text(30).splitlines()[1] == "  sum(amount) filter (where q…"


def test_a_key_is_a_name_and_has_no_separators() -> None:
    assert [key_text(value) for value in (1042, Decimal("1042"), "a", True, None)] == ["1042", "1042", "a", True, None]
