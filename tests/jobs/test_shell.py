"""The kernel's reply to a cell, whatever the cell did to what shows errors: one kernel, one cell after another."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from fstk import journal
from fstk.jobs.messages import Start

pytestmark = pytest.mark.server

DECLARATION = 'from datetime import date\nas_of: date = "2024-01-01"\nshare: float = 0.5\nlimit: int = 3'
GATE = "from fstk.errors import GateRefused\nclass Drifted(GateRefused): pass\n"
SCRIPTS = {
    "bad.py": "raise ValueError('bad')",
    "bad.ipy": "raise ValueError('bad')",
    "exits.py": "import sys; sys.exit(0)",
    "helper.py": "one = 1",
    "sets.py": "as_of = '1999-01-01'",
}


class _Manager(KernelManager):
    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(argv=[sys.executable, "-m", "fstk.jobs.kernel", "-f", "{connection_file}"], language="python")


@pytest.fixture
def reply(tmp_path: Path) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Executes a cell in a job's kernel and returns the reply."""
    for name, text in SCRIPTS.items():
        (tmp_path / name).write_text(text)
    shared = tmp_path / "shared"
    shared.mkdir()
    values = {"as_of": "2024-05-05", "share": float("nan"), "limit": 3}
    Start("t", "0", DECLARATION, json.dumps(values)).send(shared)
    manager = _Manager(connection_file=str(shared / "kernel.json"))
    run = {journal.FOLDER_VARIABLE: str(shared), journal.RUN_VARIABLE: "r"}
    manager.start_kernel(cwd=str(tmp_path), env={**os.environ, **run})
    client: Any = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield lambda cell: client.execute(cell, reply=True, timeout=60, stop_on_error=False)["content"]
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_an_error_is_an_error_however_it_is_shown(reply: Callable[[str], dict[str, Any]]) -> None:
    def ends(cell: str) -> tuple[str, str, int]:
        got = reply(cell)
        return (got["ename"], got["evalue"], got.get("exit_code", 1)) if got["status"] == "error" else ("", "", 0)

    shell = "ip = get_ipython()\n"
    assert ends(shell + "1 + 1") == ("", "", 0)
    refused = ("Drifted", "1 of 12", 3)
    gate = GATE + "raise Drifted('1 of 12')"
    assert ends(gate) == refused
    assert ends("import bdb\nraise bdb.BdbQuit")[0] == "BdbQuit"
    assert ends("raise ExceptionGroup('some', [ValueError('no')])")[:2] == ("ExceptionGroup", "some (1 sub-exception)")
    assert ends("%fstk tables")[0] == "UnknownName"
    assert ends("%timeit -z")[0] == "UsageError"
    assert ends("raise KeyboardInterrupt")[0] == "KeyboardInterrupt"
    assert ends("await __import__('asyncio').sleep(0)\n" + gate) == refused
    # what IPython goes on after
    for cell in ("%run bad.py", "%run bad.ipy", "%run -m bad", "%%capture\nraise ValueError('bad')"):
        assert ends(cell)[:2] == ("ValueError", "bad"), cell
    assert ends("ip.run_cell('raise ValueError(\"bad\")')\nprint()")[:2] == ("ValueError", "bad")
    assert ends("ip.run_cell('this is no python')\nprint()")[0] == "SyntaxError"
    broken = "class Broken:\n    def _repr_html_(self): raise ValueError('bad')\n"
    assert ends(broken + "Broken()")[:2] == ("ValueError", "bad")
    assert ends("display(Broken())")[:2] == ("ValueError", "bad")
    hook = "def hook(*_): raise ValueError('bad')\nip.events.register('post_run_cell', hook)"
    assert ends(hook)[:2] == ("ValueError", "bad")
    assert ends("ip.events.unregister('post_run_cell', hook)") == ("", "", 0)
    assert ends("%run exits.py") == ("", "", 0)
    # what shows errors is broken, more and more
    mute = "class Mute(GateRefused):\n    def __str__(self): raise ValueError\nraise Mute"
    assert ends(mute) == ("Mute", "<exception str() failed>", 3)
    assert ends("class E(Drifted):\n    def _render_traceback_(self): 1 / 0\nraise E('1 of 12')")[1:] == refused[1:]
    for breaking in (
        "%xmode Minimal",
        "import sys\nsys.excepthook = lambda *_: None",
        "ip.set_custom_exc((Exception,), lambda *_: None)",
        "ip.set_custom_exc((Exception,), lambda *_: 1 / 0)",
        "ip.set_custom_exc((), None)",
        "import rich.traceback\n_ = rich.traceback.install()",
        "ip.events.callbacks['post_run_cell'].clear()",
        "ip._showtraceback = lambda *_: None",
        "ip.showtraceback = ip.showsyntaxerror = lambda *_, **__: None",
        "ip.showtraceback = ip.showsyntaxerror = lambda *_, **__: 1 / 0",
        "del ip.showtraceback, ip.showsyntaxerror, ip._showtraceback",
    ):
        assert ends(breaking) == ("", "", 0), breaking
        assert ends(gate) == refused, breaking
        assert ends("%run bad.py")[:2] == ("ValueError", "bad"), breaking
        assert ends("%no_such_magic")[0] in {"UnknownName", "UsageError"}, breaking
        assert ends("this is no python")[0], breaking
    for closing in ("import os\nos.close(2)", "sys.stderr.close()", "sys.stderr = None"):
        assert ends(f"{closing}\n{gate}") == refused, closing
    assert ends("1")[0], "IPython executes nothing any more"


