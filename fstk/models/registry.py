"""MLflow's model registry: versions registered, and found again by the addresses that people use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fstk.errors import UnknownModel, nearest
from fstk.models.mlflow_calls import is_made, quiet, store
from fstk.optional import need

DIGEST = "fstk.digest"
"""Tag of a model version: the digest of model and training set, by which the same one is known again."""
_ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<suffix>[^/@]+)|@(?P<alias>[^/@]+))")
_LOGGED = re.compile(r"models:/(?P<id>m-\w+)")
_STAND_IN = {"production": "champion"}
_LATEST = "latest"


@dataclass(frozen=True)
class LoggedModel:
    """A logged model: ``uri`` is what MLflow loads, a registered version pinned in it."""

    uri: str
    name: str | None = None
    version: int | None = None
    run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict, compare=False)
    model_id: str | None = None


class Registry:
    """The registry at ``uri``; None is the one MLflow is set to: ``MLFLOW_REGISTRY_URI``, else the tracking server.
    Every method raises as :func:`fstk.models.mlflow_calls.store`."""

    def __init__(self, uri: str | None) -> None:
        self._uri = uri

    def find(self, model_uri: str) -> LoggedModel:
        """Return the model at an address; UnknownModel says what versions and aliases there are.

        ``models:/name/3``, ``models:/name/latest`` and ``models:/name@alias`` are MLflow's. Stages are deprecated there
        but their form lives on: ``models:/name/Production`` is the newest version in that stage where versions still
        have stages, else the alias of that name in any case, else for Production the alias ``champion``, which MLflow
        recommends in its place. Anything else (``runs:/…``, ``models:/m-…``, a folder) is passed on as it is.
        """
        address = _ADDRESS.fullmatch(model_uri)
        if address is None:
            return LoggedModel(model_uri)
        name, suffix, alias = address["name"], address["suffix"], address["alias"]
        with store(self._uri):
            versions = self._versions(name)
            if not versions:
                raise UnknownModel(f"no registered model {name}.{nearest(name, self._names())}")
            aliases = dict(self._client().get_registered_model(name).aliases)
        numbers = {int(version.version): version for version in versions}
        wanted = f"stage or alias {suffix}"
        if suffix is None:
            number, wanted = aliases.get(alias), f"@{alias}"
        elif suffix.isdigit():
            number, wanted = suffix, f"version {suffix}"
        elif suffix.lower() == _LATEST:
            number = max(numbers)
        else:
            number = _in_stage(suffix.lower(), versions) or _by_alias(suffix.lower(), aliases)
        if number is None or int(number) not in numbers:
            known = ", ".join(f"@{one} → {of}" for one, of in sorted(aliases.items())) or "none"
            raise UnknownModel(f"model {name} has no {wanted}. Versions: {_spans(numbers)}; aliases: {known}.")
        return _found(numbers[int(number)])

    def with_digest(self, name: str, digest: str) -> LoggedModel | None:
        """Return the newest version of ``name`` that was registered with ``digest``."""
        with store(self._uri):
            same = [version for version in self._versions(name) if version.tags.get(DIGEST) == digest]
        return _found(max(same, key=lambda version: int(version.version))) if same else None

    def register(self, name: str, model_uri: str, run_id: str | None, tags: dict[str, str]) -> LoggedModel:
        """Register a logged model as the next version of ``name``."""
        with store(self._uri):
            client = self._client()
            if name not in self._names():
                client.create_registered_model(name)
            model_id = model_uri.removeprefix("models:/")
            made = client.create_model_version(name, model_uri, run_id, tags=tags, model_id=model_id)
            return _found(made)

    def link(self, found: LoggedModel) -> None:
        """Name a registered model among the outputs of the active run, if there is one."""
        with store(self._uri):
            run, client = need("mlflow").active_run(), need("mlflow").MlflowClient()
            if run is None or not found.model_id:
                return
            named = client.get_run(run.info.run_id).outputs
            if found.model_id not in {output.model_id for output in (named.model_outputs if named else [])}:
                output = need("mlflow.entities").LoggedModelOutput(found.model_id, step=0)
                client.log_outputs(run.info.run_id, models=[output])

    def current(self) -> list[tuple[LoggedModel, tuple[str, ...]]]:
        """Return the versions that fstk logged and that an address without a number leads to, the newest and those of
        an alias, each with its aliases. Nothing is made where there is no registry yet."""
        with quiet():
            if not is_made(self._uri):
                return []
        with store(self._uri):
            found = []
            for model in self._client().search_registered_models():
                numbers = {int(version.version): version for version in self._versions(model.name)}
                aliases = dict(self._client().get_registered_model(model.name).aliases)
                for number in sorted({max(numbers, default=0), *map(int, aliases.values())} & numbers.keys()):
                    if DIGEST in numbers[number].tags:
                        own = sorted(alias for alias, of in aliases.items() if int(of) == number)
                        found.append((_found(numbers[number]), tuple(own)))
            return found

    def fetch(self, found: LoggedModel, into: Path, file: str = "") -> Path:
        """Bring the model's files, or one of them, into ``into``; return their folder."""
        with store(self._uri):
            artifacts = need("mlflow.artifacts")
            address = f"{found.uri}/{file}" if file else found.uri
            return Path(artifacts.download_artifacts(address, dst_path=str(into), registry_uri=self._uri))

    def _client(self) -> Any:
        return need("mlflow").MlflowClient(registry_uri=self._uri)

    def _versions(self, name: str) -> list[Any]:
        quoted = name.replace("'", "''")
        versions, token = [], None
        while True:
            page = self._client().search_model_versions(f"name='{quoted}'", page_token=token)
            versions += page
            token = page.token
            if not token:
                return versions

    def _names(self) -> list[str]:
        return [model.name for model in self._client().search_registered_models()]


def _in_stage(stage: str, versions: list[Any]) -> int | None:
    numbers = [int(version.version) for version in versions if (version.current_stage or "").lower() == stage]
    return max(numbers, default=None)


def _by_alias(name: str, aliases: dict[str, str]) -> str | None:
    folded = {alias.lower(): number for alias, number in aliases.items()}
    return folded.get(name) or folded.get(_STAND_IN.get(name, name))


def _found(version: Any) -> LoggedModel:
    uri = f"models:/{version.name}/{version.version}"
    logged = _LOGGED.fullmatch(version.source or "")
    model_id = version.model_id or (logged["id"] if logged else None)
    return LoggedModel(uri, version.name, int(version.version), version.run_id, version.tags, model_id)


def _spans(numbers: dict[int, Any]) -> str:
    ordered = sorted(numbers)
    if len(ordered) > 5:
        return f"{ordered[0]} … {ordered[-1]}"
    return ", ".join(map(str, ordered))
