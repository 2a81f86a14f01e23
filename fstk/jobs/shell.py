"""What executes the cells of a job: its reply to each says truly how the cell ended, whatever the cell did to what only
shows errors, that the run's parameters are still those it was given, and which files of the project took part."""

from __future__ import annotations

import builtins
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from ipykernel.ipkernel import IPythonKernel
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.error import UsageError
from traitlets import Type

from fstk import journal
from fstk.errors import BadParameter, FstkError
from fstk.jobs.bindings import Watched
from fstk.jobs.finish import Finished
from fstk.jobs.messages import Start, receive
from fstk.jobs.parameters import Parameter, parse, portable
from fstk.jobs.record import file_hash

_CHECK = "__fstk_check_parameters__"


class JobShell(ZMQInteractiveShell):
    """IPython that remembers the errors of a cell: what it ``raised``, itself or through the shell, and what was
    ``shown`` while it went on, by a magic, a display or a hook; whether it has ``finished`` the notebook, and the
    ``files`` that it ran."""

    raised: BaseException | None = None
    shown: BaseException | None = None
    finished: Finished | None = None
    changed: BadParameter | None = None
    parameters: _Parameters | None = None

    def init_instance_attrs(self) -> None:
        super().init_instance_attrs()
        self.files: set[str] = set()

    def watch(self, parameters: _Parameters) -> None:
        """Refuse from now on what changes a parameter, also for a moment."""
        self.parameters = parameters
        setattr(builtins, _CHECK, self.check_parameters)
        self.ast_transformers.append(Watched(parameters.names, _CHECK))

    def check_parameters(self) -> None:
        """Raise BadParameter where a name no longer holds its value; a cell that catches it fails all the same."""
        if self.parameters and (changed := self.parameters.changed(self.user_ns)):
            self.changed = changed
            raise changed

    async def run_code(self, code_obj: Any, result: Any = None, *, async_: bool = False) -> bool:
        """Run one statement of a cell, and tell whether it failed."""
        try:
            failed = await super().run_code(code_obj, result, async_=async_)
        finally:  # also when what shows the error fails in its turn
            if result is not None:
                self.raised = _unfinished(result.error_in_exec) or self.raised
        if failed:
            return True
        changed = self.changed or (self.parameters.changed(self.user_ns) if self.parameters else None)
        if changed is not None:  # the statements after it, which may put the value back, are not run
            self.raised = changed
            self.showtraceback((type(changed), changed, None))
        # %time shows what ends a notebook, and would go on
        return changed is not None or self.finished is not None

    def run_cell(self, *args: Any, **options: Any) -> Any:
        result = super().run_cell(*args, **options)
        self.raised = self.raised or result.error_before_exec or _unfinished(result.error_in_exec)
        return result

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **options: Any) -> None:
        error = exc_tuple[1] if exc_tuple else sys.exc_info()[1]
        if isinstance(error, Finished):
            self.finished = error
            return
        self.shown = self.shown or error
        super().showtraceback(exc_tuple, *args, **options)

    def showsyntaxerror(self, *args: Any, **options: Any) -> None:
        self.shown = self.shown or sys.exc_info()[1]
        super().showsyntaxerror(*args, **options)

    def safe_execfile(self, fname: Any, *where: Any, **options: Any) -> None:
        self.files.add(os.path.realpath(fname))
        super().safe_execfile(fname, *where, **{**options, "raise_exceptions": True})  # %run would go on

    def safe_execfile_ipy(self, fname: Any, *args: Any, **options: Any) -> None:
        self.files.add(os.path.realpath(fname))
        super().safe_execfile_ipy(fname, *args, **options)


