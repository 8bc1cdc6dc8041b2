"""What the commands that train a cell from scratch share: the device, the files, and the exit codes."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import typer

from harness.cache import atomic, explain
from harness.command import run as run_command
from harness.errors import UserError
from harness.machine import cores
from harness.safe_file import Damaged, SafeFile


def ready(device: str) -> str:
    """Set up torch for a device, ``cpu`` or ``cuda``, and return it. Raises :class:`UserError` if there is no such device."""
    import torch

    from harness.device import prepare

    if device not in ("cpu", "cuda"):
        raise UserError(f"device {device!r} is not cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: PyTorch finds no GPU; use --device cpu, and a small recipe")
    prepare(device, cores())
    return device


def checkpoint_file(folder: Path) -> SafeFile:
    """Make the folder of a training, and return the file of its last good state.

    Raises:
        UserError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, "write to") from None
    return SafeFile(folder / "checkpoint.pt", "the training")


def last_state(file: SafeFile) -> bytes | None:
    """Return the last saved state; None if there is none. Raises :class:`UserError` for a damaged file."""
    try:
        return file.load()
    except Damaged as error:
        raise UserError(f"{error}; delete it to start from the beginning") from None


def write_curve(file: Path, columns: Sequence[str], lines: Iterable[Mapping[str, float]]) -> None:
    """Write the curve of a training as CSV, with an empty field for NaN."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value != value else value for name, value in line.items()} for line in lines)
    try:
        with atomic(file) as temporary:
            temporary.write_text(stream.getvalue())
    except OSError:
        pass  # the checkpoint contains the curve, and its warning has reported a full disk


def command(app: typer.Typer) -> None:
    """Run the command of a training; see :func:`harness.command.run`. The exit code is 1 if the loss is not finite."""
    try:
        run_command(app, "interrupted; the same command continues")
    except FloatingPointError as error:
        print(f"error: {error}; the checkpoint contains the previous epoch", file=sys.stderr)
        sys.exit(1)
