"""One notebook through papermill in a kernel of this environment, and an honest account of how it ended.

papermill marks cells "completed" after a kernel's death, takes ``sys.exit(0)`` for success and believes outputs
only, so the account is made here: from how the kernel's process ended, and from its reply to every cell.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import default

from fstk.jobs.outputs import Outputs
from fstk.jobs.record import Failure, Status, write_file
from fstk.jobs.scrubber import Scrubber
from fstk.journal import FOLDER_VARIABLE
from fstk.optional import without

with without("rfc3987_syntax"):  # jsonschema makes a grammar of it for seconds, for a format that no notebook has
    import nbformat
    import papermill
    from nbclient.exceptions import CellExecutionComplete, CellTimeoutError, DeadKernelError
    from nbformat.v4 import new_output
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
    from papermill.exceptions import PapermillExecutionError

_START_SECONDS = 120
_STARTS = 3
_TAKEN = "Address already in use"
_OUTPUT_SECONDS = 60  # how long after a cell has ended its last outputs may arrive; then the run goes on without them
_LEAST_SECONDS = 0.001  # to nbclient 0 is no limit
_SAID = 100_000  # letters that are kept of what an error says
_ENGINE = "fstk"
_OPTIONS: Any = {"engine_name": _ENGINE, "kernel_name": "python3", "language": "python", "progress_bar": False}
_LOGGER = logging.getLogger("papermill")
_LOGGER.addHandler(logging.NullHandler())  # what it has to say is said by the account


@dataclass
class Execution:
    """A notebook being executed; the run watches ``kernel`` and ``cell`` while :meth:`execute` works. Afterwards
    ``exit_code`` is that of the error of a cell, ``result`` what the notebook was finished with, if it was, and
    ``files`` are the hashes of the project's files that took part."""

    notebook: Mapping[str, Any]
    parameters: Mapping[str, Any]
    output: Path
    environment: Mapping[str, str]
    folder: Path
    cell_timeout: float | None
    timeout: float | None
    scrubber: Scrubber
    started: Callable[[subprocess.Popen[bytes]], None]
    kernel: subprocess.Popen[bytes] | None = None
    cell: int = 0
    exit_code: int | None = None
    result: Any = None
    files: dict[str, str] = field(default_factory=dict)
    outputs: Outputs = field(default_factory=Outputs)
    complete: bool = False
    finished_in: int | None = None
    _errors: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    _document: Any = None
    _deadline: float | None = None
    _log: Any = field(default_factory=tempfile.TemporaryFile)  # nameless: what a dying kernel says may hold a secret

    @property
    def cells(self) -> int:
        """How many code cells there are to execute, with the one that papermill adds for the given parameters."""
        if self._document is None:
            return sum(cell["cell_type"] == "code" for cell in self.notebook["cells"]) + bool(self.parameters)
        return len(_code(self._document.cells))

    def execute(self) -> tuple[Status, Failure | None]:
        """Execute every cell, saving the notebook to ``output`` as it goes; return how it ended, with what happened
        and where unless it succeeded. That the record was closed is not looked at."""
        self._deadline = None if self.timeout is None else time.monotonic() + self.timeout
        document = nbformat.reads(nbformat.writes(nbformat.from_dict(self.notebook)), as_version=4)
        try:
            self._run(document)
        except PapermillExecutionError:
            pass  # the kernel's replies tell it better
        except DeadKernelError:
            return self._dead()
        except CellTimeoutError:
            if self._deadline is not None and time.monotonic() >= self._deadline:
                return "timed out", self._failure("TaskTimeout", f"the task ran longer than {self.timeout:g} s")
            return "timed out", self._failure("CellTimeout", f"ran longer than {self.cell_timeout:g} s")
        except KeyboardInterrupt:
            return "interrupted", self._failure("Interrupted", "the run was asked to stop")
        except (RuntimeError, OSError) as error:
            if self.cell:
                raise
            return "not started", Failure("KernelNotStarted", f"{error} {self._last_words()}".strip())
        finally:
            if self._document is not None:
                self.save()
            self._log.close()
        return self._judge()

    def _run(self, document: Any) -> None:
        for left in reversed(range(_STARTS)):
            try:
                papermill.execute_notebook(document, None, dict(self.parameters), execution=self, **_OPTIONS)
            except (RuntimeError, OSError):
                # A kernel is told its ports, and takes them a second later: another process may have been quicker.
                if self.cell or not left or _TAKEN not in self._last_words():
                    raise
                self._log.seek(0)
                self._log.truncate()
            else:
                return

    def save(self) -> None:
        """Write the notebook as it stands, without secrets."""
        self.outputs.settle()
        write_file(self.output, nbformat.writes(self.scrubber.clean(self._document)).encode())

    def cell_limit(self, _cell: Any) -> float | None:
        """Return the seconds that the next cell may run, None for no limit: what it may, and what the task has left."""
        left = None if self._deadline is None else max(self._deadline - time.monotonic(), _LEAST_SECONDS)
        return min((limit for limit in (self.cell_timeout, left) if limit is not None), default=None)

    def start(self, number: int) -> None:
        """Code cell ``number`` begins."""
        self.cell, self.outputs, self.complete = number, Outputs(), False

    def replied(self, cell: Any, execute_reply: Any, **_unused: Any) -> None:
        """The kernel has replied to the cell, and its outputs have arrived or are too late."""
        reply = execute_reply["content"]
        self.files |= reply.get("files", {})
        cell.execution_count = reply.get("execution_count", cell.execution_count)
        if "result" in reply:
            self.finished_in, self.result = self.cell, self.scrubber.clean(reply["result"])
        elif reply["status"] != "ok":
            self._errors[self.cell] = reply
            # 2 is that nothing was started, which a cell can no longer say
            self.exit_code = reply.get("exit_code") if reply.get("exit_code") in (3, 4) else 1
        late = "" if self.complete else f"[… outputs later than {_OUTPUT_SECONDS} s after the cell left out …]"
        for note in filter(None, (self.outputs.settle(), late)):
            cell.outputs.append(new_output("stream", name="stderr", text=f"{note}\n"))

    def _judge(self) -> tuple[Status, Failure | None]:
        cells = _code(self._document.cells)
        for number, cell in enumerate(cells, 1):
            shown = (output for output in cell.outputs if output.output_type == "error")
            error = self._errors.get(number) or next(shown, None)
            if error is not None:
                self.cell = number
                name, message = error["ename"], error["evalue"]
                if name == "SystemExit":
                    message = f"sys.exit({message}) in a cell is not how a job ends; job.done() is"
                    return "exited", self._failure(name, message)
                return "failed", self._failure(name, message)
        for number, cell in enumerate(cells[: self.finished_in], 1):
            if cell.execution_count is None:
                self.cell = number
                return "incomplete", self._failure("CellNotExecuted", "was not executed")
        return "succeeded", None

    def _dead(self) -> tuple[Status, Failure]:
        code = self.kernel.poll() if self.kernel else None
        how = "" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
        return "killed", self._failure("KernelDied", f"{how} {self._last_words()}".strip())

    def _failure(self, error: str, message: str) -> Failure:
        return Failure(error, self.scrubber.clean(message)[:_SAID], self.cell or None, self.cells)

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return self.scrubber.clean(lines[-1]) if lines else ""


