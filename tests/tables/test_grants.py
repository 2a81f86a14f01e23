"""Who may read a table, as its own property says: anyone while nobody was granted anything, then only those named."""

from __future__ import annotations

import pytest

from fstk.tables.grants import may_select
from fstk.tables.properties import from_properties

SCHEMA = {"id": "bigint", "n": "double"}


@pytest.mark.parametrize(
    ("grants", "allowed"),
    [
        (None, True),
        ('{"SELECT": ["ann"]}', True),
        ('{"SELECT": ["ben", "team"]}', True),
        ('{"SELECT": ["ben"]}', False),
        ('{"SELECT": []}', False),
        ('{"MODIFY": ["ann"]}', False),
        ('{"SELECT": "ann"}', False),
        ('{"SELECT": [["ann"], 1]}', False),
        ('["ann"]', False),
        ("ann", False),
        ("", False),
    ],
)
def test_once_a_table_has_grants_who_is_not_named_may_not(grants: str | None, allowed: bool) -> None:
    properties = {"fstk.primary_keys": '["id"]'} | ({} if grants is None else {"fstk.grants": grants})
    table = from_properties("s.t", properties, SCHEMA, (), None)
    assert table is not None
    assert may_select(table, "ann", ("team", "others")) is allowed
