"""No secret value in any file, line, record or process list, whatever a notebook does with it."""

from __future__ import annotations

import html
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from fstk.errors import AccessDenied, BadParameter, Infrastructure, InvalidInput, UnknownName
from fstk.jobs.parameters import parse
from fstk.jobs.plan import plan_run
from fstk.jobs.scrubber import Scrubber
from fstk.secret import Secret
from tests.servers.azure import identity, key_vault

from .conftest import Project, told

VALUE = "hunter2&'\"<é\\"
DECLARATION = 'from fstk import Secret\npassword: Secret = "env:STORE_PASSWORD"'
SHOW = """
import sys, os
value = job.password.reveal()
assert value == os.environ["STORE_PASSWORD"]
print(value, repr(value), job.password, job)
print(value[:4], end="", flush=True)
print(value[4:], flush=True)
print(value, file=sys.stderr)
os.write(1, value.encode())
from IPython.display import HTML, JSON, display, update_display
import html
display(HTML(f"<b>{html.escape(value)}</b>"))
display(JSON({value: [value]}))
handle = display(value, display_id="x")
display(value.upper(), display_id="y"); update_display(value, display_id="y")
value
"""


def forms(value: str) -> list[bytes]:
    """How the value would look in a text file, a JSON file, HTML or a piece of Python."""
    inner = json.dumps(value)[1:-1]
    texts = {value, html.escape(value), inner, json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
    texts |= {json.dumps(text)[1:-1] for text in texts} | {json.dumps(text, ensure_ascii=False)[1:-1] for text in texts}
    return [text.encode() for text in texts]


def leaks(root: Path, value: str = VALUE) -> list[str]:
    """Files below ``root`` and command lines of processes that hold the value."""
    files = [path for path in root.rglob("*") if path.is_file()]
    files += [path for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    found = []
    for path in files:
        try:
            content = path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):  # a process that has just ended
            continue
        found += [str(path) for form in forms(value) if form in content]
    return found


@pytest.mark.server
@pytest.mark.parametrize("closing", ["job.done(value, rows=value)", "raise ValueError(f'cannot log in as {value}')"])
def test_a_secret_that_a_notebook_shows_is_written_nowhere(project: Project, closing: str) -> None:
    project.bare("n.ipynb", "import fstk\njob = fstk.job()\njob", SHOW, closing, declaration=DECLARATION)
    process = project.start("run", "n.ipynb", STORE_PASSWORD=VALUE)
    during = leaks(project.root)
    out, err = process.communicate(timeout=60)
    assert process.returncode == (0 if "done" in closing else 1), err
    assert [during, leaks(project.root)] == [[], []]
    assert not [form for form in forms(VALUE) if form in (out + err).encode()]
    assert project.records("n")["n"]["parameters"] == {"password": "env:STORE_PASSWORD"}
    assert "[secret]" in json.dumps(project.executed("n", "n"))


@pytest.mark.server
def test_a_killed_run_leaves_no_secret_behind(project: Project) -> None:
    for pipe in ("pid", "word"):
        os.mkfifo(project.root / pipe)
    wait = "open('pid', 'w').write('here')\nopen('word').read()"
    project.notebook("n.ipynb", SHOW, wait, declaration=DECLARATION)
    process = project.start("run", "n.ipynb", STORE_PASSWORD=VALUE)
    assert told(project.root / "pid") == "here"
    assert leaks(project.root) == []
    process.kill()
    process.communicate(timeout=60)
    for pipe in ("pid", "word"):
        (project.root / pipe).unlink()
    assert leaks(project.root) == []


def test_a_literal_is_refused_without_being_repeated(project: Project) -> None:
    project.notebook("n.ipynb", declaration=DECLARATION)
    refused = project.fstk("run", "n.ipynb", "-p", "password=hunter2", STORE_PASSWORD="x")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr == (
        "BadParameter: password must be a reference to a secret (env:NAME, databricks:scope/key or "
        "keyvault:vault/name), not its value; what was given is not shown. Nothing was started.\n"
    )
    project.notebook("literal.ipynb", declaration='password: Secret = "hunter2"')
    with pytest.raises(InvalidInput, match="what was given is not shown") as raised:
        plan_run("literal.ipynb", {}, project.root)
    chain, error = [], raised.value
    while error is not None:
        chain.append(str(error))
        error = error.__cause__
    assert "hunter2" not in " ".join(chain)


def test_a_secret_that_is_not_there_stops_the_run_before_it_starts(project: Project) -> None:
    project.notebook("n.ipynb", declaration=DECLARATION)
    with pytest.raises(UnknownName, match=r"STORE_PASSWORD is not set\. Nothing was started\."):
        plan_run("n.ipynb", {}, project.root)


def test_a_wrong_name_does_not_repeat_its_value(project: Project) -> None:
    project.notebook("n.ipynb", declaration=DECLARATION)
    with pytest.raises(BadParameter) as raised:
        plan_run("n.ipynb", {"pasword": "hunter2"}, project.root)
    assert str(raised.value) == "there is no parameter 'pasword'. Nearest: password. Nothing was started."


def test_a_secret_equals_only_a_secret_of_the_same_reference() -> None:
    assert Secret("env:A") == Secret("env:A")
    assert hash(Secret("env:A")) == hash(Secret("env:A"))
    assert Secret("env:A") != Secret("env:B")
    assert Secret("env:A") != "env:A"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "env:",
        "env:A B",
        "env:A\n",
        "databricks:scope",
        "databricks:a/b/c",
        "vault:x/y",
        "keyvault:v",
        "keyvault:v@w/x",
        "keyvault:v/x/1",
        "keyvault:.v/x",
        "keyvault:/x",
    ],
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(ValueError, match="not a reference"):
        Secret(text)
    with pytest.raises(InvalidInput):
        parse(f"password: Secret = {text!r}", "n.ipynb")


