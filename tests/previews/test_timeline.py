import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from fstk.previews.timeline import Timeline

LABEL = datetime(1997, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def picture(times: list[datetime], **how: object) -> Timeline:
    given = {"entity": "customer 1042", "at": LABEL, "lookup": "customer_features", "status": "matched", **how}
    return Timeline.of(times=times, **given)  # type: ignore[arg-type]


def lane(picture: Timeline, name: str) -> str:
    return next(line[13:] for line in repr(picture).splitlines() if line.startswith(f" {name} "))


def test_the_row_used_is_tied_to_the_label_and_the_others_say_why_not() -> None:
    drawn = picture([LABEL - 9 * DAY, LABEL - 3 * DAY, LABEL + 4 * DAY], used=LABEL - 3 * DAY)
    assert re.fullmatch(r"○ +●━+┥ +◌", lane(drawn, "features"))
    assert repr(drawn).splitlines()[0] == "customer 1042 · label 1997-02-01 · customer_features · matched, age 3 d"
    assert "○ superseded  ◌ later, refused  ● used" in repr(drawn)


@pytest.mark.parametrize("distance", [timedelta(microseconds=1), timedelta(hours=4)])
def test_a_row_just_after_the_label_is_never_drawn_on_or_before_it(distance: timedelta) -> None:
    drawn = picture([LABEL - 3000 * DAY, LABEL + distance], used=LABEL - 3000 * DAY)
    assert re.search(r"┥◌$", lane(drawn, "features"))
    drawn = picture([LABEL - distance, LABEL + 3000 * DAY], used=LABEL - distance)
    assert re.match(r"^●┥ +◌$", lane(drawn, "features"))


def test_a_row_at_the_labels_own_instant_stands_on_its_line() -> None:
    drawn = picture([LABEL - DAY, LABEL], used=LABEL)
    assert re.fullmatch(r"○ +●", lane(drawn, "features"))
    assert "age 0 s" in repr(drawn)


def test_the_look_back_bar_ends_at_the_label_and_an_older_row_is_outside() -> None:
    drawn = picture([LABEL - 9 * DAY, LABEL - 6 * DAY], used=LABEL - 6 * DAY, lookback=7 * DAY)
    assert re.fullmatch(r"× +● *━+┥", lane(drawn, "features"))
    bar = lane(drawn, "look-back")
    assert re.fullmatch(r" +├─+┤", bar)
    assert bar.index("┤") == lane(drawn, "features").index("┥")
    assert lane(drawn, "features").index("×") < bar.index("├") < lane(drawn, "features").index("●")


def test_an_event_at_the_labels_own_instant_stands_out() -> None:
    drawn = picture([LABEL - 9 * DAY], used=LABEL - 9 * DAY, events=[LABEL - DAY, LABEL, LABEL + DAY])
    assert re.fullmatch(r" +· +◆ +·", lane(drawn, "events"))
    assert "◆ event at the label's own instant" in repr(drawn)


def test_a_backfilled_row_is_told_apart_from_a_superseded_one() -> None:
    times = [LABEL - 9 * DAY, LABEL - 5 * DAY]
    written = {times[0]: times[0], times[1]: LABEL + 30 * DAY}
    drawn = picture(times, used=times[0], written=written)
    assert [row.kind for row in drawn.rows] == ["used", "written later"]
    assert "◇ written later, refused" in repr(drawn)
    at_label = picture([LABEL], written={LABEL: LABEL + DAY}, status="only_later_rows")
    assert [row.kind for row in at_label.rows] == ["written later"]  # its time alone would have let it through


def test_many_rows_are_cut_to_the_nearest_and_counted() -> None:
    times = [LABEL + (i - 1000) * DAY for i in range(2000)]
    drawn = picture(times, used=LABEL, events=times)
    assert drawn.rows[0].at == LABEL - 7 * DAY
    assert drawn.rows[-1].at == LABEL + 4 * DAY
    assert drawn.hidden == 2000 - 12
    assert (drawn.events[0], drawn.events[-1]) == (LABEL - 9 * DAY, LABEL + 6 * DAY)  # a quarter of the span beyond
    assert "1,988 further rows not drawn" in repr(drawn)
    assert len(drawn._repr_html_().encode()) < 100_000


def test_the_first_and_last_instants_there_are_can_be_drawn() -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    drawn = Timeline.of(
        entity="c", at=last, lookup="t", status="matched", times=[first], used=first, lookback=timedelta.max
    )
    assert re.search(r"●━+┥", repr(drawn))
    assert Timeline.of(entity="c", at=first, lookup="t", status="x", times=[], lookback=7 * DAY).lookback == 7 * DAY


def test_no_rows_is_said() -> None:
    assert "no feature rows of this entity" in repr(picture([], status="unknown_key"))


class Tags(HTMLParser):
    """What an untrusted notebook leaves of an output: the text, and here the tags and attributes that were there."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_html_is_static_themeable_and_what_is_left_without_svg_is_the_text() -> None:
    drawn = picture(
        [LABEL - 9 * DAY, LABEL + DAY],
        entity="<script>alert(1)</script> \x1b[31m",
        used=LABEL - 9 * DAY,
        events=[LABEL],
        lookback=10 * DAY,
    )
    parsed = Tags(drawn._repr_html_())
    assert {tag for tag, _ in parsed.tags} <= {"pre", "strong", "svg", "desc", "rect", "path", "circle", "g", "text"}
    for _, attributes in parsed.tags:
        assert not any(name.startswith(("on", "href", "src", "xlink")) for name in attributes)
        colours = {attributes.get("fill"), attributes.get("stroke")} - {None, "none"}
        assert all("currentColor" in str(colour) for colour in colours)
    assert [line.rstrip() for line in "".join(parsed.words).splitlines()] == repr(drawn).splitlines()
    assert "\x1b" not in repr(drawn)
    assert max(len(line) for line in repr(drawn).splitlines()) <= 100


def test_the_facts_are_also_a_table() -> None:
    text = picture([LABEL - 9 * DAY, LABEL + timedelta(hours=4)], used=LABEL - 9 * DAY).display().text()
    assert text.splitlines()[2].split() == ["1997-01-23", "used", "9", "d"]
    assert text.splitlines()[3].split() == ["1997-02-01", "04:00", "later", "−4", "h"]
