"""``fstk new``: a notebook to start from."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Argument

from fstk.display import Displayed, Table
from fstk.errors import InvalidInput, UnknownName, nearest

TEMPLATES = ("new_feature_table", "training_set_and_model", "publish", "drift_monitor", "flights")
"""What can be copied, in the order of a journey."""
_SHIPPED = Path(__file__).parents[1] / "templates"  # in an installed package
_CLONE = Path(__file__).parents[2] / "templates"


@dataclass(frozen=True, repr=False)
class Offered(Displayed):
    """The templates, by their titles."""

    titles: dict[str, str]

    def display(self) -> Table:
        """Return a line for each template, and how to copy one."""
        return Table(
            "", ("template", "what it begins"), list(self.titles.items()), ["copy one: fstk new TEMPLATE [NAME]"]
        )


@dataclass(frozen=True, repr=False)
class Copied(Displayed):
    """A template that was copied to ``path``."""

    path: Path

    def display(self) -> Table:
        """Say where the notebook is, and what to do with it."""
        said = f"{self.path} is yours.   open it: jupyter lab {self.path}   run it: fstk run {self.path}"
        return Table("", (), (), [said])


def new(
    template: Annotated[
        str | None, Argument(metavar="TEMPLATE", help="The notebook to copy; without one, all are listed.")
    ] = None,
    name: Annotated[str | None, Argument(metavar="NAME", help="The notebook's; by default the template's.")] = None,
) -> Displayed:
    """Copy a notebook to start from into this folder: thin, with parameters, ready to be a job."""
    folder = _SHIPPED if _SHIPPED.is_dir() else _CLONE
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
