"""The grammar of ``fstk VERB …``, shared by the terminal and the magics, and the exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from fstk import __version__
from fstk.cli import drift, lint, load, pit, prove, publish, run, serve, start, tables, windows
from fstk.cli.call import Call, say
from fstk.errors import FstkError, InvalidInput, UnknownName, nearest

_INTERRUPTED = 130  # what typer returns for Ctrl-C

app = typer.Typer(
    name="fstk",
    help="A feature store at home in Jupyter.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help is the same plain text in a terminal, in a cell and in a job's output
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("runs")(run.runs)
app.command("init")(start.init)
app.command("demo")(start.demo)
app.command("load")(load.load)
app.command("tables")(tables.tables)
app.command("show")(tables.show)
app.command("history")(tables.history)
app.command("tag")(tables.tag)
app.command("drop")(tables.drop)
app.command("grant")(tables.grant)
app.command("publish")(publish.publish)
app.command("parity")(publish.parity)
app.command("windows")(windows.windows)
app.command("pit")(pit.pit)
app.command("explain")(pit.explain)
app.command("why")(pit.why)
app.command("lint")(lint.lint)
app.command("drift")(drift.drift)
app.command("prove")(prove.prove)
app.command("serve")(serve.serve)
app.command("replay")(serve.replay)
app.command("token")(serve.token)
app.command("new")(start.new)
app.command("doctor")(start.doctor)


def _version(asked: bool) -> None:
    if asked:
        print(f"fstk {__version__}")
        raise typer.Exit


@app.callback()
def fstk(
    _: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")] = False,
) -> None:
    """A feature store at home in Jupyter."""  # a callback keeps the verb in the grammar whatever their number


def verbs() -> list[str]:
    return sorted(command.name for command in app.registered_commands if command.name)


def run_command(
    argv: Sequence[str],
    namespace: dict[str, Any] | None = None,
    cell: str | None = None,
) -> Any:
    """Carry out ``fstk ARGV`` and return what is to be shown, None when there is nothing (more) to show.

    ``namespace`` and ``cell`` are a notebook's, as in :class:`Call`. Raises UnknownName: no such verb;
    InvalidInput: the words do not fit its grammar; and whatever the verb raises.
    """
    argv = list(argv) or ["-h"]
    first = next((word for word in argv if not word.startswith("-")), None)
    if first is not None and first not in verbs():
        raise UnknownName(f"fstk has no verb {first!r}.{nearest(first, verbs())}   See them all: fstk -h")
    command = typer.main.get_command(app)
    try:
        shown = command.main(argv, prog_name="fstk", standalone_mode=False, obj=Call(namespace, cell))
    except TyperException as error:
        where = f"fstk {first}" if first else "fstk"
        raise InvalidInput(f"{error.format_message().rstrip('.')}.   How it is used: {where} -h") from error
    if shown == _INTERRUPTED:
        raise KeyboardInterrupt
    return None if isinstance(shown, int) else shown  # typer's own exit code, once help was printed


def _open_closed() -> None:
    """Let streams that the caller closed, as some schedulers do, lead nowhere; the next file that is opened would stand
    in their place, and be written into by all that prints."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 as long as the process


def main() -> int:
    """Be the command ``fstk``: print what is to be shown, or an error as one sentence on standard error."""
    _open_closed()
    try:
        shown = run_command(sys.argv[1:])
        if shown is not None:
            say(shown)
        sys.stdout.flush()
    except FstkError as error:
        # what is to be typed next is told for a notebook, where most errors are read
        print(f"{type(error).__name__}: {error}".replace("%fstk ", "fstk "), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # the reader, as in `fstk tables | head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
