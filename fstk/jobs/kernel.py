"""The process that executes a task's notebook: an ipykernel of this environment, which dies with its run.

Started as ``python -m fstk.jobs.kernel`` by the interpreter that runs ``fstk``, whatever kernels are registered.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
from collections.abc import Callable
from types import TracebackType

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from fstk.errors import FstkError, UnknownName, nearest
from fstk.journal import KERNEL_VARIABLE

_PR_SET_PDEATHSIG = 1
_NO_SUCH_MAGIC = re.compile(r"(?:Line|Cell) magic (?:function )?`%+(\w+)` not found")


def main() -> None:
    """Tie this process to its parent, then be a kernel."""
    if sys.platform == "linux":
        # at once, even from a cell that never yields; elsewhere ipykernel's own watch ends the kernel within a second
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(os.environ["JPY_PARENT_PID"]):
            sys.exit("the run that started this kernel is gone")
    os.environ[KERNEL_VARIABLE] = str(os.getpid())
    from ipykernel.kernelapp import IPKernelApp

    from fstk.jobs.shell import JobKernel

    kernel = IPKernelApp.instance(kernel_class=JobKernel)
    kernel.initialize()
    assert kernel.shell is not None
    refuse_usage(kernel.shell, unknown_magic)
    kernel.start()


def refuse_usage(shell: InteractiveShell, refusal: Callable[[InteractiveShell, str], FstkError | None]) -> None:
    """Raise what ``refusal`` makes of the message of a UsageError, which IPython only prints: a runner of notebooks may
    take that for success. Where it makes nothing of it, all stays as it was."""
    caught, others = shell.custom_exceptions, shell.CustomTB

    def handler(
        shell: InteractiveShell,
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType,
        tb_offset: int | None = None,
    ) -> list[str] | None:
        refused = refusal(shell, str(error)) if isinstance(error, UsageError) else None
        if refused is None and isinstance(error, caught):
            return others(kind, error, trace, tb_offset)
        if refused is not None:
            refused.__cause__ = error
            kind, error = type(refused), refused
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
        return None

    shell.set_custom_exc((*caught, UsageError), handler)


def unknown_magic(shell: InteractiveShell, message: str) -> UnknownName | None:
    """Return the error of a magic that does not exist; None for any other message."""
    missing = _NO_SUCH_MAGIC.match(message)
    if missing is None:
        return None
    magics = shell.magics_manager.lsmagic()
    known = {*magics["line"], *magics["cell"]}
    return UnknownName(f"no magic %{missing[1]}.{nearest(missing[1], known)}   See them all: %lsmagic")


if __name__ == "__main__":
    main()
