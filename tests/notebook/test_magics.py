import datetime
import re
from decimal import Decimal
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

import fstk.cli.app as grammar
from fstk.display import Displayed, Sheet
from fstk.errors import InvalidInput, NaiveDatetime, UnknownName
from fstk.jobs.kernel import refuse_usage, unknown_magic


class Seen:
    """What reached the grammar."""

    argv: list[str]
    namespace: dict[str, Any]
    cell: str | None


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    seen = Seen()

    def run_command(argv: list[str], namespace: dict[str, Any], cell: str | None) -> None:
        seen.argv, seen.namespace, seen.cell = argv, namespace, cell

    monkeypatch.setattr(grammar, "run_command", run_command)
    return seen


@pytest.mark.parametrize(
    ("line", "argv"),
    [
        ("show a.b", ["show", "a.b"]),
        ("tag t 'two words' \"it's\"", ["tag", "t", "two words", "it's"]),
        ("tag t key=$HOME {x} {1+1} $x %s", ["tag", "t", "key=$HOME", "{x}", "{1+1}", "$x", "%s"]),
        ("show a.b  # the table", ["show", "a.b"]),
        ("publish t --to redis://h:1/0#x '#y'", ["publish", "t", "--to", "redis://h:1/0#x", "#y"]),
        (r"show a\ b \#c", ["show", "a b", "#c"]),
        (r"show a\ #b", ["show", "a #b"]),
        (r"show a\\ # a backslash", ["show", "a\\"]),
        (r'grant "TO \`a-b\` \$x \" \\"', ["grant", 'TO `a-b` $x " \\']),
        (r"""grant 'TO \`a' "it's\`" \"\`""", ["grant", r"TO \`a", "it's`", '"`']),
        ("tag t k ''", ["tag", "t", "k", ""]),
        ("show {{table}} {{ table }} x{{n}}y", ["show", "a.b", "a.b", "x7y"]),
        ("tag t k {{words}} '{{words}}'", ["tag", "t", "k", "two 'words'", "two 'words'"]),
        (
            "windows t --windows {{windows}} --every {{day}}",
            ["windows", "t", "--windows", "7d,14d", "--every", "1998-03-31"],
        ),
        ("pit {{at}} {{price}}", ["pit", "1998-03-31T00:00:00+00:00", "1.50"]),
    ],
)
def test_words_reach_the_grammar_as_in_a_shell(shell: InteractiveShell, seen: Seen, line: str, argv: list[str]) -> None:
    shell.user_ns.update(
        table="a.b",
        n=7,
        x="expanded",
        words="two 'words'",
        windows=["7d", "14d"],
        day=datetime.date(1998, 3, 31),
        at=datetime.datetime(1998, 3, 31, tzinfo=datetime.UTC),
        price=Decimal("1.50"),
    )
    for cell in (f"%fstk {line}", f"if True:\n    %fstk {line}", f"%%fstk {line}\nbody"):
        assert shell.run_cell(cell).success
        assert seen.argv == argv
    assert seen.namespace is shell.user_ns


def test_the_text_below_reaches_the_grammar_unexpanded_but_for_double_braces(
    shell: InteractiveShell, seen: Seen
) -> None:
    shell.user_ns.update(limit=5, x="expanded")
    body = "sum(amount) filter (where q > {{limit}}) as big  -- {x} $x\n\n# 'half a quote\nmap('{k}', \"${x}\")\n"
    assert shell.run_cell(f"%%fstk windows t\n{body}").success
    assert seen.cell == body.replace("{{limit}}", "5")


def test_a_long_line_goes_on_below_after_a_backslash(shell: InteractiveShell, seen: Seen) -> None:
    assert shell.run_cell("%%fstk windows t \\\n  --windows 7d \\\n  --time at\ncount(*) as n\n").success
    assert seen.argv == ["windows", "t", "--windows", "7d", "--time", "at"]
    assert seen.cell == "count(*) as n\n"
    assert shell.run_cell("%fstk show \\\n  t").success
    assert seen.argv == ["show", "t"]


@pytest.mark.parametrize(
    ("line", "kind", "says"),
    [
        ("show {{tabel}}", UnknownName, r"\{\{tabel\}\}: no variable tabel. Nearest: table\.$"),
        ("show {{table.upper()}}", InvalidInput, ".*only the name of a variable"),
        ("show {{at}}", NaiveDatetime, "{{at}}: 1998-03-31 00:00:00 has no time zone"),
        ("show {{frame}}", InvalidInput, ".*a dict cannot be written into a line.* named without braces: frame"),
        ("show 'a", InvalidInput, "cannot read .* No closing quotation"),
    ],
)
def test_what_cannot_be_put_in_is_said(shell: InteractiveShell, seen: Seen, line: str, kind: type, says: str) -> None:
    shell.user_ns.update(table="t", _tabel="hidden", at=datetime.datetime(1998, 3, 31), frame={"a": 1})
    with capture_output():
        result = shell.run_cell(f"%fstk {line}")
    assert type(result.error_in_exec) is kind
    assert re.match(says, str(result.error_in_exec))
    assert not hasattr(seen, "argv")