class JobKernel(IPythonKernel):
    """An ipykernel whose reply to a cell has ``exit_code`` beside an error, ``result`` where it has finished the
    notebook, and ``files``: hashes of the project's modules and scripts that were new in this cell, by path from its
    root."""

    shell_class = Type(JobShell)
    shell: JobShell

    def start(self) -> None:
        folder = journal.run_folder()
        start = receive(folder, Start) if folder else None
        if start:
            self.shell.watch(_Parameters(start))
        self._project = _Project(Path.cwd())
        super().start()

    async def do_execute(self, *args: Any, **options: Any) -> dict[str, Any]:
        shell = self.shell
        shell.raised = shell.shown = shell.finished = shell.changed = None
        reply: dict[str, Any] = {}
        try:
            reply = await super().do_execute(*args, **options)
            if any(one["source"] == "ask_exit" for one in reply.get("payload", ())):
                shell.raised = SystemExit()
            # a magic may run what it is given by itself
            changed = shell.parameters.changed(shell.user_ns) if shell.parameters else None
            if changed and not (shell.raised or shell.shown):
                shell.shown = changed
                shell.showtraceback((type(changed), changed, None))
        except BaseException as error:  # noqa: BLE001 (a cell may break what shows its errors; it is answered all the same)
            shell.shown = shell.shown or error
        # of a magic that does not exist, what is shown says more
        error = shell.shown if shell.shown and isinstance(shell.raised, UsageError) else shell.raised or shell.shown
        if error is not None:
            reply = {"traceback": [], **reply, "status": "error", **_told(error)}
        elif shell.finished is not None:  # to a runner only an error is a reason to stop
            ending = {"status": "error", "ename": "Finished", "evalue": "", "result": shell.finished.value}
            reply = {"traceback": [], **reply, **ending}
        return reply | {"files": self._project.new_files(shell.files)}


def _unfinished(error: BaseException | None) -> BaseException | None:
    return None if isinstance(error, Finished) else error


def _told(error: BaseException) -> dict[str, Any]:
    said = str(traceback.TracebackException(type(error), error, None))  # its own __str__ may raise
    code = error.exit_code if isinstance(error, FstkError) else 1
    return {"ename": type(error).__name__, "evalue": said, "exit_code": code}


class _Parameters:
    """The values that the run has validated and recorded, each watched from the cell after which its name holds it."""

    def __init__(self, start: Start) -> None:
        declaration = parse(start.declaration, start.task)
        self._declared = declaration.parameters
        self._values = declaration.read(start.values)
        self._held: set[str] = set()

    @property
    def names(self) -> list[str]:
        return [parameter.name for parameter in self._declared]

    def changed(self, namespace: dict[str, Any]) -> BadParameter | None:
        """Return what to say of a name that no longer holds its value after a cell, None while all do."""
        for parameter in self._declared:
            if self._holds(parameter, namespace):
                self._held.add(parameter.name)
            elif parameter.name in self._held:
                (value,) = portable({parameter.name: self._values[parameter.name]}).values()
                return BadParameter(
                    f"this cell changes {parameter.name}, a parameter that the run has checked and recorded as "
                    f"{value!r}. Use another name, or run with -p {parameter.name}=…"
                )
        return None

    def _holds(self, parameter: Parameter, namespace: dict[str, Any]) -> bool:
        try:  # as text: NaN is not equal to itself
            return parameter.name in namespace and repr(parameter.read(namespace)) == repr(self._values[parameter.name])
        except BadParameter:
            return False


class _Project:
    """The files below the project's root, but for those of its environment."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._environment = tuple(f"{os.path.realpath(prefix)}{os.sep}" for prefix in (sys.prefix, sys.base_prefix))
        self._seen: set[str] = set()

    def new_files(self, run: set[str]) -> dict[str, str]:
        """Return the hashes of the modules' files, and of those in ``run``, that no earlier call has returned."""
        modules = [module for module in list(sys.modules.values()) if isinstance(module, ModuleType)]
        files = {vars(module).get("__file__") for module in modules} | run
        new = {file for file in files if isinstance(file, str)} - self._seen
        self._seen |= new
        hashes = {}
        for file in sorted(map(os.path.realpath, new)):
            if file.startswith(f"{self._root}{os.sep}") and not file.startswith(self._environment):
                hashes[str(Path(file).relative_to(self._root))] = file_hash(Path(file))
        return hashes
