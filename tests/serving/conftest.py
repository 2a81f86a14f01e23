"""One project, one model and one endpoint for all tests that change none of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving.project import Project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("served"))
    made.fill()
    made.log()
    return made


@pytest.fixture(scope="session")
def port(project: Project) -> Iterator[int]:
    """The port of an endpoint of the model churn."""
    with project.served() as port:
        yield port


@pytest.fixture(scope="session")
def token(project: Project) -> str:
    return project.tokens.new("tests")[0]