class Shown(Displayed):
    def display(self) -> Sheet:
        return Sheet("shown", ["a"], [[1]])


def test_every_verb_of_a_cell_shows_what_it_returns(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar, "run_command", lambda *_: Shown())
    with capture_output() as output:
        assert shell.run_cell("%fstk show a\n%fstk show b\nNone").success
    assert [sorted(shown.data) for shown in output.outputs] == [["text/html", "text/plain"]] * 2
    assert output.outputs[0].data["text/plain"] == "shown\n  a\n  1"


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%fstk runn churn", "UnknownName: fstk has no verb 'runn'. Nearest: run, runs."),
        ("%fstk run", "InvalidInput: Missing argument 'NOTEBOOK|JOB'.   How it is used: fstk run -h"),
        ("%fstk run churn --resum", "No such option: --resum"),
        ("%%fstk run churn --resume --no\nx", "InvalidInput: No such option: --no"),
        ("%%fstk run churn\n", "InvalidInput: %%fstk has nothing below it."),
    ],
)
def test_an_error_is_one_sentence_and_the_cause_one_tb_away(shell: InteractiveShell, cell: str, says: str) -> None:
    with capture_output() as output:
        result = shell.run_cell(cell)
        assert not result.success
    assert says in output.stdout
    assert output.stdout.count("\n") <= 3
    assert output.stderr == ""
    with capture_output() as output:
        shell.run_cell("%tb")
    assert "Traceback (most recent call last)" in output.stdout


@pytest.mark.parametrize("cell", ["%alias_magic", "%fstkk run churn", "%%fstkk run churn\nx", "%timit 1"])
def test_nothing_changes_for_other_magics(shell: InteractiveShell, cell: str) -> None:
    seen = []
    for loaded in (True, False):
        if not loaded:
            InteractiveShell.clear_instance()
            shell = InteractiveShell.instance(config=shell.config)
        with capture_output() as output:
            assert isinstance(shell.run_cell(cell).error_in_exec, UsageError)
        seen.append((output.stdout, output.stderr))
    assert seen[0] == seen[1]
    assert seen[0][1].startswith("UsageError: ")


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%fstkk run churn", "UnknownName: no magic %fstkk. Nearest: fstk"),
        ("%%fstkk run churn\nx", "UnknownName: no magic %fstkk. Nearest: fstk"),
        ("%timit 1", "UnknownName: no magic %timit. Nearest: "),
        ("%%fstk run churn\n", "InvalidInput: %%fstk has nothing below it."),
        ("%alias_magic", "UsageError: "),
    ],
)
def test_in_the_kernel_of_a_job_an_unknown_magic_is_an_error(shell: InteractiveShell, cell: str, says: str) -> None:
    InteractiveShell.clear_instance()
    job = InteractiveShell.instance(config=shell.config)
    refuse_usage(job, unknown_magic)
    job.run_line_magic("load_ext", "fstk")
    with capture_output() as output:
        assert not job.run_cell(cell).success
    assert says in output.stdout + output.stderr
    assert (output.stderr == "") is (not says.startswith("UsageError"))
    assert output.stdout.count("\n") <= 3


def test_a_handler_of_errors_that_was_there_still_gets_its_own(shell: InteractiveShell) -> None:
    caught: list[BaseException] = []
    InteractiveShell.clear_instance()
    fresh = InteractiveShell.instance(config=shell.config)
    fresh.set_custom_exc((KeyError,), lambda shell, kind, error, trace, tb_offset=None: caught.append(error))
    fresh.run_line_magic("load_ext", "fstk")
    fresh.run_line_magic("reload_ext", "fstk")
    assert not fresh.run_cell("{}['a']").success
    assert isinstance(caught[0], KeyError)
    with capture_output() as output:
        assert not fresh.run_cell("%%fstk show\n").success
    assert "InvalidInput: %%fstk has nothing below it." in output.stdout


def test_help_is_the_commands_own(shell: InteractiveShell) -> None:
    with capture_output() as output:
        assert shell.run_cell("%fstk run -h").success
    text = output.stdout + "".join(str(shown) for shown in output.outputs)
    assert "Usage: fstk run" in text
    assert "--resume" in text
