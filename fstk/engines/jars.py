"""Delta's jars and the class-data archive."""

from __future__ import annotations

from pathlib import Path


def paths(folder: Path) -> list[Path]:
    """Return the jars."""
    return [Path("/tmp/dl") / n for n in ("delta-spark_4.1_2.13-4.3.1.jar", "delta-storage-4.3.1.jar")]
