"""What a number was made by, said even where git or a name make trouble."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from harness import provenance


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "harness" / "provenance.py"))
    return tmp_path


def test_a_checkout_of_another_owner_says_why_its_commit_is_unknown(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own way to test this
    assert provenance.code().endswith("(commit unknown: git refuses (dubious ownership))")


def test_a_checkout_without_a_commit_and_a_machine_without_git_say_so(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "(commit unknown: git refuses (" in provenance.code()
    monkeypatch.setenv("PATH", "")
    assert provenance.code().endswith("(commit unknown: git cannot be run)")


def test_an_installed_package_has_a_version_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "harness" / "provenance.py"))
    assert "commit" not in provenance.code()


@pytest.mark.parametrize("name", [b"results", b"my results", b"it's", b"caf\xe9", b"\xff'\\$x"])
def test_the_command_can_be_typed_again_for_any_name_of_the_folder(name: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", "--out", os.fsdecode(name)])
    words = provenance.command().encode().decode()  # it can be written
    echoed = subprocess.run(["bash", "-c", words.replace("python -m harness.run --out", "printf %s")], capture_output=True)
    assert echoed.stdout == name


def test_the_versions_that_a_result_depends_on_are_kept() -> None:
    packages = provenance.gather()["packages"]
    assert {"numpy", "torch"} <= set(packages)
    assert shlex.split(provenance.command())
