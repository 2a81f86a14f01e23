"""The process that executes a task's notebook: an ordinary ipykernel of this environment, which dies with the run
that started it.

Started as ``python -m fstk.jobs.kernel``; the interpreter is the one that runs ``fstk``, whatever kernels are
registered.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from fstk.journal import KERNEL_VARIABLE

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, then be a kernel."""
    if sys.platform == "linux":
        # at once, even from a cell that never yields; elsewhere ipykernel's own watch ends the kernel within a second
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(os.environ["JPY_PARENT_PID"]):
            sys.exit("the run that started this kernel is gone")
    os.environ[KERNEL_VARIABLE] = str(os.getpid())
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()


if __name__ == "__main__":
    main()
