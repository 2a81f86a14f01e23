"""Tokens are shown once, kept as hashes, and open nothing once they are revoked or past their end."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fstk.cli.app import run_command
from fstk.errors import AccessDenied, InvalidInput, UnknownName
from fstk.serving import tokens
from fstk.serving.tokens import Tokens


@pytest.fixture
def kept(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "project" / "kept" / "tokens.json")


def test_a_token_is_kept_as_its_hash_for_its_owner_alone(kept: Tokens) -> None:
    shown, token = kept.new("ann", ("a", "b"))
    text = kept.file.read_text()
    beside = kept.file.parent, kept.file.with_suffix(".lock"), kept.file
    assert [stat.S_IMODE(path.stat().st_mode) for path in beside] == [0o700, 0o600, 0o600]
    assert shown not in text
    assert shown.split("_", 2)[2] not in text
    assert hashlib.sha256(shown.encode()).hexdigest() in text
    assert len(shown.split("_", 2)[2]) * 6 >= 128
    assert kept.holder(shown) == token
    assert (token.principal, token.groups, token.expires) == ("ann", ("a", "b"), None)


def test_no_two_are_alike(kept: Tokens) -> None:
    made = [kept.new("ann")[0] for _ in range(20)]
    assert len(set(made)) == 20
    assert len({token.id for token in kept.list()}) == 20
    assert [kept.holder(shown) is not None for shown in made] == [True] * 20


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t + "x", str.upper, lambda t: "", lambda t: t[5:]])
def test_what_is_nearly_a_token_is_none(change, kept: Tokens) -> None:
    shown, _ = kept.new("ann")
    assert kept.holder(change(shown)) is None


def test_hashes_are_compared_in_constant_time(kept: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there is no token of that id: what is asked costs the same."""
    compared: list[tuple[str, str]] = []
    monkeypatch.setattr(tokens.hmac, "compare_digest", lambda a, b: bool(compared.append((a, b))))
    shown, token = kept.new("ann")
    assert kept.holder(shown) is None
    assert kept.holder("fstk_00000000_x") is None
    assert [len(part) for pair in compared for part in pair] == [64] * 4
    assert compared[0] == (token.hash, token.hash)


def test_a_token_ends(kept: Tokens) -> None:
    shown, token = kept.new("ann", expires="30d")
    assert token.expires == token.created + timedelta(days=30)
    assert kept.holder(shown) == token
    assert not token.expired(token.created + timedelta(days=29))
    assert token.expired(token.created + timedelta(days=30))
    text = kept.file.read_text()
    kept.file.write_text(re.sub(r'"expires":"[^"]*"', '"expires":"2020-01-01T00:00:00Z"', text))
    assert kept.holder(shown) is None


def test_a_revoked_token_opens_nothing_from_then_on(kept: Tokens) -> None:
    shown, token = kept.new("ann")
    other, _ = kept.new("ben")
    assert kept.holder(shown) is not None
    assert Tokens(kept.file).revoke(token.id) == token
    assert kept.holder(shown) is None
    assert kept.holder(other) is not None
    with pytest.raises(UnknownName, match="no token"):
        kept.revoke(token.id)


def test_a_file_that_others_could_change_is_not_believed(kept: Tokens) -> None:
    shown, _ = kept.new("ann")
    kept.file.chmod(0o644)
    os.utime(kept.file, (1, 1))
    with pytest.raises(AccessDenied, match="chmod 600"):
        kept.holder(shown)
    with pytest.raises(AccessDenied, match="chmod 600"):
        kept.new("ben")
    kept.file.chmod(0o600)
    kept.file.write_text("{")
    with pytest.raises(AccessDenied, match="damaged"):
        kept.holder(shown)


def test_where_no_file_can_be_nothing_is_taken_for_one(kept: Tokens) -> None:
    kept.file.parent.mkdir(parents=True)
    kept.file.mkdir(mode=0o700)
    with pytest.raises(AccessDenied, match="cannot be read"):
        kept.holder("fstk_00000000_x")
    kept.file.rmdir()
    kept.file.touch()
    with pytest.raises(AccessDenied, match="cannot be written"):
        Tokens(kept.file / "tokens.json").new("ann")


@pytest.mark.parametrize("name", ["", " ", "a,b", "a\nb"])
def test_a_principal_has_a_name(name: str, kept: Tokens) -> None:
    with pytest.raises(InvalidInput, match="a principal or group"):
        kept.new(name)
    assert not kept.file.exists()


def test_the_verb_shows_a_token_once(warehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no tokens yet" in repr(run_command(["token", "list"]))
    made = run_command(["token", "new", "ann", "--groups", "a,b", "--expires", "30d"])
    shown = repr(made).splitlines()[-1].strip()
    assert Tokens().holder(shown) is not None
    listed = repr(run_command(["token", "list"]))
    until = datetime.now(UTC) + timedelta(days=30)
    assert ("ann" in listed, "a, b" in listed, f"{until:%Y-%m-}" in listed, "valid" in listed) == (True,) * 4
    assert shown.split("_", 2)[2] not in listed
    number = shown.split("_")[1]
    assert repr(run_command(["token", "revoke", number])) == f"token {number} of ann is revoked"
    assert Tokens().list() == []
    for argv, said in (
        (["token", "new"], "takes a PRINCIPAL"),
        (["token", "revoke"], "takes an ID"),
        (["token", "list", "x"], "takes no name"),
        (["token", "new", "ann", "--expires", "soon"], "--expires"),
    ):
        with pytest.raises(InvalidInput, match=said):
            run_command(argv)
