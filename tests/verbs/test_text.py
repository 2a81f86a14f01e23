from fstk.verbs.text import statements


def test_one_statement_a_line_without_comments_and_commas() -> None:
    text = "count(*) as n,  -- all\n\n# a heading\nsum(x) as `a#b` # said\nmax(x)--y\n"
    assert statements(text) == ["count(*) as n", "sum(x) as `a#b`", "max(x)"]


def test_a_statement_goes_on_while_a_parenthesis_is_open() -> None:
    text = "sum(a) filter (where\n  b > 1  -- many\n  and c = '(')  as d\ncount(*) as n"
    assert statements(text) == ["sum(a) filter (where b > 1 and c = '(')  as d", "count(*) as n"]


def test_comment_marks_inside_quotes_are_text() -> None:
    assert statements("count(*) filter (where a = '-- #x') as n") == ["count(*) filter (where a = '-- #x') as n"]
    assert statements("sum(a#b) as n") == ["sum(a#b) as n"]


def test_a_quote_after_a_backslash_closes_nothing_but_an_identifier() -> None:
    for text in (r"count(*) filter (where a = 'it\'s -- (') as n", r'count(*) filter (where a = "\" # (") as n'):
        assert statements(text) == [text]
    assert statements(r"sum(`a\`) as n -- (") == [r"sum(`a\`) as n"]


def test_what_is_left_open_is_still_a_statement() -> None:
    assert statements("sum(a\n") == ["sum(a"]
    assert statements("\n-- nothing\n") == []
