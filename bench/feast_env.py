"""Feast, in an environment of its own beside ours: the two want other versions of the same packages.

Only the bench makes it; it is `.venv-feast` at the root of the project, and is made once for each version.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

VERSION = "0.67.0"
_FOLDER = Path(__file__).parents[1] / ".venv-feast"
_PATIENCE = 900  # seconds


class NoFeast(Exception):
    """Why there is no Feast to measure, in one line."""


def feast() -> Path:
    """Return the folder of Feast's programs (``python``, ``feast``), installing it where it is not yet. NoFeast: it
    cannot be."""
    done = _FOLDER / f"feast-{VERSION}"
    if not done.exists():
        print(f" installing Feast {VERSION} into {_FOLDER.name}, once …", flush=True)
        try:
            venv.create(_FOLDER, clear=True, with_pip=True)
            command = [_FOLDER / "bin" / "python", "-m", "pip", "install", "-q", f"feast[redis]=={VERSION}"]
            subprocess.run(command, check=True, timeout=_PATIENCE, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise NoFeast((error.stderr or str(error)).strip().splitlines()[-1]) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoFeast(str(error)) from error
        done.touch()
    return _FOLDER / "bin"


def quiet() -> dict[str, str]:
    """Return an environment for Feast's programs, in which it tells nobody that it is used."""
    ours = Path(sys.executable).parent
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != ours)
    return os.environ | {"FEAST_USAGE": "False", "PATH": path, "PYTHONPATH": ""}
