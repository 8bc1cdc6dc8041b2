"""The command ``python -m benchmarks.nb201.digits``: makes, checks and packs the table of nb201/digits.

The records come from training every unique cell of NAS-Bench-201 on the digits of scikit-learn; ``docs/digits.md`` tells
what they are and what must not be claimed from them.
"""

from __future__ import annotations

import itertools
import random
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.nb201 import digits_build as building
from benchmarks.nb201.digits_build import Folder
from harness.problem import UserError
from harness.seeds import derive

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)

Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the build.")]
Device = Annotated[str, typer.Option(metavar="cpu|cuda", help="Where to train.")]


@app.command()
def build(
    out: Out,
    workers: Annotated[int, typer.Option(min=1, help="Processes, one thread each; one drives a GPU.")] = 2,
    device: Device = "cpu",
    cells: Annotated[str | None, typer.Option(metavar="A:B", help="Only these of the 6466 cells, in whole shards.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=99, help="Trainings of each cell.")] = 3,
    top: Annotated[bool, typer.Option("--top", help="Afterwards: two more seeds for the best tenth.")] = False,
) -> None:
    """Trains what is not trained yet. Interrupt it at will; the same command goes on."""
    from benchmarks.nb201.digits_task import SETTINGS

    if device not in ("cpu", "cuda"):
        raise UserError(f"device {device!r} is not cpu or cuda")
    folder = Folder(out)
    folder.settle(SETTINGS, seeds)
    if top:
        wanted = building.units("top", building.top_cells(folder), range(seeds, seeds + building.EXTRA_SEEDS))
    else:
        wanted = building.units("main", building.representatives(), range(seeds))
    building.run(folder, _within(wanted, cells), SETTINGS, workers, device)


def _within(wanted: list[building.Unit], cells: str | None) -> list[building.Unit]:
    """The units that touch the range ``A:B`` of positions."""
    if cells is None:
        return wanted
    match = re.fullmatch(r"(\d*):(\d*)", cells)
    total = sum(len(unit.cells) for unit in wanted)
    first, last = (int(match[1] or 0), int(match[2] or total)) if match else (0, 0)
    if not first < last <= total:
        raise UserError(f"--cells {cells!r} is not of the form A:B with 0 <= A < B <= {total}")
    size = building.CELLS_PER_SHARD
    return wanted[first // size : -(-last // size)]


@app.command()
def status(out: Out) -> None:
    """How much is done, and how long the rest takes at the pace so far."""
    folder = Folder(out)
    seeds = folder.plan["seeds"]
    shards = folder.shards()
    main = building.units("main", building.representatives(), range(seeds))
    done = [unit for unit in main if unit.name in shards]
    for unit in done:
        folder.read(shards[unit.name])
    trained = sum(len(unit.cells) for unit in done)
    typer.echo(f"{trained} of {len(building.representatives())} cells with {seeds} seeds, {len(done)} of {len(main)} shards")
    if len(done) > 1 and len(done) < len(main):
        times = sorted(shards[unit.name].stat().st_mtime for unit in done)
        gaps = sorted(gap for a, b in itertools.pairwise(times) if (gap := b - a) > 1)  # shards of a checkout have one time
        if gaps:
            pace = gaps[len(gaps) // 2]  # the median passes over the pauses of an interrupted build
            typer.echo(f"about {building.duration(pace * (len(main) - len(done)))} left while a build runs as before")
    if len(done) == len(main):
        top = building.units("top", building.top_cells(folder), range(seeds, seeds + building.EXTRA_SEEDS))
        there = sum(unit.name in shards for unit in top)
        typer.echo(f"best tenth with {building.EXTRA_SEEDS} more seeds: {there} of {len(top)} shards")


@app.command("time")
def time_(out: Out, cells: Annotated[int, typer.Option(min=10, max=6466, help="How many to time.")] = 200) -> None:
    """Times cells one by one and fits the clock; leave the machine alone meanwhile."""
    from benchmarks.nb201 import digits_clock

    chosen = random.Random(derive("nb201/digits", "clock")).sample(building.representatives(), cells)
    clock = digits_clock.measure(chosen)
    out.mkdir(parents=True, exist_ok=True)
    digits_clock.save(clock, out / "clock.json")
    for name, line in (("training", clock.train), ("evaluation", clock.evaluate)):
        parts = ", ".join(f"{op} {cost:.1f}" for op, cost in line.per_edge.items())
        typer.echo(
            f"{name}: {line.base:.1f} us an image + per edge {{{parts}}}; R2 {line.r2:.3f}, residual {line.residual:.2f} us"
        )


@app.command()
def assemble(out: Out, to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder for the Parquet files.")]) -> None:
    """Packs a finished build and its clock into the table."""
    from benchmarks.nb201 import digits_clock, digits_table
    from benchmarks.nb201.digits_task import Task

    written = digits_table.assemble(Folder(out), digits_clock.load(out / "clock.json"), Task().sizes, to)
    for name, size in written.items():
        typer.echo(f"{to / name}  {size} bytes")


@app.command()
def verify(
    out: Out,
    cells: Annotated[int, typer.Option(min=1, help="How many random cells to train again.")] = 8,
    sample: Annotated[int, typer.Option(help="Another number draws other cells.")] = 0,
    tolerance: Annotated[float, typer.Option(help="Points of mean test accuracy that a cell may differ by.")] = 3.0,
    device: Device = "cpu",
) -> None:
    """Checks every shard's checksum and trains random cells again. On the machine of the build all is equal to the bit."""
    from benchmarks.nb201.digits_task import SETTINGS

    folder = Folder(out)
    if folder.plan["digest"] != SETTINGS.digest:
        raise UserError(f"{out} was built with other settings ({folder.plan['digest']}, here {SETTINGS.digest})")
    kept = [(name, shard, row) for name, shard in folder.records() for row in range(len(shard["cells"]))]
    if not kept:
        raise UserError(f"{out} holds no shard yet; run 'build' first")
    task = building.prepare(SETTINGS, device)
    images = task.sizes["test"] * SETTINGS.draws
    worst, equal = 0.0, 0
    chosen = random.Random(derive("nb201/digits", "verify", sample)).sample(kept, min(cells, len(kept)))
    for name, shard, row in chosen:
        cell = int(shard["cells"][row])
        unit = building.Unit(name, (cell,), tuple(shard["seeds"].tolist()))
        again = building.train_unit(task, unit, together=1)
        same = all((again[key][0] == shard[key][row]).all() for key in shard if key not in ("cells", "seeds"))
        change = (again["long_test"][0].mean() - shard["long_test"][row].mean()) / images * 100
        worst, equal = max(worst, abs(change)), equal + same
        typer.echo(f"cell {cell}: {'equal' if same else f'mean test accuracy differs by {change:+.2f} points'}")
    typer.echo(f"{equal} of {len(chosen)} equal; largest difference {worst:.2f} points")
    if worst > tolerance:
        raise typer.Exit(1)


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
    from benchmarks.nb201.digits_task import SETTINGS

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
    task = building.prepare(SETTINGS, device)
    share = 100 / (task.sizes["test"] * SETTINGS.draws)
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


@app.command()
def statistics(
    out: Out,
    into: Annotated[Path | None, typer.Option(metavar="FILE", help="Put them between the marks of this datasheet.")] = None,
) -> None:
    """Prints what the records say of themselves, as Markdown; those of a NAS-Bench-201 table beside them where one is found."""
    from benchmarks.nb201 import digits_clock, digits_datasheet, digits_table, importer
    from benchmarks.nb201.table import Records

    folder = Folder(out)
    final, _ = digits_table.records(folder)
    clock = digits_clock.load(out / "clock.json") if (out / "clock.json").exists() else None
    table = importer.find_table(lambda line: typer.echo(line, err=True))
    text = digits_datasheet.markdown(final, folder.plan["settings"]["draws"], clock, Records(table) if table else None)
    if into is None:
        typer.echo(text, nl=False)
    else:
        digits_datasheet.into(into, text)


def main() -> None:
    """Runs the command; a :class:`UserError` becomes one line and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
