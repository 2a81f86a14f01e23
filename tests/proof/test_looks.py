"""A proof passes over magics that only show something, and over nothing else of a cell."""

import pytest

from fstk.proof.notebook import without_looks


@pytest.mark.parametrize(
    ("cell", "left"),
    [
        ("%%fstk pit labels --label y --at at\nshop.spend on k", ""),
        ("%%fstk pit labels \\\n--label y --at at\nshop.spend on k", ""),
        ("before = 1\n%fstk show shop.spend\n%fstk why shop.spend x --key 1\nafter = 2", "before = 1\n\n\nafter = 2"),
        ("%fstk why shop.spend x \\\n  --key 1\nafter = 2", "\nafter = 2"),
        ("%%fstk pit labels -o known --at at\nt on k", "%%fstk pit --code labels -o known --at at\nt on k"),
        ("%%fstk pit labels --prove --output=known\nt on k", "%%fstk pit --code labels --prove --output=known\nt on k"),
        ("%%fstk pit labels \\\n-oknown\nt on k", "%%fstk pit --code labels \\\n-oknown\nt on k"),
        ("%fstk drift a b --html there.html\nopen('there.html')", None),
        ("shown = %fstk show shop.spend", None),
        ("%%fstk windows t --source s --write\ncount(*) as n", None),
        ("%fstk drop shop.spend", None),
        ("%%time\n%fstk show shop.spend", None),
    ],
)
def test_what_only_shows_is_passed_over_and_what_gives_a_name_stays(cell: str, left: str | None) -> None:
    assert without_looks(cell) == (cell if left is None else left)
