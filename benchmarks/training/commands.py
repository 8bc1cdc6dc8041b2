"""The commands of every benchmark whose records come from training cells here, from ``build`` to ``statistics``."""

from __future__ import annotations

import importlib
import itertools
import random
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.training import build as building
from benchmarks.training import datasheet, table
from benchmarks.training.build import Folder
from benchmarks.training.clock import Clock, fit, time_alone
from harness.errors import UserError
from harness.seeds import derive

Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the build.")]
Device = Annotated[str, typer.Option(metavar="cpu|cuda", help="Where to train.")]


@dataclass(frozen=True)
class Subject:
    """What is built: a benchmark, whose package has these modules, imported only where they are needed.

    ``unique`` with ``representatives()``, the numbers of the cells to train; ``digits_task`` with ``SETTINGS`` and ``Task``;
    ``digits_clock`` with ``FEATURES`` and ``features(numbers)``, what the cost of a cell is made of; ``digits_table`` with
    ``FILES`` and ``cells(clock)``; ``digits_datasheet`` with ``markdown(folder, note)``.
    """

    name: str
    """Of the benchmark."""
    package: str

    def module(self, name: str) -> Any:
        """A module of the package."""
        return importlib.import_module(f"{self.package}.{name}")

    @property
    def cells(self) -> Sequence[int]:
        """The numbers of the cells to train, in the order of the build."""
        found: Sequence[int] = self.module("unique").representatives()
        return found

    @property
    def settings(self) -> Any:
        """The settings of this benchmark."""
        return self.module("digits_task").SETTINGS

    @property
    def task(self) -> Any:
        """The class of its task."""
        return self.module("digits_task").Task

    def prepare(self, device: str) -> Any:
        """The task in this process, with the process set up for many small calls."""
        return building.prepare(self.task, self.settings, device)

    def assemble(self, folder: Folder, to: Path) -> dict[str, int]:
        """Packs a finished build and its clock into the table ``to``; answers each file's bytes. Raises :class:`UserError`."""
        made, settings, clock = (
            self.module("digits_table"),
            self.settings,
            Clock.load(folder.clock, self.module("digits_clock").FEATURES),
        )
        sizes = self.task(settings).sizes
        return table.assemble(folder, made.FILES, settings, self.cells, made.cells(clock), asdict(clock), sizes, to)

    def units(self, kind: str, folder: Folder) -> list[building.Unit]:
        """Those of the pass ``main``, or of ``top`` once the other is finished."""
        seeds, cells = folder.plan["seeds"], self.cells
        if kind == "main":
            return building.units(kind, cells, range(seeds))
        return building.units(kind, building.top_cells(folder, cells), range(seeds, seeds + building.EXTRA_SEEDS))


