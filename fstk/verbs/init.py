"""``fstk init`` and ``fstk new job``: a project of one's own, and another job in it."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from fstk import settings
from fstk.display import Displayed, Sheet, short_path
from fstk.errors import InvalidInput
from fstk.jobs import bundle
from fstk.verbs.new import shipped

_JOB = "features"  # of a new project
_NOTEBOOK = "first_features.ipynb"
_RESOURCES = "resources"
_FILES = {
    "fstk.toml": "fstk.toml",
    "databricks.yml": "databricks.yml",
    "gitignore": ".gitignore",
    "pytest.ini": "pytest.ini",
    "data/example.csv": "data/example.csv",
    "workflows/notebooks.yml": ".github/workflows/notebooks.yml",
}
"""What a project begins with: name among the templates → name in the project."""


@dataclass(frozen=True, repr=False)
class Made(Displayed):
    """Files that were made in ``folder``, and what to type next."""

    folder: Path
    files: tuple[str, ...]
    next: tuple[str, ...]

    def display(self) -> Sheet:
        here = short_path(self.folder)
        return Sheet(f"{here} · made: {', '.join(self.files)}", (), (), [f"next: {'   ·   '.join(self.next)}"])


def init(folder: str) -> Made:
    """Make a project in a folder, which may have other files; InvalidInput: one of the project's is there already."""
    root = Path(folder).expanduser().absolute()
    wanted = [*_FILES.values(), *_job_files(_JOB)]
    there = next((name for name in wanted if (root / name).exists()), None)
    if there is not None:
        raise InvalidInput(f"{root / there} is there already: a project is made once. Nothing was written.")
    try:
        for name, place in _FILES.items():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(shipped() / "project" / name, root / place)
    except OSError as error:
        raise InvalidInput(f"{root} cannot be written: {error.strerror}.") from error
    _add_job(root, _JOB)
    go = [] if root == Path.cwd() else [f"cd {short_path(root)}"]
    steps = [*go, f"jupyter lab notebooks/{_JOB}.ipynb", f"fstk run {_JOB}", "pytest"]
    return Made(root, tuple(wanted), tuple(steps))


def new_job(name: str | None) -> Made:
    """Add a job to this project: a notebook, and its description for ``fstk run`` and Databricks. InvalidInput: no
    name, one that is taken, or no project that includes jobs' files."""
    if name is None or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name):
        raise InvalidInput("fstk new job takes a NAME of letters, digits and _, as in: fstk new job weekly_labels")
    root = settings.root()
    described = root / bundle.FILE
    if not described.is_file() or f"{_RESOURCES}/*.yml" not in described.read_text(encoding="utf-8"):
        raise InvalidInput(
            f"{described} is not there, or does not include {_RESOURCES}/*.yml.   Make a project: fstk init"
        )
    there = next((one for one in _job_files(name) if (root / one).exists()), None)
    if there is not None or name in bundle.read_bundle(described):
        raise InvalidInput(f"there is a job {name} already ({there or described}); give another name.")
    _add_job(root, name)
    return Made(root, _job_files(name), (f"jupyter lab notebooks/{name}.ipynb", f"fstk run {name}"))


def _job_files(name: str) -> tuple[str, str]:
    return f"notebooks/{name}.ipynb", f"{_RESOURCES}/{name}.yml"


def _add_job(root: Path, name: str) -> None:
    notebook, described = (root / one for one in _job_files(name))
    for path in (notebook, described):
        path.parent.mkdir(exist_ok=True)
    shutil.copyfile(shipped() / _NOTEBOOK, notebook)
    text = (shipped() / "project" / _RESOURCES / "job.yml").read_text(encoding="utf-8")
    described.write_text(text.replace("JOB", name), encoding="utf-8")
