"""``databricks.yml`` as both Databricks and ``fstk run`` read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from databricks.bundles.jobs import Job

from fstk.cli.app import run_command
from fstk.errors import BadParameter, InvalidInput, UnknownName
from fstk.jobs.bundle import job_named, read_bundle
from fstk.jobs.plan import plan_run
from tests.jobs.conftest import Project

ROOT = Path(__file__).parents[2]


def bundle(*tasks: dict[str, Any], parameters: list[dict[str, Any]] | None = None) -> str:
    """A bundle with one job ``j`` of these tasks."""
    return yaml.safe_dump({"resources": {"jobs": {"j": {"tasks": list(tasks), "parameters": parameters or []}}}})


def task(key: str, *after: str, **parameters: Any) -> dict[str, Any]:
    """A notebook task."""
    return {
        "task_key": key,
        "depends_on": [{"task_key": other} for other in after],
        "notebook_task": {"notebook_path": f"./nb/{key}.ipynb", "base_parameters": parameters},
    }


def test_tasks_run_after_those_they_depend_on_and_otherwise_as_listed(job_file: Callable[[str], Path]) -> None:
    path = job_file(bundle(task("d", "b", "c"), task("b", "a"), task("c", "a"), task("a"), task("e")))
    job = read_bundle(path)["j"]
    assert [t.key for t in job.tasks] == ["a", "b", "c", "d", "e"]
    assert job.tasks[0].notebook == path.parent / "nb" / "a.ipynb"


def test_parameters_are_text_references_are_resolved_and_the_jobs_go_first(job_file: Callable[[str], Path]) -> None:
    own = {
        "n": 7,
        "flag": True,
        "day": "{{job.parameters.as_of}}",
        "both": "{{ job.parameters.as_of }}/{{job.parameters.k}}",
    }
    job = read_bundle(
        job_file(
            bundle(
                task("a", **own, k="own"),
                parameters=[{"name": "as_of", "default": "1998-03-31"}, {"name": "k", "default": 1}],
            )
        )
    )["j"]
    (only,) = job.tasks
    assert job.task_parameters(only, {}, ["n", "flag", "day", "both", "k"]) == {
        "n": "7",
        "flag": "true",
        "day": "1998-03-31",
        "both": "1998-03-31/1",
        "k": "1",
    }
    given = job.task_parameters(only, {"as_of": "1998-06-30"}, ["as_of"])
    assert (given["as_of"], given["day"], given["k"]) == ("1998-06-30", "1998-06-30", "own")
    with pytest.raises(BadParameter, match=r"job j has no parameter 'asof'\. Nearest: as_of\."):
        job.task_parameters(only, {"asof": "1998-06-30"}, [])


def test_yaml_that_reads_a_date_gives_its_text(job_file: Callable[[str], Path]) -> None:
    job = read_bundle(
        job_file(bundle(task("a")).replace("parameters: []", "parameters: [{name: d, default: 1998-03-31}]"))
    )
    assert job["j"].parameters == {"d": "1998-03-31"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bundle(task("a", "b")), "a depends on b, which is no task. There is: a."),
        (bundle(task("a", "c"), task("b", "a"), task("c", "b"), task("d")), "a, b, c wait for each other."),
        (bundle(task("a"), task("a")), "has two tasks a."),
        (bundle(task("a b")), "task_key"),
        (bundle({"task_key": "a", "spark_python_task": {"python_file": "x.py"}}), "fstk run runs notebook tasks"),
        (bundle({**task("a"), "run_if": "ALL_DONE"}), "run_if"),
        (bundle(), "tasks"),
        ("resources: [", "is not YAML"),
        ("- a", "fstk run runs notebook tasks"),
    ],
)
def test_what_cannot_be_run_is_told(job_file: Callable[[str], Path], text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        read_bundle(job_file(text))
    assert message in str(raised.value)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin.yml").write_bytes("# \xe9t\xe9".encode("latin-1"))
    for name in ("none.yml", "latin.yml"):
        with pytest.raises(InvalidInput, match=f"{name} cannot be read: "):
            read_bundle(tmp_path / name)


@pytest.mark.parametrize("reference", ["{{job.id}}", "{{tasks.a.values.x}}", "{{job.parameters.asof}}", "{{}}"])
def test_a_reference_to_anything_else_is_refused(job_file: Callable[[str], Path], reference: str) -> None:
    job = read_bundle(job_file(bundle(task("a", x=reference), parameters=[{"name": "as_of", "default": ""}])))["j"]
    with pytest.raises(InvalidInput, match="is not a parameter of the job"):
        job.task_parameters(job.tasks[0], {}, ["x"])


def test_an_unknown_job_names_the_nearest(job_file: Callable[[str], Path]) -> None:
    root = job_file(bundle(task("a"))).parent
    with pytest.raises(UnknownName, match=r"no job jj in databricks\.yml\. Nearest: j\."):
        job_named("jj", root)
    with pytest.raises(UnknownName, match=r"there is no databricks\.yml"):
        job_named("j", root / "elsewhere")


def test_this_projects_bundle_is_what_databricks_takes() -> None:
    content = yaml.safe_load((ROOT / "databricks.yml").read_text())
    churn = content["resources"]["jobs"]["churn"]
    assert content["bundle"]["name"] == "fstk"
    assert churn["max_concurrent_runs"] == 1
    assert churn["schedule"].keys() == {"quartz_cron_expression", "timezone_id", "pause_status"}
    clusters = {cluster["job_cluster_key"] for cluster in churn["job_clusters"]}
    for each in churn["tasks"]:
        assert each["job_cluster_key"] in clusters
        assert all(isinstance(value, str) for value in each["notebook_task"]["base_parameters"].values())
    assert all(isinstance(parameter["default"], str) for parameter in churn["parameters"])
    job = job_named("churn", ROOT)
    assert [t.key[:2] for t in job.tasks] == ["10", "20", "30", "40", "50", "60"]


def test_databricks_own_models_hold_every_job_task_for_task(tmp_path: Path) -> None:
    made = tmp_path / "made"
    run_command(["init", str(made)])
    for root, file in ((ROOT, ROOT / "databricks.yml"), (made, made / "resources" / "features.yml")):
        [(name, written)] = yaml.safe_load(file.read_text())["resources"]["jobs"].items()
        job = Job.from_dict(written)
        assert job.as_dict() == written
        told = {one["task_key"]: [other["task_key"] for other in one.get("depends_on", ())] for one in written["tasks"]}
        assert {one.key: list(one.depends_on) for one in job_named(name, root).tasks} == told
        for wrong in ({"tusks": []}, {"max_concurrent_runs": "one"}, {"tasks": [{"notebook_task": {}}]}):
            with pytest.raises((ValueError, TypeError)):
                Job.from_dict(written | wrong)


def test_a_job_on_serverless_compute_is_the_same_job_here(project: Project, job_file: Callable[[str], Path]) -> None:
    project.notebook("nb/a.ipynb", declaration="n: int = 1")
    [written] = yaml.safe_load(bundle(task("a", n="{{job.parameters.n}}")))["resources"]["jobs"].values()
    written["parameters"] = [{"name": "n", "default": "7"}]
    written["environments"] = [
        {"environment_key": "fstk", "spec": {"environment_version": "4", "dependencies": ["fstk"]}}
    ]
    written["tasks"][0]["environment_key"] = "fstk"
    written["schedule"] = {"quartz_cron_expression": "0 0 4 * * ?", "timezone_id": "UTC", "pause_status": "PAUSED"}
    del written["tasks"][0]["depends_on"]  # there are none, which their models leave out
    assert Job.from_dict(written).as_dict() == written
    with pytest.raises(ValueError, match="environment_kex"):
        Job.from_dict(written | {"environments": [{"environment_kex": "fstk"}]})
    job_file(yaml.safe_dump({"resources": {"jobs": {"j": written}}}))
    assert [dict(one.parameters) for one in plan_run("j", {}, project.root).tasks] == [{"n": 7}]
    assert [dict(one.parameters) for one in plan_run("j", {"n": "8"}, project.root).tasks] == [{"n": 8}]


def test_a_notebook_and_a_job_of_one_name_keep_their_records_apart(
    project: Project, job_file: Callable[[str], Path]
) -> None:
    for name in ("churn.ipynb", "other.ipynb", "a/churn.ipynb"):
        (project.root / name).parent.mkdir(exist_ok=True)
        project.notebook(name)
    assert plan_run("churn.ipynb", {}, project.root).job == "churn"
    job_file("resources: {jobs: {churn: {tasks: [{task_key: churn, notebook_task: {notebook_path: other.ipynb}}]}}}")
    names = ("churn", "churn.ipynb", "other.ipynb", "a/churn.ipynb")
    assert [plan_run(name, {}, project.root).job for name in names] == ["churn", "churn.ipynb", "other", "a/churn"]
    job_file("resources: [")
    assert plan_run("churn.ipynb", {}, project.root).job == "churn"
