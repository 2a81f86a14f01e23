"""The Redis store alone: how it is named, its modes, its faults.

What every store must do is in tests/contracts/test_store.py.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fstk.errors import InvalidInput
from fstk.online.redis import RedisSpec
from fstk.online.spec import spec_of

URLS = {
    "redis://cache.example": RedisSpec("cache.example"),
    "redis://cache.example:6380/3?ttl=90d": RedisSpec("cache.example", 6380, db=3, ttl=timedelta(days=90)),
    "redis://[::1]:7000?cluster=true": RedisSpec("::1", 7000, cluster=True),
    "rediss://cache.example?entra=true": RedisSpec("cache.example", ssl=True, entra=True),
    "rediss://a%40b@cache.example?password=databricks:scope/key": RedisSpec(
        "cache.example", ssl=True, username="a@b", password="databricks:scope/key"
    ),
}


@pytest.mark.parametrize("url", URLS)
def test_a_url_says_what_a_spec_does(url: str) -> None:
    spec = URLS[url]
    assert spec_of(url) == spec
    opened = spec.open().url
    assert spec_of(opened) == RedisSpec(**{**vars(spec), "ttl": None})
    assert spec_of(opened).open().url == opened


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:hunter2@localhost:6379", "it holds no password, but says where that is kept: ?password=env:NAME"),
        ("rediss://u:hunter2@host", "Write rediss://[user@]host[:port][/db] (with TLS)."),
        ("redis://host?password=hunter2", "not a reference to a secret (env:NAME"),
        ("redis://host?password=", "not a reference to a secret (env:NAME"),
        ("redis://hunter2@host", "needs a password; name where it is kept: password=env:NAME"),
        ("redis://host:hunter2", "its host and port cannot be read"),
        ("redis://host:65536", "its host and port cannot be read"),
        ("redis://host:0", "port must be a port, 1 to 65535"),
        ("redis://host/hunter2", "the number of a database"),
        ("redis://", "after its host come a port"),
        ("redis://host/1?cluster=true", "a cluster has database 0 alone; got 1"),
        ("redis://host?cluster=yes", "cluster and entra are true or false"),
        ("redis://host?entra=true", "entra sends a token, so it needs TLS"),
        ("rediss://u@host?entra=true&password=env:A", "entra is a login of its own"),
        ("redis://host?hunter2=1", "after ? its options are ttl, cluster, entra, password"),
    ],
)
def test_a_url_that_names_none_is_refused_without_repeating_it(url: str, shown: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        spec_of(url)
    assert shown in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"host": ""}, "host must be the name or address of a server"),
        ({"host": "redis://host"}, "host must be the name or address of a server"),
        ({"port": "6379"}, "port must be a port"),
        ({"db": -1}, "db must be a whole number"),
        ({"password": b"correct horse"}, "password must be where it is kept"),
        ({"password": "correct horse"}, "not a reference to a secret"),
    ],
)
def test_an_argument_of_another_form_is_refused(arguments: dict[str, Any], shown: str) -> None:
    with pytest.raises(InvalidInput, match=shown) as caught:
        RedisSpec(**{"host": "cache.example", **arguments})
    assert "horse" not in str(caught.value)
