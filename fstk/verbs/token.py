"""Tokens for endpoints: made, listed, revoked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fstk.display import Displayed, Sheet
from fstk.serving.tokens import Token, Tokens


@dataclass(frozen=True, repr=False)
class NewToken(Displayed):
    """A token that was made, which is shown this once."""

    shown: str = field(repr=False)
    kept: Token

    def display(self) -> Sheet:
        ends = "" if self.kept.expires is None else f", until {self.kept.expires:%Y-%m-%d %H:%M} UTC"
        opens = f"it opens what {self.kept.principal} is granted, and tables without a grant (fstk grant -h)"
        title = f"token {self.kept.id} of {self.kept.principal}{ends}; {opens}, and is shown this once:"
        return Sheet(title, (), (), [self.shown])


@dataclass(frozen=True, repr=False)
class TokenList(Displayed):
    """What is known of the project's tokens."""

    tokens: tuple[Token, ...]

    def display(self) -> Sheet:
        now = datetime.now(UTC)
        rows = [
            (
                token.id,
                token.principal,
                ", ".join(token.groups) or None,
                f"{token.created:%Y-%m-%d}",
                None if token.expires is None else f"{token.expires:%Y-%m-%d %H:%M}",
                "expired" if token.expired(now) else "valid",
            )
            for token in self.tokens
        ]
        notes = [] if rows else ["no tokens yet.   fstk token new NAME"]
        return Sheet("", ("id", "principal", "groups", "made", "until (UTC)", "state") if rows else (), rows, notes)


@dataclass(frozen=True, repr=False)
class Revoked(Displayed):
    """A token that opens nothing any more."""

    token: Token

    def display(self) -> Sheet:
        return Sheet(f"token {self.token.id} of {self.token.principal} is revoked", (), ())


def new(principal: str, groups: Sequence[str], expires: str | None) -> NewToken:
    """Make a token; raises InvalidInput: no name, or no length."""
    return NewToken(*Tokens().new(principal, tuple(groups), expires))


def listed() -> TokenList:
    return TokenList(tuple(Tokens().list()))


def revoke(number: str) -> Revoked:
    """Revoke a token by its id; raises UnknownName."""
    return Revoked(Tokens().revoke(number))