class _Kernel(AsyncKernelManager):
    @property
    def kernel_spec(self) -> KernelSpec:
        # not the registered python3, which may belong to another environment
        command = [sys.executable, "-m", "fstk.jobs.kernel", "-f", "{connection_file}"]
        encryption = {"supported_encryption": ["curve"]}
        return KernelSpec(argv=command, display_name="Python 3", language="python", metadata=encryption)

    @default("transport_encryption")
    def _encrypted(self) -> str:
        return "auto"  # other users of the machine can reach the kernel's ports


class _Notebook(NotebookExecutionManager):
    def __init__(self, document: Any, execution: Execution) -> None:
        super().__init__(document, progress_bar=False, autosave_cell_every=30)
        self.execution = execution

    def save(self, **_unused: Any) -> None:
        self.execution._document = self.nb
        self.execution.save()
        self.last_save_time = self.now()

    def cell_start(self, cell: Any, cell_index: int | None = None, **options: Any) -> None:
        self.execution.start(len(_code(self.nb.cells[: (cell_index or 0) + 1])))
        super().cell_start(cell, cell_index, **options)

    def notebook_complete(self, **options: Any) -> None:
        pending = [cell for cell in self.nb.cells if cell.metadata.papermill["status"] == self.PENDING]
        super().notebook_complete(**options)
        for cell in pending:  # papermill calls them completed
            cell.metadata.papermill["status"] = self.PENDING
        self.save()


