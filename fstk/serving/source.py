"""Where what is served comes from: a model's address, or a feature set's name, and what that means now."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from fstk.errors import InvalidInput
from fstk.models.registry import Registry
from fstk.models.score import open_model
from fstk.online.spec import OnlineSpec
from fstk.serving.body import parse
from fstk.serving.deadline import DeadlinePassed, within
from fstk.serving.door import Door
from fstk.serving.endpoint import Endpoint, FeatureSetEndpoint, ModelEndpoint
from fstk.serving.messages import Subject
from fstk.serving.tokens import Tokens
from fstk.tables.configured import open_catalog
from fstk.training import feature_spec
from fstk.training.feature_spec import FeatureSpec

_WARM = 60.0  # seconds that a row of the warm-up may take
_log = logging.getLogger("fstk.serving")


@dataclass(frozen=True)
class Served:
    """An endpoint and the door to the tables that it reads; a request has both of one version."""

    endpoint: Endpoint
    door: Door

    def warm(self) -> None:
        """Answer rows of nobody, so that the first request meets a model that has predicted and a store that was read.
        A failure is the requests' to tell: a made-up row may be one that the model refuses."""
        for row in self.endpoint.features.examples():
            body = msgspec.json.encode({"dataframe_records": [row]})
            try:
                within(_WARM, lambda body=body: self.endpoint.answer(parse(body, self.endpoint.features.decimals)))
            except DeadlinePassed:
                self.endpoint.lookups.close()
            except Exception as error:  # noqa: BLE001 whatever a model raises
                _log.info("while warming up: %r", error)


class Meant(NamedTuple):
    """What an address or name means: a version, None where there is none, and what is to be served of it."""

    version: int | str | None
    subject: Subject


@dataclass(frozen=True)
class Source:
    """A model's address, as MLflow's registry at ``registry_uri`` knows it, or a feature set's name, and an online
    store. InvalidInput: both, or neither."""

    model: str | None
    features: str | None
    registry_uri: str | None
    store: OnlineSpec

    def __post_init__(self) -> None:
        if (self.model is None) == (self.features is None):
            raise InvalidInput("give a model, or features, the name of a feature set: one of the two.")

    def find(self) -> Meant:
        """Return what is meant now; raises UnknownModel, and UnknownName: there is no such set."""
        if self.model is not None:
            found = Registry(self.registry_uri).find(self.model)
            return Meant(found.version, Subject(found.uri, model=found.uri))
        assert self.features is not None
        spec = feature_spec.get(self.features, None)
        return Meant(spec.digest, Subject(f"feature spec {spec.name}", features=spec.to_json()))

    def moves(self, subject: Subject) -> bool:
        """Tell whether another subject may be meant one day."""
        return subject.model != self.model

    def opened(self, subject: Subject, door: Door | None = None) -> Served:
        """Return what answers for a subject; see :func:`opened`."""
        return opened(subject, self.store, self.registry_uri, door)


def opened(subject: Subject, store: OnlineSpec, registry_uri: str | None = None, door: Door | None = None) -> Served:
    """Return what answers for the subject, warm, behind a door that knows what ``door`` does; raises as
    :func:`fstk.serving.app.create`."""
    if subject.model:
        endpoint: Endpoint = ModelEndpoint(open_model(subject.model, registry_uri), store)
    else:
        spec = FeatureSpec.from_json(subject.features, subject.called)
        catalog = open_catalog()
        plan = feature_spec.requested(spec, {name: catalog.get(name) for name in spec.tables})
        endpoint = FeatureSetEndpoint(spec.name, spec.digest, plan, store)
    tables = endpoint.lookups.tables
    served = Served(endpoint, Door(Tokens(), open_catalog(), tables) if door is None else door.of(tables))
    served.warm()
    return served
