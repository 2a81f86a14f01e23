"""Secret values of a job, which stay in memory: out of all that it writes."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from fstk.secret import Secret

_SHOWN = "[secret]"


class Scrubber:
    """Replaces known secret values, plain or escaped as notebooks, HTML, JSON and URLs do, in what is to be written."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        """Read the values of ``secrets``; raises what :meth:`Secret.reveal` raises."""
        forms: set[str] = set()
        for value in (secret.reveal() for secret in secrets):
            forms |= {value, html.escape(value), repr(value)[1:-1], json.dumps(value)[1:-1], quote(value, safe="")}
        # the longest first, so that a value that contains another goes whole
        escaped = [re.escape(form) for form in sorted(forms, key=len, reverse=True)]
        self._pattern = re.compile("|".join(escaped)) if escaped else None

    def clean(self, value: Any) -> Any:
        """Return ``value`` (text, or dicts and lists of it) without the secrets; anything else comes back as it is."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self._pattern.sub(_SHOWN, value)
        if isinstance(value, dict):
            return type(value)((self.clean(key), self.clean(item)) for key, item in value.items())
        if isinstance(value, list | tuple):
            return type(value)(self.clean(item) for item in value)
        return value
