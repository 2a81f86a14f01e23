"""``fstk new``: a notebook to start from."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument

from fstk.display import Displayed, Table
from fstk.errors import InvalidInput

_Template = Literal["new_feature_table", "training_set_and_model", "publish", "drift_monitor", "flights"]
_SHIPPED = Path(__file__).parents[1] / "templates"  # in an installed package
_CLONE = Path(__file__).parents[2] / "templates"


@dataclass(frozen=True, repr=False)
class Copied(Displayed):
    """A template that was copied to ``path``."""

    path: Path

    def display(self) -> Table:
        """Say where the notebook is, and what to do with it."""
        said = f"{self.path} is yours.   open it: jupyter lab {self.path}   run it: fstk run {self.path}"
        return Table("", (), (), [said])


def new(
    template: Annotated[_Template, Argument(metavar="TEMPLATE", help="The notebook to copy.")],
    name: Annotated[str | None, Argument(metavar="NAME", help="The notebook's; by default the template's.")] = None,
) -> Displayed:
    """Copy a notebook to start from into this folder: thin, with parameters, ready to be a job."""
    path = Path(name or template)
    path = path if path.suffix == ".ipynb" else path.with_name(f"{path.name}.ipynb")
    if path.exists():
        raise InvalidInput(f"{path} is there already.   Give another name: fstk new {template} NAME")
    if not path.parent.is_dir():
        raise InvalidInput(f"there is no folder {path.parent} for {path.name}.   Make it: mkdir -p {path.parent}")
    folder = _SHIPPED if _SHIPPED.is_dir() else _CLONE
    shutil.copyfile(folder / f"{template}.ipynb", path)
    return Copied(path)
