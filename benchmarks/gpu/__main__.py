"""The command ``python -m benchmarks.gpu PIECE``. It needs Python, PyTorch and NumPy; ``docs/gpu.md`` says what a piece is."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.gpu import convolutions, facts, searches, steps, table, tests, trainings
from benchmarks.gpu.pieces import Run, carry_out
from benchmarks.gpu.timing import usable
from harness.device import prepare
from harness.errors import UserError
from harness.machine import cores, gpus

PIECES: Final = {
    "facts": facts.cases,
    "tests": tests.cases,
    "convolutions": convolutions.cases,
    "steps": steps.cases,
    "searches": searches.cases,
    "trainings": trainings.cases,
}
EPILOG: Final = (
    "Every piece prints what was predicted, measures, and writes OUT/PIECE.json after each case. The same command goes on. "
    "Exit codes: 0 done, 1 a case failed, 2 wrong call, 3 stopped before the end, 130 interrupted."
)


def main(arguments: list[str] | None = None) -> int:
    """Carry out a piece, or write the table of all pieces, and return the exit code."""
    parser = argparse.ArgumentParser("python -m benchmarks.gpu", description=__doc__, epilog=EPILOG)
    parser.add_argument("piece", choices=[*PIECES, "table"])
    parser.add_argument("--out", type=Path, default=Path("gpu"), help="folder of the results (default: gpu)")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu: every piece at a small size")
    parser.add_argument("--minutes", type=float, default=7.0, help="begin no case later than this (default: 7)")
    parser.add_argument("--seeds", type=int, default=3, help="searches: seeds of each row (default: 3)")
    parser.add_argument(
        "--cells", nargs="+", default=(), metavar="CELL", help="trainings: names or genotypes of short trainings"
    )
    parser.add_argument("--compile", choices=["", "default", "max-autotune"], default="", help="trainings: compile the steps")
    parser.add_argument("--light", action="store_true", help="trainings: checkpoints without momentum, half as large")
    options = parser.parse_args(arguments)
    end = time.monotonic() + 60 * options.minutes
    run = Run(options.device, options.out, end, options.seeds, options.cells, options.compile, options.light)
    try:
        if options.piece == "table":
            print(table.write({name: make(run) for name, make in PIECES.items()}, run), end="")
            return 0
        name = _device(options.device)
        prepare(options.device, cores())
        return carry_out(options.piece, PIECES[options.piece](run), run, name, usable)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130


def _device(kind: str) -> str:
    """Return the name of the device. Raises :class:`UserError` if PyTorch has no GPU."""
    if kind == "cpu":
        return "a CPU"
    gpus()
    import torch

    return torch.cuda.get_device_name(0)


if __name__ == "__main__":
    sys.exit(main())
