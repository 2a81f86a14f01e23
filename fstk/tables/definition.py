"""What a windowed feature is: which aggregate of which events over which window; written with a table's version."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from fstk.columns.length import in_words

ALIGN = "align"
"""The argument of ``WindowedFeatures``, among ``others``, that moves the end of its windows."""
_QUOTED = re.compile(r"('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`)")


class FeatureDefinition(msgspec.Struct, frozen=True):
    """How one feature is computed, and of what it was.

    ``expression`` is its aggregate, ``window`` the length as in the name of its column; ``entity``, ``timestamp`` and
    ``closed`` are those of ``WindowedFeatures``, ``others`` further arguments of it and of its ``Aggregate`` that were
    given. ``zone`` is that of the calendar on which it was computed, None UTC. ``source`` is a table, None for a frame.
    ``source_version``, the version that was read, and ``points``, the instants that were asked for, are of the version
    that was written, not of the meaning.
    """

    expression: str
    window: str
    entity: tuple[str, ...]
    timestamp: str
    closed: Literal["left", "right", "both"] = "left"
    source: str | None = None
    source_version: int | None = None
    points: str = "events"
    others: dict[str, Any] = {}
    zone: str | None = None

    @property
    def meaning(self) -> tuple[Any, ...]:
        """What is equal where a feature is the same, however its expression is spaced and whatever was read."""
        named = tuple(name.lower() for name in (*self.entity, self.timestamp))
        return _normal(self.expression), self.window, self.closed, named, sorted(self.others.items()), self.aligned_in

    @property
    def aligned_in(self) -> str | None:
        """The zone in which the windows end with a day, week or month; None: UTC, or at the points themselves."""
        return self.zone if ALIGN in self.others else None

    @property
    def timeless(self) -> FeatureDefinition:
        """The definition without what was read and asked for."""
        return msgspec.structs.replace(self, source_version=None, points="")

    def read_at(self, sources: Mapping[str, int | None], points: str | None) -> FeatureDefinition:
        """Return the definition as of a write that read these versions of tables, for these points."""
        if self.source is None or self.source not in sources:
            return self
        return msgspec.structs.replace(self, source_version=sources[self.source], points=points or self.points)

    def means(self, other: FeatureDefinition) -> bool:
        """Tell whether two definitions are one feature; a frame may be the events of any table."""
        sources = {one.source for one in (self, other)} - {None}
        return self.meaning == other.meaning and len(sources) < 2

    def entity_of(self, keys: Sequence[str]) -> dict[str, str]:
        """Return a table's ``keys`` with the entity's columns that they are: by name where all are called so, else as
        they come."""
        named = {key.lower(): key for key in keys}
        own = [named.get(one.lower()) for one in self.entity]
        return dict(zip([one for one in own if one] if all(own) else keys, self.entity, strict=True))

    def words(self, time: str) -> str:
        """Return what is computed; ``time`` is the table's: ``sum(amount) over the 30 days before as_of``."""
        others = dict(self.others)
        align = others.pop(ALIGN, None)
        local = "" if self.aligned_in is None else f" in {self.aligned_in}"
        time = time if align is None else f"the start of {time}'s {align}{local}"
        side = f"before {time}" if self.closed == "left" else f"up to and including {time}"
        further = "".join(f", {name}={value}" for name, value in sorted(others.items()))
        return f"{self.expression} over {in_words(self.window)} {side}{further}"

    @property
    def origin(self) -> str:
        """Of what it is computed: ``of transactions (version 4) by purchased_at, not including the instant itself``."""
        version = "" if self.source_version is None else f" (version {self.source_version})"
        ends = {
            "left": "not including the instant itself",
            "right": "including the instant itself, not the first of the window",
            "both": "including the instant itself",
        }
        calendar = "" if self.zone is None else f", at midnights in {self.zone}"
        return f"of {self.source or 'a frame'}{version} by {self.timestamp}, {ends[self.closed]}{calendar}"

    def sentence(self, time: str) -> str:
        """Return all of it: the words, and of what."""
        return f"{self.words(time)}, {self.origin}"

    def to_json(self) -> str:
        """Return the definition as JSON text; :meth:`from_json` reads it."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> FeatureDefinition:
        return msgspec.json.decode(text, type=cls)


Definitions: TypeAlias = Mapping[str, FeatureDefinition]
"""By feature column."""


def redefined(now: Definitions, then: Definitions) -> dict[str, tuple[FeatureDefinition, FeatureDefinition]]:
    """Return what was defined ``then`` and means another thing ``now``, by column: the definition before and after."""
    return {name: (then[name], one) for name, one in now.items() if name in then and not one.means(then[name])}


def origins(definitions: Definitions) -> dict[str, list[str]]:
    """Return the columns of each origin, both in the order in which they come."""
    found: dict[str, list[str]] = {}
    for name, one in definitions.items():
        found.setdefault(one.origin, []).append(name)
    return found


def read_all(texts: Mapping[str, str], columns: Iterable[str]) -> dict[str, FeatureDefinition]:
    """Return the definitions that ``texts`` are, of those that are among ``columns``."""
    known = set(columns)
    return {name: FeatureDefinition.from_json(text) for name, text in texts.items() if name in known}


def _normal(expression: str) -> str:
    parts = _QUOTED.split(expression.strip())
    plain = [re.sub(r"\s*([^\w\s])\s*", r"\1", re.sub(r"\s+", " ", part)).lower() for part in parts[::2]]
    quoted = [part.strip("`").lower() if re.fullmatch(r"`\w+`", part) else part for part in parts[1::2]]
    return "".join(part for pair in zip(plain, [*quoted, ""], strict=True) for part in pair)
