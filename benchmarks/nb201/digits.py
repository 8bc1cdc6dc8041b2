"""The command ``python -m benchmarks.nb201.digits``: makes, checks and packs the table of nb201/digits.

The records come from training every unique cell of NAS-Bench-201 on the digits of scikit-learn; ``docs/digits.md`` tells
what they are and what must not be claimed from them.
"""

from __future__ import annotations

import random
from typing import Annotated

import typer

from benchmarks.training import build as building
from benchmarks.training.build import Folder
from benchmarks.training.commands import Device, Out, Subject, commands
from harness.command import run
from harness.errors import UserError
from harness.seeds import derive

SUBJECT = Subject("nb201/digits", "benchmarks.nb201")

app = commands(SUBJECT)


@app.command()
def siblings(
    out: Out,
    cells: Annotated[int, typer.Option(min=2, help="How many random classes to look into.")] = 16,
    sample: Annotated[int, typer.Option(help="Another number draws other cells.")] = 0,
    device: Device = "cpu",
) -> None:
    """Trains other cells of isomorphic classes, to tell how far apart cells are whose accuracy the table shares."""
    import numpy as np

    from benchmarks.nb201.digits_table import classes

    kept = [
        (shard, row) for name, shard in Folder(out).records() if name.startswith("main") for row in range(len(shard["cells"]))
    ]
    members: dict[int, list[int]] = {}
    for index, representative in enumerate(classes().tolist()):
        members.setdefault(representative, []).append(index)
    several = [(shard, row) for shard, row in kept if len(members[int(shard["cells"][row])]) > 1]
    if len(several) < 2:
        raise UserError(f"{out} holds no records of two classes with more than one cell yet; run 'build' first")
    draw = random.Random(derive("nb201/digits", "siblings", sample))
    task = SUBJECT.prepare(device)
    share = 100 / (task.sizes["test"] * task.settings.draws)
    apart, seeds = [], []
    for shard, row in draw.sample(several, min(cells, len(several))):
        cell = int(shard["cells"][row])
        other = draw.choice(members[cell][1:])
        unit = building.Unit("sibling", (other,), tuple(shard["seeds"].tolist()))
        again = building.train_unit(task, unit, together=1)["long_test"][0] * share
        first = shard["long_test"][row] * share
        apart.append(float(again.mean() - first.mean()))
        seeds.append(float((again.var(ddof=1) + first.var(ddof=1)) / len(first)) if len(first) > 1 else float("nan"))
        typer.echo(
            f"cell {cell} {first.mean():.2f}, cell {other} {again.mean():.2f}: {apart[-1]:+.2f} points of mean test accuracy"
        )
    found = float(np.mean(np.square(apart))) ** 0.5
    typer.echo(
        f"root mean square of the differences {found:.2f} points; the seeds alone would make {np.mean(seeds) ** 0.5:.2f}"
    )


def main() -> None:
    """Runs the command."""
    run(app)


if __name__ == "__main__":
    main()
