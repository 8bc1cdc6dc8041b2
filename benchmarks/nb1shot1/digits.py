"""The command ``python -m benchmarks.nb1shot1.digits``: makes, checks and packs the table of nb1shot1/1-digits.

The records come from training every different cell of space 1 of NAS-Bench-1Shot1 on the digits of scikit-learn;
``docs/nb1shot1-digits.md`` tells what they are.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.nb1shot1.unique import representatives
from benchmarks.training.build import Folder
from benchmarks.training.clock import save
from benchmarks.training.commands import Out, Subject, commands
from harness.command import run
from harness.seeds import derive

SUBJECT = Subject("nb1shot1/1-digits", representatives, "benchmarks.nb1shot1.digits_task")

app = commands(SUBJECT)


@app.command("time")
def time_(out: Out, cells: Annotated[int, typer.Option(min=10, max=2685, help="How many to time.")] = 200) -> None:
    """Times cells one by one and fits the clock; leave the machine alone meanwhile."""
    from benchmarks.nb1shot1 import digits_clock

    chosen = random.Random(derive(SUBJECT.name, "clock")).sample(representatives(), cells)
    clock = digits_clock.measure(chosen)
    out.mkdir(parents=True, exist_ok=True)
    save(clock, out / "clock.json")
    for name, line in (("training", clock.train), ("evaluation", clock.evaluate)):
        parts = ", ".join(f"{what} {cost:.2f}" for what, cost in line.per.items())
        typer.echo(f"{name}: {line.base:.1f} us an image + {{{parts}}}; R2 {line.r2:.3f}, residual {line.residual:.2f} us")


@app.command()
def assemble(out: Out, to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder for the Parquet files.")]) -> None:
    """Packs a finished build and its clock into the table."""
    from benchmarks.nb1shot1 import digits_clock, digits_table
    from benchmarks.nb1shot1.digits_task import Task

    written = digits_table.assemble(Folder(out), digits_clock.load(out / "clock.json"), Task().sizes, to)
    for name, size in written.items():
        typer.echo(f"{to / name}  {size} bytes")


def main() -> None:
    """Runs the command."""
    run(app)


if __name__ == "__main__":
    main()
