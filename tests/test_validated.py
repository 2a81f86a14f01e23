import datetime as dt
from collections.abc import Sequence
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from pydantic import Field

from fstk.errors import InvalidInput, NaiveDatetime
from fstk.validated import validated


@validated(repr=False)
class Spec:
    source: Any
    keys: str | Sequence[str] = Field(description="a column, or a list of columns")
    length: dt.timedelta | None = Field(default=None, description="a timedelta")

    def __post_init__(self) -> None:
        if self.keys == "naive":
            raise NaiveDatetime("no zone")


def test_what_fits_is_kept_as_it_is() -> None:
    source = object()
    spec = Spec(source, ["a", "b"])
    assert (spec.source, spec.keys, spec.length) == (source, ["a", "b"], None)
    assert replace(spec, keys="c") == Spec(source, "c")
    with pytest.raises(FrozenInstanceError):
        spec.keys = "d"  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"source": 1, "keys": 2}, "keys must be a column, or a list of columns; got 2."),
        ({"source": 1, "keys": "a", "length": 3}, "length must be a timedelta; got 3."),
        ({"source": 1}, "Spec needs keys: a column, or a list of columns."),
        ({"source": 1, "keys": "a", "other": 1}, "Spec takes source, keys, length; other is none of them."),
        ({"source": 1, "keys": 10**80}, f"keys must be a column, or a list of columns; got 1{'0' * 58}…."),
    ],
)
def test_what_does_not_fit_is_one_sentence(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Spec(**arguments)
    assert str(refused.value) == sentence


def test_a_further_check_raises_its_own_error() -> None:
    with pytest.raises(NaiveDatetime, match="no zone"):
        Spec(1, "naive")