class _Client(PapermillNotebookClient):
    def start_new_kernel(self, **options: Any) -> None:
        assert self.km is not None
        # swept with the run's folder if the run is killed
        self.km.connection_file = str(Path(options["env"][FOLDER_VARIABLE]) / "kernel.json")
        super().start_new_kernel(**options)
        provisioner = self.km.provisioner
        assert isinstance(provisioner, LocalProvisioner)
        assert provisioner.process is not None
        self.nb_man.execution.kernel = provisioner.process
        self.nb_man.execution.started(provisioner.process)

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        try:
            return super().process_message(msg, cell, cell_index)
        except CellExecutionComplete:
            self.nb_man.execution.complete = True
            raise

    def output(self, outs: list[Any], msg: Any, display_id: Any, cell_index: int) -> Any:
        if self.clear_before_next_output:
            self.nb_man.execution.outputs = Outputs()
        kept, kind, content = self.nb_man.execution.outputs, msg["msg_type"], msg["content"]
        if self.output_hook_stack[msg["parent_header"].get("msg_id")]:  # shown by a widget
            return super().output(outs, msg, display_id, cell_index)
        if kind == "stream" and kept.merged(content["name"], content["text"]):
            return None
        if "data" in content and not kept.shown(sum(len(str(data)) for data in content["data"].values())):
            return None
        if kind == "error":
            content |= {"evalue": content["evalue"][:_SAID], "traceback": [one[:_SAID] for one in content["traceback"]]}
        output = super().output(outs, msg, display_id, cell_index)
        if output is not None and kind == "stream":
            kept.opened(output)
        return output

    def clear_output(self, outs: list[Any], msg: Any, cell_index: int) -> None:
        super().clear_output(outs, msg, cell_index)
        if not outs:
            self.nb_man.execution.outputs = Outputs()

    def set_widgets_metadata(self) -> None:
        """Leave the state of widgets out of the file: it holds no truth, and may hold what was typed."""


class _Engine(Engine):
    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, *_: Any, execution: Execution, **_papermill: Any) -> Any:
        manager = _Notebook(nb, execution)
        limits: Any = {"timeout_func": execution.cell_limit, "iopub_timeout": _OUTPUT_SECONDS}
        limits["startup_timeout"] = _START_SECONDS
        rules: Any = {"force_raise_errors": True, "raise_on_iopub_timeout": False}
        log, environment = execution._log, dict(execution.environment)
        client = _Client(manager, kernel_name=kernel_name, kernel_manager_class=_Kernel, log=_LOGGER, **limits, **rules)
        client.on_cell_executed = execution.replied
        manager.notebook_start()
        try:
            client.execute(env=environment, cwd=str(execution.folder), stdout=log, stderr=log)
        finally:
            manager.notebook_complete()
        return manager.nb


papermill_engines.register(_ENGINE, _Engine)


def _code(cells: list[Any]) -> list[Any]:
    return [cell for cell in cells if cell.cell_type == "code" and cell.source.strip()]