def test_scrubbing_takes_every_written_form_and_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONG", "abc&d")
    monkeypatch.setenv("SHORT", "abc")
    scrubber = Scrubber([Secret("env:SHORT"), Secret("env:LONG")])
    tree = {"abc&amp;d": ["x abc%26d", 7, None, ("abc&d",)], "kept": "ab"}
    assert scrubber.clean(tree) == {"[secret]": ["x [secret]", 7, None, ("[secret]",)], "kept": "ab"}
    assert Scrubber([]).clean(tree) == tree


class _Workspace(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        known = asked.path == "/api/2.0/secrets/get" and parse_qs(asked.query) == {"scope": ["store"], "key": ["pw"]}
        body = (
            {"key": "pw", "value": "aHVudGVyMg=="}
            if known
            else {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}
        )
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A server that answers the one request for a secret as a Databricks workspace does."""
    with HTTPServer(("127.0.0.1", 0), _Workspace) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"http://127.0.0.1:{server.server_port}"
        for name, value in {"HOST": host, "TOKEN": "dapi0", "CONFIG_FILE": str(tmp_path / "none")}.items():
            monkeypatch.setenv(f"DATABRICKS_{name}", value)
        yield host
        server.shutdown()


@pytest.mark.server
def test_databricks_secrets_are_read_by_the_real_client(workspace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Secret("databricks:store/pw").reveal() == "hunter2"
    with pytest.raises(UnknownName, match="no such scope or key"):
        Secret("databricks:store/other").reveal()
    monkeypatch.setenv("DATABRICKS_HOST", "")
    with pytest.raises(Infrastructure, match="databricks:store/pw cannot be read"):
        Secret("databricks:store/pw").reveal()


def test_a_secret_of_a_key_vault_is_read_by_the_identity_of_where_this_runs(tmp_path: Path) -> None:
    held = {"store-pw": VALUE}
    with key_vault(held, tmp_path) as host, identity() as asked:
        secret = Secret(f"keyvault:{host}/store-pw")
        assert secret.reveal() == VALUE
        held["store-pw"] = "another"
        assert secret.reveal() == "another"
        assert VALUE not in repr(secret)
        with pytest.raises(UnknownName, match=f"^secret keyvault:{host}/none: the vault has no such secret\\.$"):
            Secret(f"keyvault:{host}/none").reveal()
        with pytest.raises(AccessDenied, match="/forbidden may not be read: HttpResponseError") as refused:
            Secret(f"keyvault:{host}/forbidden").reveal()
        assert "hunter2" not in str(refused.value)
        assert "\n" not in str(refused.value)
    assert asked


def test_a_vault_that_lets_nobody_in_or_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with key_vault({}, tmp_path) as host, identity(), pytest.MonkeyPatch.context() as patch:
        patch.delenv("REQUESTS_CA_BUNDLE")  # and given back before the vault's own is taken away
        with pytest.raises(Infrastructure, match=r"/store-pw cannot be read: ServiceRequestError\.$"):
            Secret(f"keyvault:{host}/store-pw").reveal()
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    no_login = pytest.raises(AccessDenied, match=r"may not be read: ClientAuthenticationError\.   az login$")
    with key_vault({}, tmp_path) as host, no_login:
        Secret(f"keyvault:{host}/store-pw").reveal()
    assert capfd.readouterr() == ("", "")


def test_a_vault_is_one_of_azure_unless_its_host_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Client:
        def __init__(self, url: str, *_: object, **__: object) -> None:
            asked.append(url)
            raise ValueError

    monkeypatch.setattr("azure.keyvault.secrets.SecretClient", Client)
    for vault in ("shop", "shop.vault.azure.cn", "10.0.0.1:8443"):
        with pytest.raises(Infrastructure):
            Secret(f"keyvault:{vault}/x").reveal()
    assert asked == ["https://shop.vault.azure.net", "https://shop.vault.azure.cn", "https://10.0.0.1:8443"]
