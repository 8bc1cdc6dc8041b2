"""A command ends with one line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import typer

from harness import command
from harness import run as main


def ended(app: Callable[..., object], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """Return the exit code of a command, and what it printed to stderr."""
    with pytest.raises(SystemExit) as end:
        command.run(app, "interrupted")
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seeds", "0"], "Invalid value for '--seeds'"),
        (["--seeds", "many"], "Invalid value for '--seeds'"),
        (["--sed", "3"], "No such option: --sed"),
        (["--out"], "--out"),
        (["--all", "--engine", "cloud"], "engine 'cloud' is not local, ray or slurm"),
        (["--all", "--slurm", "partition=gpu"], "--slurm partition=gpu needs --engine slurm"),
        (["--all", "--engine", "ray", "--gpus-per-run", "2"], "--gpus-per-run 2 is not a share of a GPU"),
    ],
)
def test_a_wrong_call_is_one_line(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["run", *arguments])
    code, text = ended(main.app, capsys)
    assert (code, text.count("\n")) == (2, 1)
    assert text.startswith("error: ") and words in text


@pytest.mark.parametrize(("error", "code"), [(typer.Exit(1), 1), (KeyboardInterrupt(), 130), (ValueError("x"), 3)])
def test_an_application_ends_with_its_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = typer.Typer(add_completion=False)

    @app.command()
    def raises() -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["app"])
    assert ended(app, capsys)[0] == code


def test_a_command_that_goes_well_does_not_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer(add_completion=False)
    app.command()(lambda: None)
    monkeypatch.setattr(sys, "argv", ["app"])
    command.run(app)
