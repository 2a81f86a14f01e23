"""Delta's jars are fetched once, kept only when they are the published ones, and used without a network afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from fstk.engines.start import jars, java
from fstk.errors import EngineUnavailable


def _java(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a program in Java's place that does what ``script`` says."""
    program = folder / "java" / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/bash\n{script}\n")
    program.chmod(0o755)
    (folder / "java" / "release").write_text('JAVA_RUNTIME_VERSION="17.0.9+9"\n')
    monkeypatch.setenv("JAVA_HOME", str(folder / "java"))


def test_jars_at_hand_are_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for jar in jars.JARS:
        (tmp_path / jar.file).write_bytes(b"\0" * jar.size)
    monkeypatch.setattr(java, "find", lambda: pytest.fail("nothing is to be started"))
    assert jars.paths(tmp_path) == [tmp_path / jar.file for jar in jars.JARS]


def test_no_network_is_one_line_that_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _java(tmp_path, monkeypatch, "exit 1")
    with pytest.raises(EngineUnavailable, match=r"cannot be fetched .*python -m fstk.engines.start.jars") as error:
        jars.paths(tmp_path / "jars")
    assert len(str(error.value).splitlines()) == 1
    assert list((tmp_path / "jars").iterdir()) == []


def test_why_nothing_could_be_fetched_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ivy = "	Server access error at url https://x/y.pom (java.net.ConnectException: Connection refused)"
    _java(tmp_path, monkeypatch, f"echo '{ivy}'; exit 1")
    monkeypatch.setenv("FSTK_JARS", str(tmp_path / "jars"))
    with pytest.raises(SystemExit) as error:
        jars.main()
    said = str(error.value)
    assert said.startswith("EngineUnavailable: ")
    assert " Maven Central (java.net.ConnectException: Connection refused). Once online: " in said
    assert len(said.splitlines()) == 1
    assert capsys.readouterr().out == ""


def test_another_file_than_the_published_one_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _java(tmp_path, monkeypatch, f'echo tampered > "{jars.JARS[0].file}"')
    with pytest.raises(EngineUnavailable, match="not the published file"):
        jars.paths(tmp_path / "jars")
    assert list((tmp_path / "jars").iterdir()) == []


def test_a_half_written_jar_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _java(tmp_path, monkeypatch, "exit 1")
    for jar in jars.JARS:
        (tmp_path / jar.file).write_bytes(b"half")
    with pytest.raises(EngineUnavailable, match="cannot be fetched"):
        jars.paths(tmp_path)


def test_an_archive_belongs_to_one_java_and_one_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _java(tmp_path, monkeypatch, "exit 1")
    one = jars.archive(tmp_path)
    assert "java17.0.9+9" in one.name
    assert "pyspark4.1" in one.name
    assert "delta4.3.1" in one.name
    (tmp_path / "java" / "release").write_text('JAVA_RUNTIME_VERSION="17.0.10+7"\n')
    assert jars.archive(tmp_path) != one
    assert jars.archive(tmp_path / "elsewhere").name != jars.archive(tmp_path).name


def test_an_archive_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _java(tmp_path, monkeypatch, "echo broken heart >&2; exit 1")
    for jar in jars.JARS:
        (tmp_path / jar.file).write_bytes(b"\0" * jar.size)
    with pytest.raises(EngineUnavailable, match="the class-data archive was not made: .*broken heart"):
        jars.make_archive(tmp_path)
    assert [path.name for path in tmp_path.glob("*.jsa")] == []
