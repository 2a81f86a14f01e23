"""The Java runtime that Spark will use, found as Spark finds it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fstk.errors import EngineUnavailable

_OLDEST = 17
_NEWEST = 23  # 24 took away the security manager, by which Hadoop, inside Spark 4.1, knows who asks
_NEEDED = "Spark needs Java 17 or 21"
_CURE = (
    "Install one: apt-get install openjdk-17-jre-headless (Debian 13: openjdk-21-jre-headless), or conda install "
    "openjdk=17."
)


@dataclass(frozen=True)
class Java:
    """One runtime: its program and its full version, such as ``17.0.15+6-Debian-1deb12u1``."""

    program: Path
    version: str

    @property
    def major(self) -> int:
        """Return 17 for ``17.0.15+6``, and 8 for ``1.8.0_402``."""
        numbers = [int(number) for number in re.findall(r"\d+", self.version)[:2]]
        return numbers[1] if numbers[0] == 1 and len(numbers) > 1 else numbers[0]


def find() -> Java:
    """Return the Java of ``JAVA_HOME``, else of ``PATH``; EngineUnavailable: none runs, or it is too old or new."""
    home = os.environ.get("JAVA_HOME")
    found = Path(home) / "bin" / "java" if home else shutil.which("java")
    if not found or not Path(found).is_file():
        where = f"in JAVA_HOME ({home})" if home else "on PATH"
        raise EngineUnavailable(f"{_NEEDED}, and there is none {where}. {_CURE}")
    java = Java(Path(found), _version(Path(found).resolve()))
    if not _OLDEST <= java.major <= _NEWEST:
        raise EngineUnavailable(f"{_NEEDED}; {found} is {java.version}. {_CURE} Of several, JAVA_HOME chooses.")
    return java


def _version(program: Path) -> str:
    # The release file beside every OpenJDK saves the start of a JVM; a program without one is asked.
    release = program.parent.parent / "release"
    if release.is_file():
        text = release.read_text(encoding="utf-8", errors="replace")
        for name in ("JAVA_RUNTIME_VERSION", "JAVA_VERSION"):
            match = re.search(rf'^{name}="([^"]*\d[^"]*)"', text, re.MULTILINE)
            if match:
                return match.group(1)
    try:
        asked = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineUnavailable(f"Java at {program} does not run: {error}. {_CURE}") from error
    match = re.search(r'version "([^"]*\d[^"]*)"', asked.stderr + asked.stdout)
    if not match:
        raise EngineUnavailable(f"{program} does not say its version. {_CURE}")
    return match.group(1)
