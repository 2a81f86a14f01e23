from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path

import pytest

from fstk.demo import cdnow
from fstk.errors import MissingPackage


def test_every_purchase_of_the_source_arrives_with_its_types() -> None:
    source = Path(str(distribution("Lifetimes").locate_file("lifetimes/datasets/CDNOW_master.txt")))
    expected = []
    for line in source.read_text().splitlines()[1:]:
        customer, day, quantity, amount = line.split()
        at = datetime(int(day[:4]), int(day[4:6]), int(day[6:]), tzinfo=UTC)
        expected.append((int(customer), at, int(quantity), float(amount)))
    table = cdnow.purchases()
    assert list(zip(*(column.to_pylist() for column in table.columns), strict=True)) == expected
    assert [str(field.type) for field in table.schema] == ["int64", "timestamp[us, tz=UTC]", "int32", "double"]
    assert table.num_rows == cdnow.PURCHASES
    assert len(set(table["customer_id"].to_pylist())) == cdnow.CUSTOMERS


def test_free_and_same_day_purchases_are_kept() -> None:
    table = cdnow.purchases()
    assert sum(amount == 0 for amount in table["amount"].to_pylist()) == 80
    instants = list(zip(table["customer_id"].to_pylist(), table["purchased_at"].to_pylist(), strict=True))
    assert len(instants) > len(set(instants))


def test_without_the_package_the_pip_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_name: str) -> None:
        raise cdnow.PackageNotFoundError

    monkeypatch.setattr(cdnow, "distribution", absent)
    with pytest.raises(MissingPackage, match=r"pip install 'fstk\[demo\]'"):
        cdnow.purchases()