def commands(subject: Subject) -> typer.Typer:
    """An application with the commands for this benchmark; its own can be added."""
    app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.command()
    def build(
        out: Out,
        workers: Annotated[int, typer.Option(min=1, help="Processes, one thread each; one drives a GPU.")] = 2,
        device: Device = "cpu",
        cells: Annotated[str | None, typer.Option(metavar="A:B", help="Only these of the cells, in whole shards.")] = None,
        seeds: Annotated[int, typer.Option(min=1, max=99, help="Trainings of each cell.")] = 3,
        top: Annotated[bool, typer.Option("--top", help="Afterwards: two more seeds for the best tenth.")] = False,
    ) -> None:
        """Trains what is not trained yet. Interrupt it at will; the same command goes on."""
        if device not in ("cpu", "cuda"):
            raise UserError(f"device {device!r} is not cpu or cuda")
        folder = Folder(out)
        folder.settle(subject.settings, seeds)
        wanted = _within(subject.units("top" if top else "main", folder), cells)
        building.run(folder, wanted, subject.task, subject.settings, workers, device)

    @app.command()
    def status(out: Out) -> None:
        """How much is done, and how long the rest takes at the pace so far."""
        folder = Folder(out)
        seeds, total = folder.plan["seeds"], len(subject.cells)
        shards, main = folder.shards(), subject.units("main", folder)
        done = [unit for unit in main if unit.name in shards]
        for unit in done:
            folder.read(shards[unit.name])
        trained = sum(len(unit.cells) for unit in done)
        typer.echo(f"{trained} of {total} cells with {seeds} seeds, {len(done)} of {len(main)} shards")
        if len(done) > 1 and len(done) < len(main):
            times = sorted(shards[unit.name].stat().st_mtime for unit in done)
            gaps = sorted(gap for a, b in itertools.pairwise(times) if (gap := b - a) > 1)  # shards of a checkout have one time
            if gaps:
                pace = gaps[len(gaps) // 2]  # the median passes over the pauses of an interrupted build
                typer.echo(f"about {building.duration(pace * (len(main) - len(done)))} left while a build runs as before")
        if len(done) == len(main):
            top = subject.units("top", folder)
            there = sum(unit.name in shards for unit in top)
            typer.echo(f"best tenth with {building.EXTRA_SEEDS} more seeds: {there} of {len(top)} shards")

    @app.command()
    def verify(
        out: Out,
        cells: Annotated[int, typer.Option(min=1, help="How many random cells to train again.")] = 8,
        sample: Annotated[int, typer.Option(help="Another number draws other cells.")] = 0,
        tolerance: Annotated[float, typer.Option(help="Points of mean test accuracy that a cell may differ by.")] = 3.0,
        device: Device = "cpu",
    ) -> None:
        """Checks every shard's checksum and trains random cells again. On the machine of the build all is equal to the bit."""
        folder, settings = Folder(out), subject.settings
        if folder.plan["digest"] != settings.digest:
            raise UserError(f"{out} was built with other settings ({folder.plan['digest']}, here {settings.digest})")
        kept = [(name, shard, row) for name, shard in folder.records() for row in range(len(shard["cells"]))]
        if not kept:
            raise UserError(f"{out} holds no shard yet; run 'build' first")
        task = subject.prepare(device)
        images = task.sizes["test"] * settings.draws
        worst, equal = 0.0, 0
        chosen = random.Random(derive(subject.name, "verify", sample)).sample(kept, min(cells, len(kept)))
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

    @app.command("time")
    def time_(out: Out, cells: Annotated[int, typer.Option(min=10, help="How many to time.")] = 200) -> None:
        """Times cells one by one and fits the clock; leave the machine alone meanwhile."""
        import torch

        all_of_them = subject.cells
        chosen = random.Random(derive(subject.name, "clock")).sample(all_of_them, min(cells, len(all_of_them)))
        settings, parts = subject.settings, subject.module("digits_clock")
        task = subject.task(settings)
        images, labels = task.batches(0, 0)
        timed = time_alone((task.plain(cell, 0) for cell in chosen), images[0], labels[0], settings.sgd("short"))
        made_of = parts.features(chosen)
        made_with = f"torch {torch.__version__}, one thread, batch {settings.batch}"
        training, evaluation = (fit(parts.FEATURES, made_of, costs) for costs in timed)
        clock = Clock(training, evaluation, len(chosen), made_with)
        clock.save(Folder(out).clock)
        for name, line in (("training", clock.train), ("evaluation", clock.evaluate)):
            costs = ", ".join(f"{what} {cost:.2f}" for what, cost in line.per.items())
            typer.echo(f"{name}: {line.base:.1f} us an image + {{{costs}}}; R2 {line.r2:.3f}, residual {line.residual:.2f} us")

    @app.command()
    def assemble(
        out: Out, to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder for the Parquet files.")]
    ) -> None:
        """Packs a finished build and its clock into the table."""
        for name, size in subject.assemble(Folder(out), to).items():
            typer.echo(f"{to / name}  {size} bytes")

    @app.command()
    def statistics(
        out: Out,
        into: Annotated[Path | None, typer.Option(metavar="FILE", help="Put them between the marks of this datasheet.")] = None,
    ) -> None:
        """Prints what the records say of themselves, as Markdown; agreement with the official table where one is found."""
        text = subject.module("digits_datasheet").markdown(Folder(out), lambda line: typer.echo(line, err=True))
        if into is None:
            typer.echo(text, nl=False)
        else:
            datasheet.into(into, text)

    return app


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
