"""One JVM for processes that need Spark one after the other: what a JVM has loaded and compiled, the next finds warm.

Each of them has a Spark context of its own, as with a JVM of its own: what a context held ends with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fstk import settings
from fstk.engines.start import launch

_SECONDS = 60  # in which a JVM ends


@dataclass(frozen=True)
class SharedJVM:
    """A JVM in the keeping of another process."""

    process: subprocess.Popen[str]

    @cached_property
    def variables(self) -> dict[str, str]:
        """The variables by which PySpark finds the JVM, once it has started; none where it could not: whoever needs one
        starts one, and says why it cannot."""
        return json.loads(self._line() or "{}")

    def end_context(self) -> None:
        """End the Spark context that a process has left, so that another can have one."""
        if self.variables and self.process.poll() is None:
            assert self.process.stdin is not None
            print(file=self.process.stdin, flush=True)
            self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@contextmanager
def shared_jvm(environment: Mapping[str, str], working: Path) -> Iterator[SharedJVM]:
    """Keep a JVM that has this ``environment`` and ``working`` folder, and is being started meanwhile."""
    with subprocess.Popen(
        [sys.executable, "-m", "fstk.engines.start.keeper"],
        env=dict(environment),
        cwd=working,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield SharedJVM(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=_SECONDS)


def keep() -> None:
    """Start a JVM by the settings, say how it is found, and end its context at each line, until there are no more."""
    loaded = settings.load()
    gateway = launch.gateway(launch.configuration(loaded, loaded.master, "fstk"))
    address = gateway.gateway_parameters
    print(
        json.dumps({"PYSPARK_GATEWAY_PORT": str(address.port), "PYSPARK_GATEWAY_SECRET": address.auth_token}),
        flush=True,
    )
    contexts = getattr(getattr(gateway.jvm.org.apache.spark, "SparkContext$"), "MODULE$")
    for _ in sys.stdin:
        context = contexts.getActive()
        if context.isDefined():
            context.get().stop()
        print(flush=True)
    launch.end(gateway)


if __name__ == "__main__":
    keep()
