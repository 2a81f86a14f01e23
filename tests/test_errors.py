import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fstk import optional
from fstk.errors import GateRefused, Infrastructure, InvalidInput, MissingPackage, UnknownTable, nearest
from fstk.optional import need, without

ROOT = Path(__file__).parents[1]


def test_a_value_error_of_the_rules_is_a_value_error() -> None:
    assert issubclass(UnknownTable, ValueError)


def test_exit_codes_follow_the_kind() -> None:
    assert (InvalidInput.exit_code, GateRefused.exit_code, Infrastructure.exit_code) == (2, 3, 4)


def test_a_notebook_shows_one_line_first_and_the_cause_after() -> None:
    with pytest.raises(UnknownTable) as caught:
        raise UnknownTable("no feature table x.") from OSError("disk")
    assert caught.value._render_traceback_() == ["UnknownTable: no feature table x."]
    assert any("OSError: disk" in line for line in caught.value._render_traceback_())


def test_the_nearest_names_come_first() -> None:
    assert nearest("custmer", ["customer", "cohort"]) == " Nearest: customer."
    assert nearest("zzz", ["customer", "cohort"]) == " There is: cohort, customer."
    assert nearest("zzz", []) == ""


def test_a_missing_package_says_what_to_install() -> None:
    with pytest.raises(MissingPackage, match=r"pip install 'fstk\[databricks\]'"):
        need("databricks.connect")


def test_whatever_is_needed_is_brought_by_an_extra() -> None:
    needed = {
        name for file in (ROOT / "fstk").rglob("*.py") for name in re.findall(r'need\("(.+?)"\)', file.read_text())
    }
    assert {name.split(".")[0] for name in needed} == {name.split(".")[0] for name in optional._EXTRAS}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(optional._EXTRAS.values()) <= set(extras)


def test_a_missing_module_of_a_package_that_is_there_is_a_plain_import_error() -> None:
    with pytest.raises(ModuleNotFoundError):
        need("papermill.no_such_module")


def test_without_a_module_others_are_imported_as_if_it_were_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    with without("this"), pytest.raises(ModuleNotFoundError):
        importlib.import_module("this")
    assert "this" not in sys.modules
    with without("re"):
        assert importlib.import_module("re") is re


@pytest.mark.parametrize(
    "begins",
    [
        "import fstk.jobs.execution",
        "import fstk.jobs.runner as r; r.hold = lambda *_: exit(); r.run_job('notebooks/30_train_model.ipynb')",
    ],
)
def test_a_run_does_not_wait_for_the_grammar_of_a_format_that_no_notebook_has(begins: str) -> None:
    told = "print({'jsonschema', 'rfc3987_syntax'} & {*sys.modules})"
    code = f"import atexit, sys; atexit.register(lambda: {told}); {begins}"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "{'jsonschema'}\n"
