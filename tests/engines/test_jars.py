"""Delta's jars are fetched once, kept only when they are the published ones, and used without a network afterwards."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from fstk import settings
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


def _at_hand(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put small jars into the folder, and let them be the published ones."""
    made = tuple(replace(jar, sha256=hashlib.sha256(jar.artifact.encode()).hexdigest()) for jar in jars.JARS)
    monkeypatch.setattr(jars, "JARS", made)
    for jar in made:
        (folder / jar.file).write_text(jar.artifact)


def test_jars_at_hand_are_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _at_hand(tmp_path, monkeypatch)
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


def test_a_jar_with_one_flipped_bit_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _java(tmp_path, monkeypatch, "exit 1")
    _at_hand(tmp_path, monkeypatch)
    damaged = tmp_path / jars.JARS[1].file
    content = bytearray(damaged.read_bytes())
    before = damaged.stat()
    content[5] ^= 1
    damaged.write_bytes(content)
    os.utime(damaged, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(EngineUnavailable, match=r"delta-storage.* as it was published is not in .* cannot be fetched"):
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
        (tmp_path / jar.file).symlink_to(settings.load().jars / jar.file)
    with pytest.raises(EngineUnavailable, match="the class-data archive was not made: .*broken heart"):
        jars.make_archive(tmp_path)
    assert [path.name for path in tmp_path.glob("*.jsa")] == []
