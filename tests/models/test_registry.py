"""Models by the addresses that people use, and what is said when there is none."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path

import mlflow
import pytest

from fstk import FeatureEngineeringClient
from fstk.errors import FstkError, Infrastructure, UnknownModel
from fstk.models.mlflow_calls import quiet, tracking
from fstk.models.registry import DIGEST, LoggedModel, Registry

pytestmark = pytest.mark.slow


@pytest.fixture
def registered(request: pytest.FixtureRequest) -> str:
    """A model with three versions; the second has the alias champion."""
    name = f"churn_{abs(hash(request.node.name)):x}"
    register(name, "a", "b", "a")
    with quiet():
        mlflow.MlflowClient().set_registered_model_alias(name, "champion", "2")
    return name


def register(name: str, *digests: str) -> None:
    """Register a version for each digest."""
    with quiet():
        client = mlflow.MlflowClient()
        experiment = client.get_experiment_by_name("tests")
        assert experiment is not None
        model = client.create_logged_model(experiment.experiment_id, name="m")
        for digest in digests:
            Registry(None).register(name, f"models:/{model.model_id}", None, {DIGEST: digest})


@pytest.mark.parametrize(
    ("address", "version"),
    [
        ("models:/{}/1", 1),
        ("models:/{}/latest", 3),
        ("models:/{}/Latest", 3),
        ("models:/{}@champion", 2),
        ("models:/{}/Production", 2),
        ("models:/{}/production", 2),
    ],
)
def test_an_address_leads_to_a_version(registered: str, address: str, version: int) -> None:
    found = Registry(None).find(address.format(registered))
    assert found.model_id is not None
    uri = f"models:/{registered}/{version}"
    assert found == LoggedModel(uri, registered, version, found.run_id, model_id=found.model_id)


def test_a_model_of_unity_catalog_has_a_name_of_three_parts() -> None:
    name = "prod.churn.model"
    register(name, "a", "b")
    with quiet():
        mlflow.MlflowClient().set_registered_model_alias(name, "champion", "2")
    found = Registry(None).find(f"models:/{name}@champion")
    assert (found.uri, found.name, found.version) == (f"models:/{name}/2", name, 2)


def test_a_stage_counts_before_an_alias_and_an_alias_of_its_name_before_champion(registered: str) -> None:
    with quiet():
        client = mlflow.MlflowClient()
        client.set_registered_model_alias(registered, "production", "3")
        assert Registry(None).find(f"models:/{registered}/Production").version == 3
        client.transition_model_version_stage(registered, "1", "Production")
        assert Registry(None).find(f"models:/{registered}/Production").version == 1
        assert Registry(None).find(f"models:/{registered}@production").version == 3
        client.set_registered_model_alias(registered, "Staging", "1")
        assert Registry(None).find(f"models:/{registered}/Staging").version == 1


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("models:/{}/7", r"has no version 7\. Versions: 1, 2, 3; aliases: @champion → 2\."),
        ("models:/{}@best", r"has no @best\. Versions: 1, 2, 3; aliases: @champion → 2\."),
        ("models:/{}/Staging", r"has no stage or alias Staging\. Versions: 1, 2, 3"),
        ("models:/{}x/1", r"no registered model churn_\w+x\. Nearest: churn_"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(registered: str, address: str, message: str) -> None:
    with pytest.raises(UnknownModel, match=message):
        Registry(None).find(address.format(registered))


def test_many_versions_are_told_by_the_first_and_the_last(registered: str) -> None:
    register(registered, "c", "d", "e")
    with pytest.raises(UnknownModel, match=r"has no version 7\. Versions: 1 … 6; "):
        Registry(None).find(f"models:/{registered}/7")


@pytest.mark.parametrize("uri", ["models:/m-0123", "runs:/abc/model", "/some/folder"])
def test_other_addresses_are_left_to_mlflow(uri: str, tmp_path: Path) -> None:
    registry = Registry(None)
    assert registry.find(uri) == LoggedModel(uri)
    with pytest.raises(FstkError) as caught:
        registry.fetch(LoggedModel(uri), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_digest_finds_its_newest_version(registered: str) -> None:
    registry = Registry(None)
    for digest, version in (("a", 3), ("b", 2)):
        found = registry.with_digest(registered, digest)
        assert found is not None
        assert found.version == version
    assert registry.with_digest(registered, "c") is None
    assert registry.with_digest("it's not there", "a") is None


def test_a_registry_of_its_own(registered: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="no registered model"):
        Registry(f"sqlite:///{tmp_path}/registry.db").find(f"models:/{registered}/1")
    assert Registry(os.environ["MLFLOW_TRACKING_URI"]).find(f"models:/{registered}/1").version == 1


@pytest.mark.parametrize("old", [False, True], ids=["sqlite", "mlruns"])
def test_mlflow_keeps_to_the_project_wherever_in_it_the_work_is(
    old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (tmp_path / "fstk.toml").touch()
    (tmp_path / "notebooks").mkdir()
    if old:
        (tmp_path / "mlruns" / "0").mkdir(parents=True)
        (tmp_path / "mlruns" / "0" / "meta.yaml").touch()
    monkeypatch.chdir(tmp_path)
    with quiet():
        at_root = mlflow.get_tracking_uri()
    monkeypatch.chdir(tmp_path / "notebooks")
    try:
        with quiet():
            assert mlflow.get_tracking_uri() == at_root
        assert at_root == ((tmp_path / "mlruns").as_uri() if old else f"sqlite:///{tmp_path}/mlflow.db")
        assert mlflow.get_tracking_uri() == at_root  # for the notebook's own calls, too
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


def test_making_a_client_changes_nothing_of_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (tmp_path / "fstk.toml").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    before = dict(os.environ)
    FeatureEngineeringClient()
    assert dict(os.environ) == before
    assert not mlflow.is_tracking_uri_set()


@pytest.mark.parametrize(
    "variables",
    [
        {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"},
        {"FSTK_ENGINE": "databricks"},
        {"DATABRICKS_RUNTIME_VERSION": "17.3"},
    ],
)
def test_mlflow_stays_where_it_was_put(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (tmp_path / "fstk.toml").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert tracking() == variables.get("MLFLOW_TRACKING_URI")


def test_a_server_that_does_not_answer_is_infrastructure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(Infrastructure, match="MLflow"):
        Registry("http://127.0.0.1:9").find("models:/churn/1")


def test_quiet_ends_with_its_block(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", raising=False)
    level = logging.getLogger("alembic").level
    with quiet():
        logging.getLogger("mlflow").warning("inside")
        warnings.warn("inside", stacklevel=1)
        assert os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] == "false"
    assert "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR" not in os.environ
    assert logging.getLogger("alembic").level == level
    logging.getLogger("mlflow").warning("outside")
    shown = capfd.readouterr().err
    assert "outside" in shown
    assert "inside" not in shown