def test_a_parameter_that_a_cell_changes_is_refused(reply: Callable[[str], dict[str, Any]]) -> None:
    for cell in (
        DECLARATION,
        "as_of = '2024-05-05'\nshare = float('nan')",
        "as_of = date(2024, 5, 5)",
        "if not isinstance(as_of, str):\n    as_of = str(as_of)",
        "def local():\n    as_of = 1\n    return as_of\nassert local() == 1",
        "assert [as_of for as_of in 'ab'] == ['a', 'b']",
        "class Config:\n    as_of: date = 1",
    ):
        assert reply(cell)["status"] == "ok", cell
    for cell in (
        "as_of = '1999-01-01'  # left here",
        "as_of = date(1999, 1, 1)",
        "(x, as_of), *_ = (1, '1999-01-01'), 2",
        "print(as_of := 7)",
        "for as_of in range(3): pass",
        "import os as as_of",
        "with open('helper.py') as as_of: pass",
        "def as_of(): pass",
        "class as_of: pass",
        "def change():\n    global as_of\n    as_of = None\nchange()",
        "del as_of",
        "%run sets.py",
        "exec('as_of = 1')",
        "globals()['as_of'] = 1",
        "get_ipython().user_ns.update(as_of=1)",
        "as_of: date = '1999-01-01'",
        "as_of += '0'",
        "share = 0.5",
        "limit = True",
        "as_of = '1999-01-01'\nas_of = '2024-05-05'",
        "as_of = '1999-01-01'; print(as_of); as_of = '2024-05-05'",
        "with open('helper.py') as as_of: pass\nwritten = True\nas_of = '2024-05-05'",
        "%%capture\nas_of = '1999-01-01'\nas_of = '2024-05-05'",
        "await __import__('asyncio').sleep(0)\nas_of = '1999-01-01'\nas_of = '2024-05-05'",
        "for as_of in ['1999-01-01', '2024-05-05']:\n    written = True",
        "if limit:\n    as_of = '1999-01-01'\n    written = True\n    as_of = '2024-05-05'",
        "try:\n    as_of = '1999-01-01'\n    written = True\nfinally:\n    as_of = '2024-05-05'",
        "while (as_of := '1999-01-01') and limit:\n    written = True\nas_of = '2024-05-05'",
        "def change():\n    global as_of, written\n    as_of = 1\n    written = 1\n    as_of = '2024-05-05'\nchange()",
        "try:\n    for as_of in '12': written = True\nexcept Exception: pass\nas_of = '2024-05-05'",
        "%reset -f",
    ):
        got = reply(cell)
        name = cell.partition(" ")[0] if cell.startswith(("share", "limit")) else "as_of"
        assert (got["status"], got.get("ename")) == ("error", "BadParameter"), cell
        assert f"this cell changes {name}, a parameter" in got["evalue"]
        reply("as_of, share, limit = '2024-05-05', float('nan'), 3")
    assert reply("written")["ename"] == "NameError"  # nothing is done with another value
    reply("from datetime import date")
    # the job has the values that were checked, and they cannot be set
    opened = "import fstk\njob = fstk.job({'as_of': '1999-01-01'})\nassert job.as_of == date(2024, 5, 5)"
    assert reply(opened)["status"] == "ok"
    assert reply("job.as_of = 1")["ename"] == "AttributeError"
    assert reply("job.parameters['as_of'] = 1")["ename"] == "TypeError"


def test_the_projects_modules_and_scripts_are_told_once(reply: Callable[[str], dict[str, Any]], tmp_path: Path) -> None:
    assert reply("import json")["files"] == {}
    assert list(reply("import helper")["files"]) == ["helper.py"]
    assert reply("import helper")["files"] == {}
    assert list(reply("%run exits.py")["files"]) == ["exits.py"]
    assert reply("exit()")["ename"] == "SystemExit"
