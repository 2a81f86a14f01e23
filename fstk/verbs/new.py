"""The templates that ``fstk new`` copies."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from fstk.display import Displayed, Sheet
from fstk.errors import InvalidInput, UnknownName, nearest

TEMPLATES = (
    "tour",
    "first_features",
    "new_feature_table",
    "training_set_and_model",
    "publish",
    "drift_monitor",
    "flights",
    "leaks",
    "azure_architecture",
)
"""What can be copied, in the order of a journey."""
_SHIPPED = Path(__file__).parents[1] / "templates"  # in an installed package
_CLONE = Path(__file__).parents[2] / "templates"


def shipped() -> Path:
    """Return the folder of what is copied."""
    return _SHIPPED if _SHIPPED.is_dir() else _CLONE


@dataclass(frozen=True, repr=False)
class Offered(Displayed):
    """The templates, by their titles."""

    titles: dict[str, str]

    def display(self) -> Sheet:
        notes = ["copy one: fstk new TEMPLATE [NAME]   add a job to this project: fstk new job NAME"]
        return Sheet("", ("template", "what it begins"), list(self.titles.items()), notes)


@dataclass(frozen=True, repr=False)
class Copied(Displayed):
    """A template that was copied to ``path``."""

    path: Path

    def display(self) -> Sheet:
        said = f"{self.path} is yours.   open it: jupyter lab {self.path}   run it: fstk run {self.path}"
        return Sheet("", (), (), [said])


def copy(template: str | None, name: str | None) -> Displayed:
    """Copy a template to the notebook ``name`` (None: its own) in the working folder; without one, return the list.
    Raises UnknownName; InvalidInput: the notebook is there already, or its folder is not."""
    folder = shipped()
    if template is None:
        return Offered({one: _title(folder / f"{one}.ipynb") for one in TEMPLATES})
    if template not in TEMPLATES:
        raise UnknownName(f"no template {template}.{nearest(template, TEMPLATES)}   See them all: fstk new")
    path = Path(name or template)
    path = path if path.suffix == ".ipynb" else path.with_name(f"{path.name}.ipynb")
    if path.exists():
        raise InvalidInput(f"{path} is there already.   Give another name: fstk new {template} NAME")
    if not path.parent.is_dir():
        raise InvalidInput(f"there is no folder {path.parent} for {path.name}.   Make it: mkdir -p {path.parent}")
    shutil.copyfile(folder / f"{template}.ipynb", path)
    return Copied(path)


def _title(notebook: Path) -> str:
    first = json.loads(notebook.read_text())["cells"][0]["source"][0]
    return first.strip().removeprefix("# ")
