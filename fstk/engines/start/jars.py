"""Delta's two jars, fetched once and checked, and the archive of loaded classes that halves the start of a session.

``python -m fstk.engines.start.jars`` makes both in the folder of the setting ``jars``; a second call finds them there.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from fstk import settings
from fstk.engines.start import java
from fstk.errors import EngineUnavailable, FstkError
from fstk.optional import need


@dataclass(frozen=True)
class Jar:
    """One artifact of Delta in Maven Central, pinned by its content."""

    artifact: str
    sha256: str

    @property
    def file(self) -> str:
        return f"{self.artifact}-{_DELTA}.jar"


_DELTA = "4.3.1"  # the newest that Maven Central has for Spark 4.1
# All that Delta needs beside what PySpark brings.
JARS = (
    Jar("delta-spark_4.1_2.13", "ebf35a4383f0a653c3ee3c7882c0edcac2f846be31ac61af4b96ccfaaf36c171"),
    Jar("delta-storage", "577c12c7e371be4c041714fb48e88ad86e3c3512beea2bdaffbe7a4debf79718"),
)


def paths(folder: Path) -> list[Path]:
    """Return the jars in ``folder``, each as it was published, fetching what is missing or not; EngineUnavailable where
    they cannot be had."""
    for jar in missing(folder):
        _fetch(jar, folder)
    return [folder / jar.file for jar in JARS]


def missing(folder: Path) -> list[Jar]:
    """Return the jars that are not in ``folder``, or not as they were published."""
    return [jar for jar in JARS if not _published(folder / jar.file, jar)]


def archive(folder: Path) -> Path:
    """Return where the class-data archive of this environment lies, made or not. A JVM ignores an archive of another
    Java or other jars, so its name holds their versions and a mark of their folders."""
    versions = f"java{java.find().version}-pyspark{metadata.version('pyspark')}-delta{_DELTA}"
    return folder / f"{_environment(folder)}{versions}.jsa"


def make_archive(folder: Path) -> Path:
    """Make the class-data archive (about 190 MB, half a minute) unless it is there; return its path."""
    made = archive(folder)
    if made.is_file():
        return made
    for stale in folder.glob(f"{_environment(folder)}*.jsa"):
        stale.unlink()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        new = Path(scratch) / made.name
        run = subprocess.run(
            [sys.executable, "-m", "fstk.engines.start.archive", str(new)],
            env=os.environ | {"FSTK_WAREHOUSE": str(Path(scratch) / "warehouse"), "FSTK_JARS": str(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if run.returncode or not new.is_file():
            last = (run.stderr or run.stdout).strip().splitlines()[-1:] or ["no message"]
            raise EngineUnavailable(f"the class-data archive was not made: {last[0]}")
        new.replace(made)
    return made


def _environment(folder: Path) -> str:
    # Environments that share the folder keep an archive each; that of an older Java or PySpark here is replaced.
    places = f"{need('pyspark').__path__[0]}\n{folder.resolve()}"
    return f"classes-{hashlib.sha256(places.encode()).hexdigest()[:12]}-"


def _published(file: Path, jar: Jar) -> bool:
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == jar.sha256


def _fetch(jar: Jar, folder: Path) -> None:
    # Ivy is inside PySpark, knows Maven Central, proxies and checksums, and is what Spark itself fetches packages with.
    inside = Path(need("pyspark").__path__[0]) / "jars"
    classes = [str(path) for name in ("ivy-2*.jar", "commons-cli-*.jar") for path in inside.glob(name)]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        command = [str(java.find().program), "-cp", os.pathsep.join(classes), "org.apache.ivy.Main"]
        command += ["-cache", f"{scratch}/cache", "-notransitive", "-confs", "default", "-warn"]
        command += ["-dependency", "io.delta", jar.artifact, _DELTA]
        command += ["-retrieve", f"{scratch}/[artifact]-[revision].[ext]"]
        try:
            subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, cwd=scratch)
        except (OSError, subprocess.SubprocessError) as error:
            # Ivy says the last exception in brackets at the end of its line.
            said = re.findall(r"\(([\w.]+Exception: .*)\)$", getattr(error, "stdout", None) or "", re.MULTILINE)
            why = f" ({said[-1]})" if said else ""
            raise EngineUnavailable(
                f"{jar.file} as it was published is not in {folder} and cannot be fetched from Maven Central{why}. "
                "Once online: python -m fstk.engines.start.jars. Or put the file there by hand."
            ) from error
        fetched = Path(scratch) / jar.file
        if not _published(fetched, jar):
            raise EngineUnavailable(f"what was fetched as {jar.file} is not the published file; nothing was kept.")
        fetched.replace(folder / jar.file)


def main() -> None:
    """Fetch the jars and make the archive in the folder of the settings; what fails is one line, and exit 1."""
    try:
        folder = settings.load().jars
        for path in paths(folder):
            print(f"ok  {path}")
        print(f"ok  {make_archive(folder)}")
    except FstkError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
