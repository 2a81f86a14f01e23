"""One round of each fault that needs no JVM; ``make faults`` goes on with others."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.faults import MOUNTS, RUNS, Fault, round_of

pytestmark = pytest.mark.server


def _may_mount(folder: Path) -> bool:
    if os.geteuid() != 0:
        return False
    mounted = subprocess.run(["mount", "-t", "tmpfs", "none", str(folder)], capture_output=True, check=False)
    if mounted.returncode == 0:
        subprocess.run(["umount", str(folder)], check=True)
    return mounted.returncode == 0


@pytest.mark.parametrize("fault", RUNS)
def test_nothing_is_lost_half_or_untrue_after_a_kill(fault: Fault) -> None:
    assert round_of(fault, seed=int.from_bytes(os.urandom(2))) == []


def test_nor_where_nothing_can_be_written(tmp_path: Path) -> None:
    assert [round_of(fault, seed=3) for fault in MOUNTS if _may_mount(tmp_path)] in ([], [[], []])
