"""The commands of one table, from ``build`` to ``statistics``."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.bundled.clock import Clock
from benchmarks.digits_tables import assembly, build, datasheet, shards, timing
from benchmarks.digits_tables.recipe import TableRecipe
from benchmarks.digits_tables.schedule import SgdSchedule
from benchmarks.digits_tables.shards import EXTRA_SEEDS, Folder, Shards, Unit, opened, top_cells, units
from harness.errors import UserError
from harness.seeds import derive

Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the build.")]
From = Annotated[
    Path | None,
    typer.Option("--from", metavar="PATH", help="Folder of a build, or an archive (.zip). Default: the table's archive."),
]


def commands(recipe: TableRecipe) -> typer.Typer:
    """Return an application with the commands for one table."""
    app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.command("build")
    def build_(
        out: Out,
        workers: Annotated[int, typer.Option(min=1, help="Processes, one thread each.")] = 2,
        cells: Annotated[str | None, typer.Option(metavar="A:B", help="Only cells A to B, in complete shards.")] = None,
        seeds: Annotated[int, typer.Option(min=1, max=99, help="Trainings of each cell.")] = 3,
        top: Annotated[bool, typer.Option("--top", help="After a finished build: two more seeds for the best tenth.")] = False,
    ) -> None:
        """Train the cells that have no record yet.

        Interrupt it at any time; the same command continues. To extend the bundled table, unpack its archive into DIR.
        """
        folder = Folder(out)
        folder.settle(recipe.settings, seeds)
        wanted = _within(_units(recipe, "top" if top else "main", folder), cells)
        build.run(folder, wanted, recipe, workers)

    @app.command()
    def status(out: Out) -> None:
        """Print the finished part of a build, and an estimate of the time that remains."""
        folder = Folder(out)
        seeds, total = folder.plan["seeds"], len(recipe.cells)
        files, main = folder.shards(), _units(recipe, "main", folder)
        done = [unit for unit in main if unit.name in files]
        for unit in done:
            folder.read(files[unit.name])
        trained = sum(len(unit.cells) for unit in done)
        typer.echo(f"{trained} of {total} cells with {seeds} seeds, {len(done)} of {len(main)} shards")
        if len(done) > 1 and len(done) < len(main):
            times = sorted((folder.path / files[unit.name]).stat().st_mtime for unit in done)
            gaps = sorted(gap for a, b in itertools.pairwise(times) if (gap := b - a) > 1)  # copied shards have equal times
            if gaps:
                pace = gaps[len(gaps) // 2]  # the median ignores the pauses of an interrupted build
                typer.echo(f"about {build.duration(pace * (len(main) - len(done)))} left while a build runs as before")
        if len(done) == len(main):
            top = _units(recipe, "top", folder)
            finished = sum(unit.name in files for unit in top)
            typer.echo(f"best tenth with {EXTRA_SEEDS} more seeds: {finished} of {len(top)} shards")

    @app.command()
    def verify(
        source: From = None,
        cells: Annotated[int, typer.Option(min=1, help="Number of random cells to train again.")] = 8,
        sample: Annotated[int, typer.Option(help="Seed of the random choice.")] = 0,
        tolerance: Annotated[float, typer.Option(help="Largest accepted difference of a cell, points of mean test.")] = 3.0,
    ) -> None:
        """Check the checksum of every shard, train random cells again, and compare the records.

        On the machine of the build the records are equal to the bit. Another processor rounds in another order.
        """
        records = opened(source or recipe.archive)
        assembly.check_settings(recipe, records)
        rows = [(unit, shard, row) for unit, shard in records.records() for row in range(len(shard["cells"]))]
        if not rows:
            raise UserError(f"{records.path} contains no shard yet; run 'build' first")
        trainer = build.prepare(recipe)
        images = trainer.sizes["test"] * recipe.settings.draws
        worst, equal = 0.0, 0
        chosen = random.Random(derive(recipe.bundle.name, "verify", sample)).sample(rows, min(cells, len(rows)))
        for name, shard, row in chosen:
            cell = int(shard["cells"][row])
            again = build.train_unit(trainer, Unit(name, (cell,), tuple(shard["seeds"].tolist())))
            same = all((again[key][0] == shard[key][row]).all() for key in shard if key not in ("cells", "seeds"))
            change = (again["long_test"][0].mean() - shard["long_test"][row].mean()) / images * 100
            worst, equal = max(worst, abs(change)), equal + same
            typer.echo(f"cell {cell}: {'equal' if same else f'mean test accuracy differs by {change:+.2f} points'}")
        typer.echo(f"{equal} of {len(chosen)} equal; largest difference {worst:.2f} points")
        if worst > tolerance:
            raise typer.Exit(1)

    @app.command("time")
    def time_(out: Out, cells: Annotated[int, typer.Option(min=10, help="Number of cells to time.")] = 200) -> None:
        """Time cells one by one and fit the clock of the table. Run it on a quiet machine."""
        import torch

        chosen = random.Random(derive(recipe.bundle.name, "clock")).sample(recipe.cells, min(cells, len(recipe.cells)))
        trainer, settings, prices = build.prepare(recipe), recipe.settings, recipe.bundle.prices
        images, labels = trainer.batches(0, 0)
        networks = (trainer.plain_network(cell, 0) for cell in chosen)
        timed = timing.time_alone(networks, images[0], labels[0], SgdSchedule.of(settings, "short"))
        features = recipe.features(chosen)
        made_with = f"torch {torch.__version__}, one thread, batch {settings.batch}"
        training, evaluation = (timing.fit(prices, features, costs) for costs in timed)
        Folder(out).write_clock(Clock(training, evaluation, len(chosen), made_with))
        for name, line in (("training", training), ("evaluation", evaluation)):
            costs = ", ".join(f"{what} {cost:.2f}" for what, cost in line.per.items())
            typer.echo(f"{name}: {line.base:.1f} us an image + {{{costs}}}; R2 {line.r2:.3f}, residual {line.residual:.2f} us")

    @app.command()
    def assemble(
        to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder for the Parquet files and their manifest.")],
        source: From = None,
        archive: Annotated[
            Path | None, typer.Option("--archive", metavar="FILE.zip", help="Also pack the shards into this archive.")
        ] = None,
    ) -> None:
        """Make the table of a finished build and its clock."""
        records = opened(source or recipe.archive)
        for name, size in assembly.assemble(recipe, records, to).items():
            typer.echo(f"{to / name}  {size} bytes")
        if archive is not None:
            typer.echo(f"{archive}  {shards.pack(records, archive)} bytes")

    @app.command()
    def statistics(
        source: From = None,
        into: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Write them between the marks of this datasheet instead.")
        ] = None,
    ) -> None:
        """Print the statistics of the records, as Markdown.

        They include the agreement with the official table if NAS_DATA contains it.
        """
        text = recipe.statistics(opened(source or recipe.archive), lambda line: typer.echo(line, err=True))
        if into is None:
            typer.echo(text, nl=False)
        else:
            datasheet.into(into, text)

    return app


def _units(recipe: TableRecipe, kind: str, records: Shards) -> list[Unit]:
    """Return the units of the pass ``main``, or of the pass ``top``, which requires a finished ``main``."""
    seeds = records.plan["seeds"]
    if kind == "main":
        return units(kind, recipe.cells, range(seeds))
    return units(kind, top_cells(records, recipe.cells), range(seeds, seeds + EXTRA_SEEDS))


def _within(wanted: list[Unit], cells: str | None) -> list[Unit]:
    """Return the units that contain cells of the range ``A:B`` of positions."""
    if cells is None:
        return wanted
    match = re.fullmatch(r"(\d*):(\d*)", cells)
    total = sum(len(unit.cells) for unit in wanted)
    first, last = (int(match[1] or 0), int(match[2] or total)) if match else (0, 0)
    if not first < last <= total:
        raise UserError(f"--cells {cells!r} is not of the form A:B with 0 <= A < B <= {total}")
    size = shards.CELLS_PER_SHARD
    return wanted[first // size : -(-last // size)]
